"""Random pgoutput row messages through the kernel, and through the Python decoders beside it."""

import random
import struct

from deltaforge.core.batch import DecodedGroup, EventGroup
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.kernel import compiled as kernel
from deltaforge.kernel.pure import Transaction
from deltaforge.protocol.postgres.messages import Relation, RelationColumn, decode_message
from deltaforge.protocol.postgres.values import DECODERS, TypeInfo
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper, RowPlace
from tests.fuzz.mysql_input import TEXTS, damaged
from tests.fuzz.numbers import document_text
from tests.reading import ENCODERS
from tests.schemas import registered

NUMBERS = ("0", "-1", "12345678901234567", "9223372036854775807", "-9223372036854775808")
FLOATS = ("0", "-0", "1", "0.1", "1e+100", "1.5e-07", "NaN", "-Infinity", "123456.789", "1e15", "1e16")
JSON = (
    "{}", "[]", "null", '{"a": 1, "b": [true, false, null]}', '{"a":1,"a":2}', '"\\u00e9\\ud83d\\ude00\\n"', "1.50", "-0",
    "-0.0", "1e400", "0.1000000000000000055511151231257827", "123456789012345678901234567890", '{"x": "\\"\\\\"}',
    "12345678901234567890", "1E2", '  {"a" : [ 1 , 2 ] }  ', '{"a":1', "[1,]", '"\\ud800"', "1.7976931348623157e308",
)  # fmt: skip
ARRAYS = ("{}", "{1,2,NULL}", '{"a b","c\\"d",e}', "{{1,2},{3,4}}", "[0:1]={1,2}", "{null,nil}", '{"NULL"}', "{t,f}")
HSTORES = (
    "", '"a"=>"1", "b"=>NULL', r'"q\"\\"=>"\\", "b"=>"\u00e9\n"', '"b"=>"1", "a"=>"2"', '"a"=>"1", "a"=>"2"', '"a"=>"1", ',
    '"a"=>"1""b"=>"2"', '"a"=>1', '"a"', '"a"=>"1', "x", '"NULL"=>"NULL", ""=>""',
    ", ".join(f'"key{n}"=>"{n}"' for n in range(100)),
)  # fmt: skip
MANY_KEYS = tuple(
    "{" + ", ".join(f'"k{n}": {n}' for n in numbers) + "}"
    for numbers in (range(10, 99), range(99, 10, -1), (*range(40, 90), 60), (7, 3, 7))
)
OTHERS = {
    "bool": ("t", "f", "x"), "bytea": ("\\x", "\\x00ff10", "\\xabc", "abc\\001"), "hstore": HSTORES,
    "timestamp": ("2024-01-02 03:04:05.123", "infinity", "0044-03-15 00:00:00 BC"),
    "timestamptz": ("2024-01-02 03:04:05+00", "2024-01-02 03:04:05.6+00", "-infinity", "2024-01-02 03:04:05+02"),
    "float4": FLOATS, "float8": FLOATS, "json": JSON + MANY_KEYS, "jsonb": JSON + MANY_KEYS,
    **dict.fromkeys(("int2", "int4", "int8", "oid", "xid", "xid8", "cid"), NUMBERS),
}  # fmt: skip
TYPES = {1000 + n: TypeInfo(1000 + n, name) for n, name in enumerate(DECODERS)}
ARRAY_TYPES = {oid + 1000: TypeInfo(oid + 1000, "_" + info.name, element=oid) for oid, info in TYPES.items()}


def keyed(values) -> list[bytes]:
    """Values with their keys."""
    return [b"%s %s" % (values.key(n), values[n]) for n in range(len(values))]


class Case:
    """A relation and a few row messages of it."""

    def __init__(self, rnd: random.Random, damage: float) -> None:
        oids = [rnd.choice([*TYPES, *rnd.sample(list(ARRAY_TYPES), 10)]) for _ in range(rnd.randint(1, 10))]
        self._types = TYPES | ARRAY_TYPES
        names = [rnd.choice(TEXTS) + f"c{n}" for n in range(len(oids))]
        columns = tuple(RelationColumn(name, oid, -1, False) for name, oid in zip(names, oids, strict=True))
        key = tuple(name for name in names if rnd.random() < 0.3)
        schema = TableSchema(TableId("d", "s", 't"'), tuple(Column(name, "x") for name in names), key)
        mapper = EventMapper("p", "acm\u00e9", "d", keeps_marker=rnd.random() < 0.3)
        self.table = CapturedTable(Relation(77, "s", "t", "f", columns), registered(schema), self._types, mapper)
        self._first = rnd.choice((0, 0, (1 << 24) - 2, (3 << 24) - 2))  # messages before these
        tag = rnd.choice(b"IUD")
        self.messages = [self._message(rnd, tag, oids) for _ in range(rnd.randint(1, 3))]
        if rnd.random() < damage:
            # One message: the kernel looks at the lengths of all of them before the first value of any.
            self.messages = [damaged(rnd, self.messages[0])]
        self.encoder = rnd.choice(ENCODERS)

    def row_groups(self) -> list[EventGroup]:
        """The rows as groups; what the kernel leaves to Python is done by Python here too.

        Raises:
            DeltaForgeError: Nothing can decode them.
        """
        block = kernel.copy_data([b"w" + struct.pack(">QQQ", 1, 2, 3) + message for message in self.messages])
        transaction = kernel.Transaction("postgresql", "sys", "0/1", "", None)
        transaction.ordinal = self._first
        groups, index = [], 0
        while index < block.count:
            stop, group, _, _ = block.rows(index, {77: self.table}, transaction, 1_700_000_000_123, 9, b"0/1")
            if group is None:
                transaction.ordinal += 1
                place = RowPlace(transaction, transaction.ordinal, 1_700_000_000_123, 9, "0/1")
                message = decode_message(block.message(index)[25:])
                group, stop = DecodedGroup([self.table.mapper.row(self.table, message, place)]), index + 1
            groups.append(group)
            index = stop
        return groups

    def by_kernel(self) -> list[bytes] | str:
        """Values with their keys, or the error."""
        try:
            return keyed(self.encoder.encode_groups(self.row_groups()))
        except DeltaForgeError as error:
            return f"{type(error).__name__}: {error}"

    def by_python(self) -> list[bytes] | str:
        """The same from the Python decoders."""
        place = RowPlace(Transaction("postgresql", "sys", "0/1", "", None), 0, 1_700_000_000_123, 9, "0/1")
        place.ordinal = self._first
        events = []
        try:
            for data in self.messages:
                place.ordinal += 1
                events.append(self.table.mapper.row(self.table, decode_message(data), place))
            return keyed(self.encoder.encode_each([DecodedGroup(events)]))
        except DeltaForgeError as error:
            return f"{type(error).__name__}: {error}"

    def _message(self, rnd: random.Random, tag: int, oids: list[int]) -> bytes:
        data = bytes((tag,)) + struct.pack(">I", 77)
        if tag == ord("D") or (tag == ord("U") and rnd.random() < 0.7):
            data += rnd.choice((b"K", b"O")) + self._tuple(rnd, oids)
        return data if tag == ord("D") else data + b"N" + self._tuple(rnd, oids)

    def _tuple(self, rnd: random.Random, oids: list[int]) -> bytes:
        data = struct.pack(">H", len(oids))
        for oid in oids:
            dice = rnd.random()
            if dice < 0.2:
                data += b"n" if dice < 0.1 else b"u"
                continue
            info = self._types[oid]
            texts = ARRAYS if info.element else OTHERS.get(info.name, TEXTS)
            is_random = info.name in ("json", "jsonb") and rnd.random() < 0.6
            text = (document_text(rnd) if is_random else rnd.choice(texts)).encode()
            data += b"t" + struct.pack(">I", len(text)) + text
        return data


def plain_table() -> CapturedTable:
    """A table with one integer column, which is its key."""
    relation = Relation(7, "s", "t", "d", (RelationColumn("id", 23, -1, True),))
    schema = TableSchema(TableId("d", "s", "t"), (Column("id", "integer"),), ("id",))
    return CapturedTable(relation, registered(schema), {23: TypeInfo(23, "int4")}, EventMapper("p", "acme", "d"))
