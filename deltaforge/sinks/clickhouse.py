"""Document part of the ``clickhouse`` sink. Known to the document; not built in this version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.sinks.base import Sink, SinkConfig, SinkContext, not_built


class ClickhouseTls(StrictModel):
    """Encryption of the connection."""

    enabled: bool = Field(True, description="Whether to encrypt.")
    ca_file: str | None = Field(None, description="PEM file of the authority to trust; absent: those of the system.")
    insecure_skip_verify: bool = Field(False, description="Accept any certificate.")

    def local_uses(self) -> Iterator[LocalUse]:
        if self.ca_file is not None:
            yield LocalUse(("ca_file",), self.ca_file)


class ClickhouseSinkConfig(SinkConfig):
    """Which table, and how changes become its rows."""

    url: Dsn = Field(min_length=1, description="HTTP address of the server.")
    database: str = Field(min_length=1, description="Database of the table.")
    table: str = Field(min_length=1, description="Table to insert into.")
    mode: Literal["changelog", "upsert"] = Field(description="Keep every change, or the newest row of each key.")
    user: str | None = Field(None, description="User name.")
    password: Secret | None = Field(None, description="Password of `user`.")
    tls: ClickhouseTls = Field(default_factory=ClickhouseTls, description="Encryption of the connection.")
    version_source: Literal["source_position", "ts_ms"] = Field(
        "source_position", description="What orders the versions of a row."
    )
    auto_create: bool = Field(True, description="Create the table when it is missing.")
    send_timeout_secs: int = Field(30, ge=1, description="Seconds for one insert.")


class ClickhouseSinkSpec(StrictModel):
    """Rows of a ClickHouse table."""

    type: Literal["clickhouse"]
    config: ClickhouseSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """Refused: see :func:`not_built`."""
        raise not_built(self.type, context)
