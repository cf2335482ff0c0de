"""A MySQL or MariaDB source: what a document names."""

from __future__ import annotations

from typing import Literal

from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.config.model import StrictModel
from deltaforge.sources.base import LeftSlot, LogStream, SourceContext
from deltaforge.sources.mysql.config import MysqlSourceConfig
from deltaforge.sources.python_rows import CountPythonRows, uncounted
from deltaforge.sources.snapshot.base import ChunkReader


class MysqlSourceSpec(StrictModel):
    """The ``source`` part of a document."""

    type: Literal["mysql"]
    config: MysqlSourceConfig

    def build(self, context: SourceContext) -> LogStream:
        """A new, unopened stream of the binary log."""
        from deltaforge.sources.mysql.snapshot.stream import CopyableMysqlStream

        return CopyableMysqlStream(self.config, context)

    def chunk_reader(self, context: SourceContext) -> ChunkReader:
        """A reader of chunks of the captured tables."""
        from deltaforge.sources.mysql.snapshot.reader import MysqlChunkReader

        del context
        return MysqlChunkReader(self.config)

    def table_codec(self, name: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> TableSchemaCodec:
        """Packs the tables of a pipeline of this source."""
        from deltaforge.sources.mysql.table_codec import MysqlTableSchemaCodec

        _load()

        return MysqlTableSchemaCodec(name, tenant, count_python_rows)

    def reads_from(self) -> dict[str, str]:
        """Nothing with a name: the log of the server."""
        return {}

    def left_slot(self) -> LeftSlot | None:
        """None: the server keeps its log by its own rules."""
        return None

    def drop_slot(self, timeout_secs: float) -> None:
        """Nothing is there to be dropped."""


def _load() -> None:
    """Import what connects, with its client library. Called before there are threads: those that read logs and those
    that copy tables would do it at a time, and see the library half loaded.
    """
    from deltaforge.sources.mysql.snapshot import reader, stream

    del reader, stream
