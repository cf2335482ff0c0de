"""Document part of the ``avro`` encoding. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.core.errors import SpecError
from deltaforge.encodings.base import RunEncoder
from deltaforge.envelopes.base import Envelope, RecordForm


class AvroEncodingSpec(StrictModel):
    """Avro with schemas in a registry."""

    type: Literal["avro"]
    schema_registry_url: Dsn = Field(min_length=1, description="HTTP address of the schema registry.")
    subject_strategy: Literal["topic_name", "record_name", "topic_record_name"] = Field(
        "topic_name", description="What a subject is named after."
    )
    username: str | None = Field(None, description="User of the registry.")
    password: Secret | None = Field(None, description="Password of `username`.")
    unsigned_bigint_mode: Literal["string", "long"] = Field("string", description="Form of `bigint unsigned`.")
    enum_mode: Literal["string", "enum"] = Field("string", description="Form of enum columns.")
    naive_timestamp_mode: Literal["string", "timestamp"] = Field(
        "string", description="Form of date and time without a time zone."
    )

    def build(self, envelope: Envelope | RecordForm) -> RunEncoder:
        """Refused.

        Raises:
            SpecError: Always.
        """
        raise SpecError(
            "avro is not available in this version", hint="use encoding: json", envelope=str(envelope.identity[0])
        )
