"""Tables: their identity, their columns, and the fingerprint that says two definitions are equal."""

from __future__ import annotations

import hashlib

import msgspec


class TableId(msgspec.Struct, frozen=True):
    """A table of one source. ``schema`` is None where the database has no schemas (MySQL)."""

    db: str
    schema: str | None
    name: str

    @property
    def qualified(self) -> str:
        """``schema.table`` with a schema, else ``db.table`` (contract 03 section 2)."""
        return f"{self.schema or self.db}.{self.name}"


class Column(msgspec.Struct, frozen=True):
    """One column as declared.

    ``type`` is the declared type text (``bigint unsigned``, ``character varying(40)``);
    ``element_type`` is not kept: a reader that needs more asks the source's catalog.

    Attributes:
        underlying: PostgreSQL, of a type that somebody made: what it is made of, where ``type`` does not say it: the
            built-in type behind a domain, ``enum('a','b')``, ``composite``, ``range``, ``multirange``, ``unknown``, of
            arrays with ``[]``. It is no part of the fingerprint.
    """

    name: str
    type: str
    nullable: bool = True
    default: str | None = None
    extra: str = ""
    underlying: str | None = None


class TableSchema(msgspec.Struct, frozen=True):
    """A table definition that is valid for some stretch of the log.

    ``primary_key`` names the columns that tell rows apart in events, in key order: the primary key; on PostgreSQL the
    columns of the replica identity, where that is another index. Each is the name of a column.
    """

    table: TableId
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """``sha256:`` + 64 hex over names, types, nullability and key, in order."""
        facts = [[c.name, c.type, c.nullable] for c in self.columns]
        return "sha256:" + hashlib.sha256(msgspec.json.encode([facts, self.primary_key])).hexdigest()
