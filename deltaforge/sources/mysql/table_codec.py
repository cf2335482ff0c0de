"""Captured tables as plain data, for row groups that wait on disk."""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import DeltaForgeError, StorageError
from deltaforge.protocol.mysql.types import ColumnType
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.python_rows import CountPythonRows, uncounted


class PackedTable(msgspec.Struct, tag_field="format", tag="mysql 1"):
    """What a captured table is made of. ``columns``: names and types in table order."""

    version: SchemaVersion
    columns: list[tuple[str, ColumnType]]
    is_outbox: bool


_decode = msgspec.json.Decoder(PackedTable).decode


class MysqlTableSchemaCodec:
    """Packs the tables of a pipeline.

    Args:
        pipeline: ``metadata.name``.
        tenant: ``metadata.tenant``.
        count_python_rows: See :class:`EventMapper`.
    """

    def __init__(self, pipeline: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> None:
        self._mapper = EventMapper(pipeline, tenant, count_python_rows)

    def pack(self, table: CapturedTable) -> bytes:
        """A table as JSON."""
        return msgspec.json.encode(PackedTable(table.registered, list(table.columns), table.is_outbox))

    def unpack(self, data: bytes) -> CapturedTable:
        """The table again.

        Raises:
            StorageError: It is none that this version understands.
        """
        try:
            packed = _decode(data)
            return CapturedTable(packed.version, packed.columns, self._mapper, is_outbox=packed.is_outbox)
        except (msgspec.MsgspecError, ValueError, DeltaForgeError) as exc:
            raise StorageError(f"a packed table of MySQL cannot be read: {exc}") from exc
