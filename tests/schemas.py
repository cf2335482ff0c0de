"""A schema registry without a database behind it."""

from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.schema.versions import Definition, LogPoint
from deltaforge.storage.memory import MemoryStorage

T = ("shop", "t")


def memory_registry(tenant="acme", source_id="s"):
    return SchemaRegistry(MemoryStorage().log, tenant, source_id)


def definition_of(column, *, table="t", signature=None, key=(), default=None):
    """A table of one column; the signature is that of the column's name unless another is given."""
    schema = TableSchema(TableId("shop", None, table), (Column(column, "int", default=default),), key)
    return Definition(schema, schema.fingerprint(), signature or column)


def point_at(pos, *, file=1, server="a"):
    return LogPoint(server, (file, pos), MysqlPosition(f"b.{file:06}", pos, server_uuid=server))


def registered(schema):
    """A version of a definition that nobody compares."""
    return memory_registry().register(Definition(schema, schema.fingerprint(), ""), point_at(1))
