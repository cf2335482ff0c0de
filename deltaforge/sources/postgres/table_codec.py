"""Captured tables as plain data, for row groups that wait on disk."""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import DeltaForgeError, StorageError
from deltaforge.protocol.postgres.messages import Relation
from deltaforge.protocol.postgres.values import TypeInfo
from deltaforge.schema.versions import SchemaVersion
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper
from deltaforge.sources.python_rows import CountPythonRows, uncounted


class PackedTable(msgspec.Struct, tag_field="format", tag="postgres 1"):
    """What a captured table is made of. ``types``: everything that its columns are made of; ``database``: its name;
    ``keeps_marker``: as :class:`EventMapper` has it.
    """

    relation: Relation
    version: SchemaVersion
    types: list[TypeInfo]
    database: str
    keeps_marker: bool = False


_decode = msgspec.json.Decoder(PackedTable).decode


class PostgresTableSchemaCodec:
    """Packs the tables of a pipeline.

    Args:
        pipeline: ``metadata.name``.
        tenant: ``metadata.tenant``.
        count_python_rows: See :class:`EventMapper`.
    """

    def __init__(self, pipeline: str, tenant: str, count_python_rows: CountPythonRows = uncounted) -> None:
        self._pipeline = pipeline
        self._tenant = tenant
        self._count_python_rows = count_python_rows

    def pack(self, table: CapturedTable) -> bytes:
        """A table as JSON."""
        types = list(table.types.values())
        mapper = table.mapper
        packed = PackedTable(table.relation, table.registered, types, mapper.database, mapper.keeps_marker)
        return msgspec.json.encode(packed)

    def unpack(self, data: bytes) -> CapturedTable:
        """The table again.

        Raises:
            StorageError: It is none that this version understands.
        """
        try:
            packed = _decode(data)
            mapper = EventMapper(
                self._pipeline,
                self._tenant,
                packed.database,
                keeps_marker=packed.keeps_marker,
                count_python_rows=self._count_python_rows,
            )
            types = {info.oid: info for info in packed.types}
            return CapturedTable(packed.relation, packed.version, types, mapper)
        except (msgspec.MsgspecError, ValueError, DeltaForgeError) as exc:
            raise StorageError(f"a packed table of PostgreSQL cannot be read: {exc}") from exc
