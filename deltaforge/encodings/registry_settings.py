"""The settings of encodings with schemas in a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.encodings.registry_meter import Result
from deltaforge.encodings.subjects import SubjectStrategy

if TYPE_CHECKING:
    from deltaforge.encodings.schema_registry import SchemaRegistry


class RegistrySettings(StrictModel):
    """A schema registry and how to get in."""

    schema_registry_url: Dsn = Field(
        min_length=1, description="HTTP address of the schema registry, with the path of its API, if any."
    )
    subject_strategy: SubjectStrategy = Field("topic_name", description="What a subject is named after.")
    username: str | None = Field(None, description="User of the registry.")
    password: Secret | None = Field(None, description="Password of `username`.")
    ca_file: str | None = Field(
        None, description="PEM file with the certificates that the registry's is checked with, instead of the system's."
    )
    replace_null_with_default: bool = Field(
        False,
        description="With the connect dialect: write NULL as the default of its column, as the converters of Kafka "
        "Connect do unless `ignore.default.for.nullables` is set; then nobody can tell the two apart.",
    )

    def local_uses(self) -> Iterator[LocalUse]:
        if self.ca_file is not None:
            yield LocalUse(("ca_file",), self.ca_file)

    def registry(self, note: Callable[[Result], object] = lambda _result: None) -> SchemaRegistry:
        """A client of it; connects when it asks.

        Raises:
            SinkError: Address or file cannot be used.
        """
        from deltaforge.encodings.schema_registry import SchemaRegistry

        return SchemaRegistry(
            self.schema_registry_url.get_secret_value(),
            self.username,
            None if self.password is None else self.password.get_secret_value(),
            ca_file=self.ca_file,
            note=note,
        )
