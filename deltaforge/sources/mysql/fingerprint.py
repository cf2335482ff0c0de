"""One fingerprint for one table definition, wherever it was read.

The catalog of MySQL 5.7 and of MariaDB writes ``int(11)``, that of MySQL 8 ``int``, a table map knows neither the
width nor the kind of a geometry, DDL leaves out default lengths. Types are compared in the form that a table map
gives, see :func:`deltaforge.protocol.mysql.types.declared_type`; what is registered and shown keeps its own text.

Not understood, so that a definition from the catalog or DDL gives way to that of the first row: text and blob types
with a length (``text(100)``; DDL only, the catalog says ``tinytext``), labels of an enum or set that are outside
of UTF-8 in the log, the hidden columns of system-versioned tables.
"""

from __future__ import annotations

import re

import msgspec

from deltaforge.core.table import TableSchema

_TYPE = re.compile(r"([a-z0-9]+)\s*(\([^)]*\))?", re.IGNORECASE)
_LABELLED = ("enum", "set")
_WITH_WIDTH = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "float", "double"})
_WITHOUT_ARGUMENT = frozenset({"year", "json", "date"})
_GEOMETRIES = frozenset({
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
})  # fmt: skip
_DEFAULTS = {"decimal": "(10,0)", "bit": "(1)", "char": "(1)", "binary": "(1)"}
_MARIADB = {"json": "longtext", "uuid": "binary(16)", "inet6": "binary(16)", "inet4": "binary(4)"}


def fingerprint_of(schema: TableSchema, *, is_mariadb: bool) -> str:
    """``sha256:`` + 64 hex over names, canonical types, nullability and key, in order."""
    columns = tuple(
        msgspec.structs.replace(column, type=canonical_type(column.type, is_mariadb=is_mariadb))
        for column in schema.columns
    )
    return msgspec.structs.replace(schema, columns=columns).fingerprint()


def canonical_type(text: str, *, is_mariadb: bool) -> str:
    """A declared type as a table map would show it."""
    match = _TYPE.match(text)
    if match is None:
        return text
    word, argument = match[1].lower(), (match[2] or "").replace(" ", "")
    if word in _LABELLED:
        return word + text[len(word) :]
    if is_mariadb and word in _MARIADB:
        return _MARIADB[word]
    if word in _GEOMETRIES:
        return "geometry"
    if word == "vector":
        return f"varbinary({4 * int(argument[1:-1] or 1)})" if is_mariadb and argument else "vector"
    rest = text[match.end() :].lower()
    sign = " unsigned" if "unsigned" in rest or "zerofill" in rest else ""
    if word in _WITH_WIDTH:
        return word + sign
    if word in _WITHOUT_ARGUMENT or (argument == "(0)" and word in ("time", "datetime", "timestamp")):
        return word
    if word == "decimal" and argument and "," not in argument:
        argument = f"{argument[:-1]},0)"
    return word + (argument or _DEFAULTS.get(word, "")) + sign
