"""Captured tables of plain data, for row groups that wait on disk or come from another process."""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import DeltaForgeError, StorageError
from deltaforge.sources.mysql.event_mapper import CapturedTable, EventMapper, PackedTable
from deltaforge.sources.python_rows import CountPythonRows, uncounted

_decode = msgspec.json.Decoder(PackedTable).decode


class MysqlTableSchemaCodec:
    """Unpacks the tables of a pipeline.

    Args:
        name: ``source.name`` of their events.
        tenant: ``metadata.tenant``.
        count_python_rows: See :class:`EventMapper`.
    """

    def __init__(self, name: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> None:
        self._mapper = EventMapper(name, tenant, count_python_rows)

    def unpack(self, data: bytes) -> CapturedTable:
        """The table whose ``packed`` this is.

        Raises:
            StorageError: It is none that this version understands.
        """
        try:
            packed = _decode(data)
            return CapturedTable(packed.version, packed.columns, self._mapper, is_outbox=packed.is_outbox)
        except (msgspec.MsgspecError, ValueError, DeltaForgeError) as exc:
            raise StorageError(f"a packed table of MySQL cannot be read: {exc}") from exc
