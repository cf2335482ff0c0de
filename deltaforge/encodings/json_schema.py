"""The ``json_schema`` encoding: JSON of records behind the id of its schema, which a registry has as JSON Schema."""

from __future__ import annotations

from typing import Literal

from deltaforge.core.encoded import NO_RULES, MessageRules
from deltaforge.core.errors import SpecError
from deltaforge.encodings.base import DestinationEncoder
from deltaforge.encodings.registry_settings import RegistrySettings
from deltaforge.envelopes.base import Envelope, RecordForm


class JsonSchemaEncodingSpec(RegistrySettings):
    """JSON with schemas in a registry."""

    type: Literal["json_schema"]

    def build(self, envelope: Envelope | RecordForm, rules: MessageRules = NO_RULES) -> DestinationEncoder:
        """The encoder of an envelope.

        Raises:
            SpecError: The envelope has no records.
        """
        if not isinstance(envelope, RecordForm):
            raise SpecError(
                f"json_schema has no records of envelope {envelope.identity[0]}",
                hint="use envelope: {type: debezium, dialect: connect}, or encoding: json",
            )
        from deltaforge.encodings.record_compilers import FormCompiler
        from deltaforge.encodings.registry_encoder import RegistryEncoder

        compiler = FormCompiler(envelope, "json", defaults_for_null=self.replace_null_with_default)
        return RegistryEncoder(self, compiler, rules, "application/json")
