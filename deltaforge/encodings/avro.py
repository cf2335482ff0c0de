"""The ``avro`` encoding: Confluent's format of messages, with schemas in a registry (contract 03 section 5).

A message is a zero, the id of its schema and the record. Keys are records, too; messages of tables without a key have
none. What happens without a registry, and with one that refuses: :mod:`deltaforge.encodings.registered`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltaforge.core.encoded import NO_RULES, MessageRules
from deltaforge.core.errors import SpecError
from deltaforge.encodings.base import DestinationEncoder
from deltaforge.encodings.registry_settings import RegistrySettings
from deltaforge.envelopes.base import Envelope, RecordForm

CONTENT_TYPE = "application/avro"


class AvroEncodingSpec(RegistrySettings):
    """Avro with schemas in a registry."""

    type: Literal["avro"]
    unsigned_bigint_mode: Literal["string", "long"] = Field("string", description="Form of `bigint unsigned`.")
    enum_mode: Literal["string", "enum"] = Field("string", description="Form of enum columns.")
    naive_timestamp_mode: Literal["string", "timestamp"] = Field(
        "string", description="Form of date and time without a time zone."
    )

    def build(self, envelope: Envelope | RecordForm, rules: MessageRules = NO_RULES) -> DestinationEncoder:
        """The encoder of an envelope.

        Raises:
            SpecError: The envelope has no records.
        """
        from deltaforge.encodings.record_compilers import CdcCompiler, FormCompiler
        from deltaforge.encodings.registry_encoder import RegistryEncoder
        from deltaforge.records.types import CdcModes

        if isinstance(envelope, RecordForm):
            compiler = FormCompiler(envelope, "avro", defaults_for_null=self.replace_null_with_default)
            return RegistryEncoder(self, compiler, rules, CONTENT_TYPE)
        if envelope.identity != ("native",):
            raise SpecError(
                f"avro has no records of envelope {envelope.identity[0]}",
                hint="use envelope: native or {type: debezium, dialect: connect}, or encoding: json",
            )
        if self.replace_null_with_default:
            raise SpecError(
                "encoding.replace_null_with_default is of the connect dialect",
                hint="write envelope: {type: debezium, dialect: connect}",
            )
        modes = CdcModes(self.unsigned_bigint_mode, self.enum_mode, self.naive_timestamp_mode)
        return RegistryEncoder(self, CdcCompiler(modes), rules, CONTENT_TYPE)
