"""Random rows of results in the binary protocol: valid ones, and damage to them."""

import random
import struct

from deltaforge.kernel import backend, pure
from deltaforge.protocol.mysql.result_rows import Form, ResultColumn, RowImages
from tests.fuzz.mysql_input import damaged

SIZES = {Form.FIXED: (1, 2, 4, 8), Form.SINGLE: (4,), Form.DOUBLE: (8,)}
SHORTER = ((4, 3), (4, 1), (8, 1), (8, 2), (8, 5), (8, 7))


def result_column(rnd: random.Random) -> ResultColumn:
    """A column as ``result_columns`` makes them."""
    form = rnd.choice(list(Form))
    size = width = 0
    precision = rnd.randint(1, 65)
    scale = rnd.randint(0, min(30, precision)) if form == Form.DECIMAL else rnd.randint(0, 6)
    if form in SIZES:
        size = width = rnd.choice(SIZES[form])
    elif form == Form.SHORTER:
        size, width = rnd.choice(SHORTER)
    elif form == Form.YEAR:
        size, width = 2, 1
    elif form == Form.BITS:
        width = rnd.randint(1, 8)
    elif form == Form.BYTES:
        width = rnd.randint(1, 4)
    return ResultColumn("c", form, size, width, precision, scale, rnd.random() < 0.5)


def value(rnd: random.Random, column: ResultColumn) -> bytes:
    """A value of a row, mostly one that a server could send."""
    form = column.form
    if form == Form.SHORTER:
        low = -(1 << 8 * column.width - 1) if column.is_signed else 0
        number = rnd.choice((low, low + (1 << 8 * column.width) - 1, 0, low + rnd.getrandbits(8 * column.width)))
        return number.to_bytes(column.size, "little", signed=column.is_signed)
    if form == Form.YEAR:
        return rnd.choice((0, 1901, 2155, 2024, rnd.choice((1900, 2156)))).to_bytes(2, "little")
    if form in (Form.DATE, Form.DATETIME, Form.TIMESTAMP):
        return date(rnd, column)
    if form == Form.TIME:
        return time(rnd, column)
    if form == Form.DECIMAL:
        return packed(decimal(rnd, column))
    if form == Form.BITS:
        return packed(rnd.randbytes(column.width))
    if form == Form.BYTES:
        return packed(
            rnd.randbytes(rnd.choice((0, 1, 9, 250, 251, 255, 300, 70_000) if column.width > 2 else (0, 1, 9)))
        )
    return rnd.randbytes(column.size)


def decimal(rnd: random.Random, column: ResultColumn) -> bytes:
    whole = str(rnd.randrange(10 ** rnd.randint(0, column.precision - column.scale)))
    text = rnd.choice(("", "-")) + rnd.choice(("", "000")) + (whole if whole != "0" else rnd.choice(("", "0")))
    fraction = f".{rnd.randrange(10**column.scale):0{column.scale}d}" if column.scale else ""
    return (text + fraction).encode()


def micros(rnd: random.Random, column: ResultColumn) -> bytes:
    unit = 10 ** (6 - column.scale)
    return struct.pack("<I", rnd.randrange(10**column.scale) * unit)


def date(rnd: random.Random, column: ResultColumn) -> bytes:
    years = (1970, 2000, 2024, 2106) if column.form == Form.TIMESTAMP else (0, 1, 1582, 2024, 9999)
    parts = struct.pack("<HBB", rnd.choice(years), rnd.randint(0, 12), rnd.randint(0, 31))
    clock = bytes((rnd.randint(0, 23), rnd.randint(0, 59), rnd.randint(0, 59)))
    length = rnd.choice((0, 4) if column.form == Form.DATE else (0, 4, 7, 11))
    return bytes((length,)) + (parts + clock + micros(rnd, column))[:length]


def time(rnd: random.Random, column: ResultColumn) -> bytes:
    parts = struct.pack("<BIBBB", rnd.randint(0, 1), rnd.randint(0, 34), rnd.randint(0, 23), rnd.randint(0, 59), 59)
    length = rnd.choice((0, 8, 12))
    return bytes((length,)) + (parts + micros(rnd, column))[:length]


def packed(raw: bytes) -> bytes:
    """Bytes with their length."""
    if len(raw) < 251:
        return bytes((len(raw),)) + raw
    return (
        b"\xfc" + struct.pack("<H", len(raw)) + raw
        if len(raw) < 65536
        else b"\xfd" + struct.pack("<I", len(raw))[:3] + raw
    )


def row(rnd: random.Random, columns: list[ResultColumn]) -> bytes:
    """The payload of a row packet."""
    nulls = [rnd.random() < 0.2 for _ in columns]
    bits = sum(1 << n + 2 for n, is_null in enumerate(nulls) if is_null)
    values = [value(rnd, column) for column, is_null in zip(columns, nulls, strict=True) if not is_null]
    return b"\0" + bits.to_bytes((len(columns) + 9) // 8, "little") + b"".join(values)


def packet(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + b"\7" + payload


class Case:
    """Some columns, and rows of them in a buffer."""

    def __init__(self, rnd: random.Random, damage: float) -> None:
        self.columns = [result_column(rnd) for _ in range(rnd.choice((1, 2, 6, 7, 14, 15, 40)))]
        self.rows = [row(rnd, self.columns) for _ in range(rnd.randint(1, 5))]
        self.rows = [damaged(rnd, item) if rnd.random() < damage else item for item in self.rows]
        self.buffer = bytearray(b"".join(map(packet, self.rows)))

    def by_kernel(self, size: int, room: int):
        """Images, rows, the place behind them and that of the last one."""
        rows = backend.ResultRows(self.columns)
        at, last = rows.take(self.buffer, 0, size, room)
        return rows.row_count, rows.images(), at, last

    def by_python(self, count: int) -> bytes:
        """The images of the first rows."""
        images, rows = RowImages(self.columns), pure.ResultRows(self.columns)
        for item in self.rows[:count]:
            rows.put(images.image(item))
        return rows.images()


def taken_of_damaged(rnd: random.Random, count: int) -> int:
    """Rows that the kernel takes of so many damages of some packets."""
    case, taken = Case(rnd, 0), 0
    for _ in range(count):
        rows, buffer = backend.ResultRows(case.columns), bytearray(damaged(rnd, bytes(case.buffer)))
        rows.take(buffer, 0, len(buffer), rnd.choice((1, 100, 1 << 30)))
        taken += rows.row_count
    return taken
