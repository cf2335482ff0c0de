"""A MySQL or MariaDB source: its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from deltaforge.checkpoint.spooled_batch import TableCodec
from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.core.errors import SpecError
from deltaforge.sources.base import LeftSlot, LogStream, SourceConfig, SourceContext
from deltaforge.sources.mysql.dsn import FILE_PARAMETERS, read_dsn


class MysqlOutbox(StrictModel):
    """Which tables are outbox tables."""

    tables: list[TablePattern] = Field(description="Table patterns; a table must also be captured by `tables`.")


class MysqlSourceConfig(SourceConfig):
    """Settings of a MySQL or MariaDB source. ``dsn`` is ``mysql://user:password@host:port/database``."""

    outbox: MysqlOutbox | None = Field(None, description="Tables whose inserted rows are outbox events.")

    @field_validator("dsn")
    @classmethod
    def _is_url(cls, dsn: SecretStr) -> SecretStr:
        text = dsn.get_secret_value()
        if "${" not in text:  # else it is not known yet
            try:
                read_dsn(text)
            except SpecError as exc:
                raise ValueError(str(exc)) from exc
        return dsn

    def local_uses(self) -> Iterator[LocalUse]:
        try:
            parameters = read_dsn(self.dsn.get_secret_value()).parameters
        except SpecError:  # with variables in it; the pipeline's process reads it whole
            return
        for name in FILE_PARAMETERS:
            if parameters.get(name):
                yield LocalUse(("dsn",), parameters[name], name=name)


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

    def reads_from(self) -> dict[str, str]:
        """Nothing with a name: the log of the server."""
        return {}

    def left_slot(self) -> LeftSlot | None:
        """None: the server keeps its log by its own rules."""
        return None

    def drop_slot(self, timeout_secs: float) -> None:
        """Nothing is there to be dropped."""
