"""Table maps: the definition that the row events after them are written with.

Source: MySQL ``Table_map_event`` in ``rows_event.h``, optional metadata fields included.
"""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import ProtocolError, UnsupportedValueError
from deltaforge.protocol.buffer import read_name, read_packed, read_packed_bytes, read_uint, take
from deltaforge.protocol.mysql.charsets import charset_of_collation, text_decoder
from deltaforge.protocol.mysql.types import CHARACTER, LABELLED, NUMERIC, Code, ColumnType


class TableMap(msgspec.Struct, frozen=True):
    """A table as the log describes it.

    ``column_names`` and ``primary_key`` (column indexes in key order) are None unless the server
    writes full row metadata. ``null_bits`` says which columns may be null
    (bit n: column n); ``raw`` tells whether two maps are equal.
    """

    table_id: int
    db: str
    table: str
    columns: tuple[ColumnType, ...]
    column_names: tuple[str, ...] | None
    primary_key: tuple[int, ...] | None
    null_bits: int
    raw: bytes

    @property
    def is_full(self) -> bool:
        """Whether rows can be decoded without any other knowledge."""
        return self.column_names is not None


def decode_table_map(body: bytes, *, is_mariadb: bool = False) -> TableMap:
    """The body of a TABLE_MAP event, without header and checksum.

    Besides text, MariaDB counts geometry columns among those with a character set, MySQL vectors.

    Raises:
        ProtocolError: The bytes break the format.
        UnsupportedValueError: A column type that is not known.
    """
    table_id = read_uint(body, 0, 6)
    db, at = read_name(body, 8)
    table, at = read_name(body, at)
    count, at = read_packed(body, at)
    codes = take(body, at, count)
    metadata, at = read_packed_bytes(body, at + count)
    columns = _columns(codes, metadata, f"{db}.{table}")
    null_bits = read_uint(body, at, (count + 7) // 8)
    at += (count + 7) // 8
    optional = _optional_fields(body, at)
    columns = _with_optional(columns, optional, CHARACTER | {Code.GEOMETRY if is_mariadb else Code.VECTOR})
    names = _names(optional.get(4), count)
    return TableMap(
        table_id, db, table, tuple(columns), names, _primary_key(optional, names, count), null_bits, body[8:]
    )


def _columns(codes: bytes, metadata: bytes, table: str) -> list[ColumnType]:
    columns, at = [], 0
    for number, value in enumerate(codes):
        try:
            code = Code(value)
        except ValueError:
            raise UnsupportedValueError(
                f"column {number + 1} of {table} has type {value}, which is not known",
                hint="leave the table out, or upgrade DeltaForge",
            ) from None
        column, at = _column(code, metadata, at)
        columns.append(column)
    return columns


def _column(code: Code, metadata: bytes, at: int) -> tuple[ColumnType, int]:
    if code in (Code.FLOAT, Code.DOUBLE):
        return ColumnType(code=code, length=read_uint(metadata, at, 1)), at + 1
    if code in (Code.BLOB, Code.BLOB_COMPRESSED, Code.JSON, Code.GEOMETRY, Code.VECTOR):
        return ColumnType(code=code, length=read_uint(metadata, at, 1)), at + 1
    if code in (Code.TIME2, Code.DATETIME2, Code.TIMESTAMP2):
        return ColumnType(code=code, scale=read_uint(metadata, at, 1)), at + 1
    if code in (Code.VARCHAR, Code.VARCHAR_COMPRESSED):
        return ColumnType(code=code, length=read_uint(metadata, at, 2)), at + 2
    if code == Code.BIT:
        bits, whole = take(metadata, at, 2)
        return ColumnType(code=code, length=whole * 8 + bits), at + 2
    if code == Code.NEWDECIMAL:
        precision, scale = take(metadata, at, 2)
        return ColumnType(code=code, precision=precision, scale=scale), at + 2
    if code in (Code.STRING, Code.VAR_STRING, Code.ENUM, Code.SET):
        return _string(take(metadata, at, 2)), at + 2
    return ColumnType(code=code), at


def _string(pair: bytes) -> ColumnType:
    """CHAR, BINARY, ENUM and SET share a code; lengths beyond 255 borrow two bits of the type."""
    kind, length = pair
    if kind & 0x30 != 0x30:
        return ColumnType(code=Code.STRING, length=length | ((kind & 0x30) ^ 0x30) << 4)
    if kind in (Code.ENUM, Code.SET):
        return ColumnType(code=Code(kind), length=length)
    return ColumnType(code=Code.STRING, length=length)


def _optional_fields(body: bytes, at: int) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while at < len(body):
        kind = body[at]
        fields[kind], at = read_packed_bytes(body, at + 1)
    return fields


def _with_optional(
    columns: list[ColumnType], fields: dict[int, bytes], with_charset: frozenset[Code]
) -> list[ColumnType]:
    numeric = [n for n, column in enumerate(columns) if column.code in NUMERIC]
    character = [n for n, column in enumerate(columns) if column.code in with_charset]
    labelled = [n for n, column in enumerate(columns) if column.code in LABELLED]
    if 1 in fields or (numeric and fields):
        bits = fields.get(1, b"")
        for place, n in enumerate(numeric):
            is_unsigned = bool(take(bits, place // 8, 1)[0] & 0x80 >> place % 8)
            columns[n] = msgspec.structs.replace(columns[n], unsigned=is_unsigned)
    for kinds, members in (((2, 3), character), ((10, 11), labelled)):
        for n, collation in zip(members, _collations(fields, kinds, len(members)), strict=False):
            columns[n] = msgspec.structs.replace(columns[n], charset=charset_of_collation(collation))
    for kind, code in ((5, Code.SET), (6, Code.ENUM)):
        if kind in fields:
            _set_labels(columns, code, fields[kind])
    return columns


def _collations(fields: dict[int, bytes], kinds: tuple[int, int], count: int) -> list[int]:
    by_default, by_column = fields.get(kinds[0]), fields.get(kinds[1])
    if by_column is not None:
        collations = _packed_list(by_column)
        if len(collations) != count:
            raise ProtocolError(f"table map has {len(collations)} character sets for {count} columns")
        return collations
    if by_default is None:
        return []
    defaults = _packed_list(by_default)
    if len(defaults) % 2 == 0:
        raise ProtocolError(f"table map has {len(defaults)} numbers for a default character set and its exceptions")
    default, *pairs = defaults
    exceptions = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return [exceptions.get(place, default) for place in range(count)]


def _set_labels(columns: list[ColumnType], code: Code, data: bytes) -> None:
    at = 0
    for n, column in enumerate(columns):
        if column.code != code:
            continue
        count, at = read_packed(data, at)
        raw_labels = []
        for _ in range(count):
            raw, at = read_packed_bytes(data, at)
            raw_labels.append(raw)
        columns[n] = msgspec.structs.replace(column, labels=_labels(raw_labels, column.charset))


def _labels(raw_labels: list[bytes], charset: str | None) -> tuple[str, ...] | None:
    """Labels stand in the character set of their column; None if they cannot be read: then the column cannot either."""
    try:
        decode = text_decoder("utf8mb4" if charset == "binary" else charset or "", "")
        return tuple(map(decode, raw_labels))
    except (UnsupportedValueError, UnicodeDecodeError):
        return None


def _names(data: bytes | None, count: int) -> tuple[str, ...] | None:
    if data is None:
        return None
    names, at = [], 0
    while at < len(data):
        raw, at = read_packed_bytes(data, at)
        names.append(raw.decode("utf-8", "replace"))
    if len(names) != count:
        raise ProtocolError(f"table map has {len(names)} names for {count} columns")
    return tuple(names)


def _primary_key(fields: dict[int, bytes], names: tuple[str, ...] | None, count: int) -> tuple[int, ...] | None:
    if names is None:
        return None
    if 8 in fields:
        key = _packed_list(fields[8])
    elif 9 in fields:
        key = _packed_list(fields[9])[::2]  # each index is followed by its prefix length
    else:
        return ()
    if any(index >= count for index in key):
        raise ProtocolError("primary key of a table map names a column that is not there")
    return tuple(key)


def _packed_list(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = read_packed(data, at)
        values.append(value)
    return values
