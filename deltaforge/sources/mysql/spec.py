"""A MySQL or MariaDB source: what a document names."""

from __future__ import annotations

from typing import Literal

from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.config.model import StrictModel
from deltaforge.sources.base import LeftSlot, LogStream, SourceContext
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.python_rows import CountPythonRows, uncounted


class MysqlSourceSpec(StrictModel):
    """The ``source`` part of a document."""

    type: Literal["mysql"]
    config: MysqlSourceConfig

    def build(self, context: SourceContext) -> LogStream:
        """A new, unopened stream of the binary log."""
        from deltaforge.sources.mysql.stream import MysqlStream

        return MysqlStream(self.config, context)

    def table_codec(
        self, pipeline: str, tenant: str, count_python_rows: CountPythonRows = uncounted
    ) -> TableSchemaCodec:
        """Packs the tables of a pipeline of this source."""
        from deltaforge.sources.mysql.table_codec import MysqlTableSchemaCodec

        return MysqlTableSchemaCodec(pipeline, tenant, count_python_rows)

    def reads_from(self) -> dict[str, str]:
        """Nothing with a name: the log of the server."""
        return {}

    def left_slot(self) -> LeftSlot | None:
        """None: the server keeps its log by its own rules."""
        return None

    def drop_slot(self, timeout_secs: float) -> None:
        """Nothing is there to be dropped."""
