"""What hypothesis may draw for PostgreSQL: columns of every type and arrays of them, keys, replica identities."""

import json
from dataclasses import replace

from hypothesis import strategies as st

from tests import printed
from tests.fuzz.mysql_columns import scaled
from tests.fuzz.tables import Column, Kind, Table

ALPHABET = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.text(ALPHABET, max_size=20)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=20,
)
FAR = st.sampled_from(("infinity", "-infinity", "0044-03-15 01:02:03 BC", "10000-01-01 00:00:00"))
TYPES = ("create type mood as enum ('so so', 'g\u00f6od', '\"', 'a,b')", "create type pair as (a int, b text)",
         "create domain positive as numeric(9,3) check (value > 0)")  # fmt: skip


@st.composite
def postgres_tables(draw) -> Table:
    """A table, its publication, and the connection that changes it."""
    kinds = draw(st.lists(columns_of_any_type(), min_size=1, max_size=12))
    columns = tuple(Column(*draw(names(number)), kind, draw(st.booleans())) for number, kind in enumerate(kinds))
    others = [column for column in columns if column.kind.is_key and not column.is_nullable]
    in_key = draw(st.lists(st.sampled_from(others), max_size=3, unique_by=id) if others else st.just([]))
    parts = ", ".join(("id", *(column.quoted for column in in_key)))
    identity, key_kind = draw(
        st.sampled_from(
            (("full", ""), ("full", "primary key"), ("default", "primary key"), ("using index t_key", "unique"))
        )
    )
    definitions = ["id bigint not null", *(column.definition for column in columns)]
    if key_kind:
        definitions.append(f"constraint t_key {key_kind} ({parts})")
    statements = (
        *TYPES,
        f"create table t ({', '.join(definitions)})",
        *(
            f"alter table t alter {column.quoted} set storage external"
            for column in columns
            if column.kind.declared == "text"
        ),
        f"alter table t replica identity {identity}",
        "create publication pub for all tables",
    )
    key = None if identity == "full" else frozenset(("id", *(column.name for column in in_key)))
    return Table(columns, statements, ("set time zone 'UTC'",), key)


@st.composite
def names(draw, number: int) -> tuple[str, str]:
    """A column's name, quoted and as it is."""
    name = f"{draw(st.just('c') | st.text(ALPHABET, max_size=5))}{number}"
    return '"' + name.replace('"', '""') + '"', name


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def columns_of_any_type() -> st.SearchStrategy[Kind]:
    """A column of any type: half of them numbers and texts, some of them arrays."""
    elements = st.one_of(numbers(), numbers(), strings(), strings(), instants(), structured(), others())
    return st.one_of(elements, elements, elements, arrays(elements), toasted())


def numbers() -> st.SearchStrategy[Kind]:
    integers = {"int2": 16, "int4": 32, "int8": 64}
    signed = st.sampled_from(list(integers)).map(
        lambda name: Kind(name, st.integers(-(1 << integers[name] - 1), (1 << integers[name] - 1) - 1).map(quoted_value), "{}::text", int, is_key=True)
    )  # fmt: skip
    oid = Kind("oid", st.integers(0, (1 << 32) - 1).map(quoted_value), "{}::text", int, is_key=True)
    boolean = Kind("bool", st.sampled_from(("'t'", "'f'")), "{}::text", printed.postgres_bool, is_key=True)
    wide = st.tuples(st.integers(-(10**40), 10**40), st.integers(0, 50)).map(lambda pair: quoted(scaled(*pair)))
    numeric = Kind(
        "numeric", wide | st.sampled_from(("'NaN'", "'Infinity'", "'-Infinity'", "'1e300'")), "{}::text", is_key=True
    )
    floats = st.sampled_from((("float4", 32), ("float8", 64))).map(
        lambda pair: Kind(
            pair[0], st.floats(width=pair[1]).map(quoted_value), "{}::text", printed.postgres_float, is_key=True
        )
    )
    money = Kind("money", st.integers(-(10**15), 10**15).map(lambda number: quoted(scaled(number, 2))), "{}::text")
    return st.one_of(signed, exact_numerics(), floats, st.sampled_from((oid, boolean, numeric, money)))


def quoted_value(value: object) -> str:
    return f"'{value!r}'"


@st.composite
def exact_numerics(draw) -> Kind:
    precision = draw(st.integers(1, 100))
    scale = draw(st.integers(0, precision))
    highest = 10**precision - 1
    literals = st.integers(-highest, highest).map(lambda number: quoted(scaled(number, scale)))
    return Kind(f"numeric({precision},{scale})", literals, "{}::text", is_key=True)


def strings() -> st.SearchStrategy[Kind]:
    long = st.text(ALPHABET, min_size=1, max_size=5).map(lambda text: text * 100)
    text = Kind("text", (TEXTS | long).map(quoted), "{}::text")
    name = Kind("name", st.text(ALPHABET, max_size=15).map(quoted), "{}::text", is_key=True)
    char = Kind('"char"', st.characters(min_codepoint=1, max_codepoint=127).map(quoted), "{}::text")
    sized = st.integers(1, 60).flatmap(
        lambda size: st.sampled_from(
            (
                Kind(f"varchar({size})", st.text(ALPHABET, max_size=size).map(quoted), "{}::text"),
                Kind(f"char({size})", st.text(ALPHABET, max_size=size).map(quoted), f"rpad({{}}::text, {size})"),
            )
        )
    )
    raw = Kind("bytea", st.binary(max_size=40).map(lambda raw: f"'\\x{raw.hex()}'"), "{}::text", printed.postgres_bytea)
    return st.one_of(st.sampled_from((text, name, char, raw)), sized)


def instants() -> st.SearchStrategy[Kind]:
    stamps = st.datetimes().map(str) | FAR
    days = st.dates().map(str) | st.sampled_from(("infinity", "0044-03-15 BC", "10000-01-01"))
    times, zones = st.times().map(str), st.sampled_from(("", "+05:30", "-11", "+00"))
    zoned = st.tuples(st.datetimes().map(str), zones).map("".join) | FAR
    clocks = st.tuples(times, zones).map("".join)
    spans = st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999), st.timedeltas()).map(
        lambda parts: f"{parts[0]} months {parts[1]} days {parts[2].total_seconds() / 1e6:.6f} seconds"
    )
    day = Kind("date", days.map(quoted), "{}::text", is_key=True)
    span = Kind("interval", spans.map(quoted), "{}::text", is_key=True)
    return st.one_of(
        st.sampled_from((day, span)),
        st.integers(0, 6).flatmap(
            lambda decimals: st.sampled_from(
                (
                    Kind(
                        f"timestamp({decimals})",
                        stamps.map(quoted),
                        "{}::text",
                        printed.postgres_timestamp,
                        is_key=True,
                    ),
                    Kind(
                        f"timestamptz({decimals})",
                        zoned.map(quoted),
                        "{}::text",
                        printed.postgres_timestamptz,
                        is_key=True,
                    ),
                    Kind(f"time({decimals})", times.map(quoted), "{}::text", is_key=True),
                    Kind(f"timetz({decimals})", clocks.map(quoted), "{}::text", is_key=True),
                )
            )
        ),
    )


def structured() -> st.SearchStrategy[Kind]:
    written = st.tuples(DOCUMENTS, st.sampled_from((None, 1)), st.booleans()).map(
        lambda parts: quoted(json.dumps(parts[0], indent=parts[1], ensure_ascii=parts[2]))
    )
    moods = Kind("mood", st.sampled_from(("'so so'", "'g\u00f6od'", "'\"'", "'a,b'")), "{}::text", is_key=True)
    pairs = st.tuples(st.integers(-(1 << 31), (1 << 31) - 1), TEXTS).map(
        lambda pair: f"row({pair[0]}, {quoted(pair[1])})::pair"
    )
    positives = st.integers(1, 10**9 - 1).map(lambda number: quoted(scaled(number, 3)))
    bounds = st.tuples(
        st.integers(-(1 << 31), 0), st.integers(1, (1 << 31) - 2), st.sampled_from("[("), st.sampled_from("])")
    )
    ranges = (bounds.map(lambda b: f"{b[2]}{b[0]},{b[1]}{b[3]}") | st.sampled_from(("empty", "(,)", "[1,)"))).map(
        quoted
    )
    return st.sampled_from(
        (
            Kind("json", written, "{}::text", json.loads),
            Kind("jsonb", written, "{}::text", json.loads),
            moods,
            Kind("pair", pairs, "{}::text"),
            Kind("positive", positives, "{}::text"),
            Kind("int4range", ranges, "{}::text"),
            Kind("numrange", ranges, "{}::text"),
            Kind("int4multirange", ranges.map(lambda text: f"{text}::int4range::int4multirange"), "{}::text"),
        )
    )


def others() -> st.SearchStrategy[Kind]:
    """Types that are text in an event: what the server prints."""
    floats = st.floats(-1e9, 1e9)
    points = st.tuples(floats, floats).map(lambda at: f"({at[0]!r},{at[1]!r})")
    paths = st.lists(points, min_size=2, max_size=5).map(",".join)
    words = st.lists(
        st.text(ALPHABET, min_size=1, max_size=9).map(lambda w: quoted(w.replace("\\", ""))), max_size=4
    ).map(" ".join)
    digits = st.text("01", min_size=1, max_size=70)
    addresses = st.ip_addresses().map(str)
    literals = {
        "uuid": st.uuids().map(str), "cidr": addresses, "macaddr": st.binary(min_size=6, max_size=6).map(bytes.hex),
        "macaddr8": st.binary(min_size=8, max_size=8).map(bytes.hex), "varbit": digits, "point": points,
        "box": st.tuples(points, points).map(",".join), "path": paths.map("[{}]".format), "polygon": paths.map("({})".format),
        "lseg": st.tuples(points, points).map(",".join), "circle": st.tuples(points, st.floats(0, 1e6)).map("<{0[0]},{0[1]!r}>".format),
        "tsvector": words, "pg_lsn": st.integers(0, (1 << 64) - 1).map(lambda n: f"{n >> 32:X}/{n & 0xFFFFFFFF:X}"),
    }  # fmt: skip
    plain = [Kind(name, texts.map(quoted), "{}::text") for name, texts in literals.items()]
    inet = Kind("inet", addresses.map(quoted), "to_json({}) #>> '{{}}'")
    bits = st.integers(1, 70).flatmap(
        lambda size: st.just(Kind(f"bit({size})", st.text("01", min_size=size, max_size=size).map(quoted), "{}::text"))
    )
    return st.one_of(st.sampled_from([*plain, inet]), bits)


def arrays(elements: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    """Of one or two dimensions, with nulls; of types whose elements the server prints as it prints a column."""
    return elements.filter(lambda kind: kind.printed == "{}::text" and kind.declared != "money").map(_array)


def _array(kind: Kind) -> Kind:
    items = kind.literals | st.just("null")
    rows = st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(items, min_size=width, max_size=width).map(_items), min_size=1, max_size=3)
    )
    lists = st.lists(items, max_size=5).map(_items) | rows.map(_items)
    return Kind(
        f"{kind.declared}[]",
        lists.map(lambda text: f"array{text}::{kind.declared}[]"),
        "to_json({}::text[])::text",
        printed.list_of(kind.read),
    )


def _items(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def toasted() -> st.SearchStrategy[Kind]:
    """Text of some kilobytes: stored apart, and not in the log of an update of other columns."""
    short = strings().filter(lambda kind: kind.declared == "text")
    long = TEXTS.map(lambda text: f"{quoted(text)} || repeat('0123456789', 300)")
    return short.map(lambda kind: replace(kind, literals=kind.literals | long))
