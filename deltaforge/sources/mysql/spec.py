"""A MySQL or MariaDB source: its settings."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from deltaforge.checkpoint.spooled_batch import TableCodec
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.sources.base import LogStream, SourceConfig, SourceContext

_SCHEMES = ("mysql", "mariadb")


class MysqlOutbox(StrictModel):
    """Which tables are outbox tables."""

    tables: list[TablePattern] = Field(description="Table patterns; a table must also be captured by `tables`.")


class MysqlSourceConfig(SourceConfig):
    """Settings of a MySQL or MariaDB source. ``dsn`` is ``mysql://user:password@host:port/database``."""

    outbox: MysqlOutbox | None = Field(None, description="Tables whose inserted rows are outbox events.")

    @field_validator("dsn")
    @classmethod
    def _is_url(cls, dsn: SecretStr) -> SecretStr:
        parts = urlsplit(dsn.get_secret_value())
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError("must be a URL such as mysql://user:password@host:3306/database")
        return dsn


class MysqlSourceSpec(StrictModel):
    """The ``source`` part of a document."""

    type: Literal["mysql"]
    config: MysqlSourceConfig

    def build(self, context: SourceContext) -> LogStream:
        """A new, unopened stream of the binary log."""
        from deltaforge.sources.mysql.stream import MysqlStream

        return MysqlStream(self.config, context)

    def table_codec(self, pipeline: str, tenant: str) -> TableCodec:
        """Packs the tables of a pipeline of this source."""
        from deltaforge.sources.mysql.table_codec import MysqlTableCodec

        return MysqlTableCodec(pipeline, tenant)
