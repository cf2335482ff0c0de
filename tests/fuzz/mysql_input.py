"""Random MySQL row events: any column types, rows that are valid, and damage to them."""

import random
import struct

from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.protocol.mysql import temporal
from deltaforge.protocol.mysql.numbers import decimal_size
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.protocol.mysql.types import OLD_TIMES, Code, ColumnType
from tests.fuzz.numbers import document_text

TEXTS = ("", "a", 'quote " and \\', "tab\tline\n\x00\x1f", "\u00fc\u20ac\U0001f600", "x" * 300, "\x7f\x80")
CHARSETS = (
    "utf8mb4",
    "utf8mb3",
    "latin1",
    "ascii",
    "cp1251",
    "koi8r",
    "binary",
    "gbk",
    "ucs2",
    "sjis",
    "utf16",
    "tis620",
)
CODES = tuple(
    code
    for code in Code
    if code not in (Code.DECIMAL, Code.NULL, Code.BLOB_COMPRESSED, Code.VARCHAR_COMPRESSED, Code.VAR_STRING)
)


def column(rnd: random.Random) -> ColumnType:
    code = rnd.choice(CODES)
    if code in (Code.TIME2, Code.DATETIME2, Code.TIMESTAMP2):
        return ColumnType(code=code, scale=rnd.randint(0, 6))
    if code in OLD_TIMES:
        return ColumnType(code=code, scale=rnd.choice((0, rnd.randint(1, 6))))
    if code == Code.NEWDECIMAL:
        precision = rnd.randint(1, 65)
        return ColumnType(code=code, precision=precision, scale=rnd.randint(0, min(30, precision)))
    if code == Code.BIT:
        return ColumnType(code=code, length=rnd.randint(1, 64))
    if code in (Code.ENUM, Code.SET):
        labels = tuple(rnd.choice(TEXTS) + str(n) for n in range(rnd.randint(1, 12)))
        size = rnd.randint(1, 2) if code == Code.ENUM else (len(labels) + 7) // 8
        return ColumnType(code=code, length=size, charset="utf8mb4", labels=labels)
    if code in (Code.STRING, Code.VARCHAR):
        return ColumnType(code=code, length=rnd.choice((1, 10, 255, 256, 1000)), charset=rnd.choice(CHARSETS))
    if code in (Code.BLOB, Code.TINY_BLOB, Code.MEDIUM_BLOB, Code.LONG_BLOB):
        return ColumnType(code=code, length=rnd.randint(1, 4), charset=rnd.choice(CHARSETS))
    if code in (Code.JSON, Code.JSON_TEXT, Code.GEOMETRY, Code.VECTOR):
        return ColumnType(code=code, length=4)
    return ColumnType(code=code, unsigned=rnd.random() < 0.5)


def value(rnd: random.Random, column: ColumnType) -> bytes:
    code = column.code
    sizes = {
        Code.TINY: 1, Code.SHORT: 2, Code.INT24: 3, Code.LONG: 4, Code.LONGLONG: 8, Code.YEAR: 1, Code.DATE: 3,
        Code.NEWDATE: 3,
    }  # fmt: skip
    if code in OLD_TIMES:
        return old_time(rnd, column)
    if code in sizes:
        return _raw(rnd, sizes[code])
    if code == Code.FLOAT:
        return _raw(rnd, 4) if rnd.random() < 0.5 else struct.pack("<f", rnd.uniform(-1000, 1000))
    if code == Code.DOUBLE:
        return (
            _raw(rnd, 8) if rnd.random() < 0.5 else struct.pack("<d", round(rnd.uniform(-1e6, 1e6), rnd.randint(0, 9)))
        )
    if code == Code.NEWDECIMAL:
        return _raw(rnd, decimal_size(column.precision, column.scale))
    if code == Code.BIT:
        return _raw(rnd, (column.length + 7) // 8)
    if code in (Code.TIME2, Code.DATETIME2, Code.TIMESTAMP2):
        whole = {Code.TIME2: 3, Code.DATETIME2: 5, Code.TIMESTAMP2: 4}[code]
        return _raw(rnd, whole + (column.scale + 1) // 2)
    if code in (Code.ENUM, Code.SET):
        highest = len(column.labels) if code == Code.ENUM else (1 << len(column.labels)) - 1
        return rnd.randint(0, min(highest, (1 << 8 * column.length) - 1)).to_bytes(column.length, "little")
    if code == Code.JSON:
        content = b"" if rnd.random() < 0.05 else json_binary(rnd)
    elif code == Code.JSON_TEXT:
        content = document_text(rnd).encode()
    elif code == Code.GEOMETRY:
        content = _raw(rnd, rnd.randint(4, 30))
    elif code == Code.VECTOR:
        content = _raw(rnd, 4 * rnd.randint(0, 4))
    else:
        content = rnd.choice(TEXTS).encode() if rnd.random() < 0.7 else _raw(rnd, rnd.randint(0, 12))
    width = column.length if code not in (Code.STRING, Code.VARCHAR) else 2 if column.length > 255 else 1
    content = content[: (1 << 8 * width) - 1]
    return len(content).to_bytes(width, "little") + content


def old_time(rnd: random.Random, column: ColumnType) -> bytes:
    """A value of an old temporal format, mostly one that a server could store."""
    code, unit = column.code, 10**column.scale
    hour, minute, second = rnd.randint(0, 23), rnd.randint(0, 59), rnd.choice((0, 59, 60))
    year, month, day = rnd.choice(((0, 0, 0), (9999, 12, 31), (2024, rnd.randint(0, 13), rnd.randint(0, 32))))
    clock, fraction = (hour * 60 + minute) * 60 + second, rnd.randrange(unit)
    if code == Code.TIMESTAMP:
        seconds = rnd.choice((0, rnd.getrandbits(32)))
        width = temporal._FRACTION_BYTES[column.scale]
        part = fraction if rnd.random() < 0.9 else rnd.getrandbits(8 * width)
        return seconds.to_bytes(4, "big" if column.scale else "little") + part.to_bytes(width, "big")
    if code == Code.DATETIME and not column.scale:
        return (((year * 100 + month) * 100 + day) * 10**6 + hour * 10**4 + minute * 100 + second).to_bytes(8, "little")
    if code == Code.DATETIME:
        value = (((year * 13 + month) * 32 + day) * 86_400 + clock) * unit + fraction
        return value.to_bytes(temporal.DATETIME_BYTES[column.scale], "big")
    sign = rnd.choice((1, -1))
    if not column.scale:
        return (sign * (rnd.randint(0, 838) * 10**4 + minute * 100 + second)).to_bytes(3, "little", signed=True)
    value = (839 * 3600 + sign * rnd.randint(0, 839 * 3600)) * unit + sign * fraction
    return max(value, 0).to_bytes(temporal.TIME_BYTES[column.scale], "big")


def row_event(rnd: random.Random) -> tuple[list[tuple[str, ColumnType]], Rows, tuple[str, ...]]:
    """Columns with names, a valid row event of them, and the primary key."""
    columns = [(rnd.choice(TEXTS) + f"c{n}", column(rnd)) for n in range(rnd.randint(1, 12))]
    hidden = rnd.choice((0, 0, 0, 1))
    columns += [(f"hidden{n}", ColumnType(code=Code.LONGLONG, is_hidden=True)) for n in range(hidden)]
    kind = rnd.choice(("write", "update", "delete"))
    everything = (1 << len(columns)) - 1
    bits = [everything if rnd.random() < 0.7 else rnd.randint(1, everything) for _ in range(2)]
    before, after = bits if kind == "update" else (bits[0], bits[0])
    data = b""
    for _ in range(rnd.randint(1, 3)):
        for present in (before, after) if kind == "update" else (before,):
            data += _image(rnd, [c for n, (_, c) in enumerate(columns) if present >> n & 1])
    key = tuple(name for name, kind in columns if rnd.random() < 0.3 and not kind.is_hidden)
    return columns, Rows(kind, 1, len(columns), before, after, data, 0), key


def images(rnd: random.Random, columns: list[tuple[str, ColumnType]], count: int) -> bytes:
    """Rows that hold all columns."""
    return b"".join(_image(rnd, [column for _, column in columns]) for _ in range(count))


def damaged(rnd: random.Random, data: bytes) -> bytes:
    """Some bytes changed, left out or added."""
    broken = bytearray(data)
    for _ in range(rnd.randint(1, 3)):
        choice, at = rnd.random(), rnd.randrange(len(broken) + 1)
        if choice < 0.6 and at < len(broken):
            broken[at] = rnd.choice((0, 1, 0x7F, 0x80, 0xFF, rnd.randrange(256)))
        elif choice < 0.8:
            del broken[at:]
        else:
            broken[at:at] = _raw(rnd, rnd.randint(1, 4))
    return bytes(broken)


def schema_of(columns: list[tuple[str, ColumnType]], key: tuple[str, ...]) -> TableSchema:
    shown = tuple(Column(name, "x") for name, kind in columns if not kind.is_hidden)
    return TableSchema(TableId("d\u00fc", None, 't"'), shown, key)


def json_binary(rnd: random.Random) -> bytes:
    """A document of MySQL's binary JSON."""
    kind, content = _json_value(rnd, 1)
    return bytes((kind,)) + content


def _json_value(rnd: random.Random, depth: int) -> tuple[int, bytes]:
    kind = rnd.choice(
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15) if depth < 4 else (4, 5, 6, 7, 8, 9, 10, 11, 12, 15)
    )
    if kind <= 3:
        return kind, _json_container(rnd, kind, depth)
    if kind == 4:
        return 4, bytes((rnd.randint(0, 2),))
    if kind == 11:
        return 11, value(rnd, ColumnType(code=Code.DOUBLE))
    if kind == 12:
        text = rnd.choice(TEXTS).encode()
        return 12, _seven_bits(len(text)) + text
    if kind == 15:
        code = rnd.choice((Code.NEWDECIMAL, Code.DATE, Code.DATETIME, Code.TIME, Code.BLOB))
        raw = _raw(rnd, 8)
        if code == Code.NEWDECIMAL:
            precision = rnd.randint(1, 65)
            scale = rnd.randint(0, min(30, precision))
            raw = bytes((precision, scale)) + _raw(rnd, decimal_size(precision, scale), zeros=0.7)
        return 15, bytes((code,)) + _seven_bits(len(raw)) + raw
    return kind, _raw(rnd, {5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8}[kind])


def _json_container(rnd: random.Random, kind: int, depth: int) -> bytes:
    is_object, width = kind <= 1, 4 if kind & 1 else 2
    inline = range(4, 9) if width == 4 else range(4, 7)
    items = [_json_value(rnd, depth + 1) for _ in range(rnd.randint(0, 4))]
    keys = sorted(
        {rnd.choice(TEXTS[:5]).encode() + bytes((97 + n,)) for n in range(len(items))}, key=lambda k: (len(k), k)
    )
    entry_size = (width + 2 if is_object else 0) + width + 1
    place = 2 * width + len(items) * entry_size
    entries, tail = b"", b""
    if is_object:
        for key in keys:
            entries += (place + len(tail)).to_bytes(width, "little") + len(key).to_bytes(2, "little")
            tail += key
    for item_kind, content in items:
        if item_kind in inline:
            entries += bytes((item_kind,)) + content.ljust(width, b"\0")
        else:
            entries += bytes((item_kind,)) + (place + len(tail)).to_bytes(width, "little")
            tail += content
    return len(items).to_bytes(width, "little") + (place + len(tail)).to_bytes(width, "little") + entries + tail


def _seven_bits(length: int) -> bytes:
    out = b""
    while length > 0x7F:
        out, length = out + bytes((length & 0x7F | 0x80,)), length >> 7
    return out + bytes((length,))


def _image(rnd: random.Random, columns: list[ColumnType]) -> bytes:
    nulls, data = 0, b""
    for n, present in enumerate(columns):
        if rnd.random() < 0.15:
            nulls |= 1 << n
        else:
            data += value(rnd, present)
    return nulls.to_bytes((len(columns) + 7) // 8, "little") + data


def _raw(rnd: random.Random, size: int, zeros: float = 0.2) -> bytes:
    return bytes(size) if rnd.random() < zeros else rnd.randbytes(size)
