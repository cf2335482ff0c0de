"""A PostgreSQL source: what a document names, and what it needs of the server.

Reads a logical replication slot with pgoutput, PostgreSQL 14 to 18. Needs ``wal_level = logical``, a
publication (never created here), a free slot and walsender, and a user with ``REPLICATION``. Tables
should have ``REPLICA IDENTITY FULL`` for whole ``before`` images.
"""

from __future__ import annotations

from typing import Literal

from deltaforge.checkpoint.spooled_batch import TableSchemaCodec
from deltaforge.config.model import StrictModel
from deltaforge.sources.base import LeftSlot, LogStream, SourceContext
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.python_rows import CountPythonRows, uncounted
from deltaforge.sources.snapshot.base import ChunkReader


class PostgresSourceSpec(StrictModel):
    """The ``source`` part of a document."""

    type: Literal["postgres"]
    config: PostgresSourceConfig

    def build(self, context: SourceContext) -> LogStream:
        """A new stream of the slot."""
        from deltaforge.sources.postgres.stream import PostgresStream

        return PostgresStream(self.config, context)

    def chunk_reader(self, context: SourceContext) -> ChunkReader:
        """A reader of chunks of the published tables."""
        from deltaforge.sources.postgres.snapshot.reader import PostgresChunkReader

        del context
        return PostgresChunkReader(self.config)

    def table_codec(self, name: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> TableSchemaCodec:
        """Packs the tables of a pipeline of this source."""
        from deltaforge.sources.postgres.table_codec import PostgresTableSchemaCodec

        _load()

        return PostgresTableSchemaCodec(name, tenant, count_python_rows)

    def reads_from(self) -> dict[str, str]:
        """Publication and slot."""
        return {"publication": self.config.publication, "slot": self.config.slot}

    def left_slot(self) -> LeftSlot | None:
        """The slot, if it is there."""
        from deltaforge.sources.postgres.remains import left_slot

        return left_slot(self.config.dsn.get_secret_value(), self.config.slot)

    def drop_slot(self, timeout_secs: float) -> None:
        """Drop the slot."""
        from deltaforge.sources.postgres.remains import drop_slot

        drop_slot(self.config.dsn.get_secret_value(), self.config.slot, timeout_secs)


def _load() -> None:
    """Import what connects, with its client library. Called before there are threads: those that read logs and those
    that copy tables would do it at a time, and see the library half loaded.
    """
    from deltaforge.sources.postgres import stream
    from deltaforge.sources.postgres.snapshot import reader

    del reader, stream
