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
FAR = st.sampled_from(
    ("infinity", "-infinity", "0044-03-15 01:02:03 BC", "10000-01-01 00:00:00", "4713-01-01 00:00:00 BC", "0001-01-01 00:00:00",
     "294276-12-31 23:59:59", "2016-12-31 23:59:60", "2016-12-31 24:00:00", "epoch", "1999-12-31 23:59:59.9999999")
)  # fmt: skip
WITH_ANY_ZONE = st.datetimes().filter(lambda at: 1 < at.year < 9999)
LABELS = ("so so", "g\u00f6od", '"', "a,b", "", "NULL", "null", "{}", "\\", "\n", " ", "\U0001f600", "x" * 63)
TYPES = (
    f"create type mood as enum ({', '.join(chr(39) + label + chr(39) for label in LABELS)})",
    "create type pair as (a int, b text)",
    'create type "out er" as (p pair, "q""" pair[], n numeric)',
    "create type spread as range (subtype = text)",
    "create domain positive as numeric(9,3) check (value > 0)",
    "create domain small as positive",
    "create domain words as text[]",
)


@st.composite
def postgres_tables(draw, *, has_contrib: bool) -> Table:
    """A table, its publication, and the connection that changes it; ``has_contrib``: of a server with more types."""
    column = columns_of_any_type()
    kinds = draw(st.lists(st.one_of(*[column] * 20, contributed()) if has_contrib else column, min_size=1, max_size=12))
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
    table, name = draw(table_names())
    statements = (
        *TYPES,
        *(f"create extension {extension}" for extension in EXTENSIONS if has_contrib),
        f"create table {table} ({', '.join(definitions)})",
        *(
            f"alter table {table} alter {column.quoted} set storage external"
            for column in columns
            if column.kind.declared == "text"
        ),
        f"alter table {table} replica identity {identity}",
        "create publication pub for all tables",
    )
    key = None if identity == "full" else frozenset(("id", *(column.name for column in in_key)))
    return Table(columns, statements, ("set time zone 'UTC'",), key, quoted=table, name=name)


EXTENSIONS = ("hstore", "citext", "ltree")
RESERVED = ("select", "from", "user", "a.b", "a b", '"', '""', "'", "\\n", "%s", "{}", "_base64", "before", "ID2", " ")


@st.composite
def table_names(draw) -> tuple[str, str]:
    """A table's name, quoted and as it is."""
    odd = st.text(ALPHABET, max_size=15) | st.text(st.sampled_from("ab_9$ ."), max_size=62) | st.sampled_from(RESERVED)
    name = draw(st.just("t") | odd.map(lambda text: f"{text}t"))
    return identifier(name), name


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def names(draw, number: int) -> tuple[str, str]:
    """A column's name, quoted and as it is."""
    odd = st.text(ALPHABET, max_size=5) | st.text(st.sampled_from("abc_9$ ."), min_size=40, max_size=60)
    name = f"{draw(st.just('c') | odd)}{number}"
    name = name if number else draw(st.just(name) | st.sampled_from(RESERVED))
    return identifier(name), name


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
    special = st.sampled_from(
        ("'NaN'", "'Infinity'", "'-Infinity'", "'1e300'", "'1e-16383'", "'-9.99e-16380'", "'-0'", "'0e-50'")
    )
    longest = st.integers(0, 40).map(lambda n: "repeat('9', 131072)::numeric + 0.5" if n == 40 else f"'{n}.{n}'")
    numeric = Kind("numeric", wide | special, "{}::text", is_key=True)
    long_numeric = Kind("numeric", longest, "{}::text")
    odd_numeric = st.sampled_from(
        (
            Kind("numeric(3,5)", st.integers(-999, 999).map(lambda n: quoted(scaled(n, 5))), "{}::text", is_key=True),
            Kind("numeric(4,-3)", st.integers(-9999, 9999).map(lambda n: f"'{n}000'"), "{}::text", is_key=True),
            Kind("numeric(1000,500)", wide, "{}::text", is_key=True),
        )
    )
    floats = st.sampled_from((("float4", 32), ("float8", 64))).map(
        lambda pair: Kind(
            pair[0], st.floats(width=pair[1]).map(quoted_value), "{}::text", printed.postgres_float, is_key=True
        )
    )
    amounts = st.integers(-(10**15), 10**15) | st.sampled_from((-(1 << 63), (1 << 63) - 1))
    money = Kind("money", amounts.map(lambda number: quoted(scaled(number, 2))), "{}::text")
    xid8 = Kind("xid8", st.integers(0, (1 << 64) - 1).map(quoted_value), "{}::text", int)
    rare = st.sampled_from((oid, boolean, numeric, money, long_numeric, xid8))
    return st.one_of(signed, exact_numerics(), floats, rare, odd_numeric)


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
    name = Kind("name", (st.text(ALPHABET, max_size=15) | st.just("n" * 63)).map(quoted), "{}::text", is_key=True)
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
    days = st.dates().map(str) | st.sampled_from(
        ("infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "4714-11-24 BC", "5874897-12-31", "epoch")
    )
    times = st.times().map(str) | st.sampled_from(("24:00:00", "23:59:60", "23:59:59.9999999", "00:00"))
    zones = st.sampled_from(("", "+05:30", "-11", "+00", "+15:59:59", "-15:59:59", "+00:00:01"))
    zoned = st.tuples(WITH_ANY_ZONE.map(str), zones).map("".join) | FAR
    clocks = st.tuples(times, zones).map("".join)
    spans = st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999), st.timedeltas()).map(
        lambda parts: f"{parts[0]} months {parts[1]} days {parts[2].total_seconds() / 1e6:.6f} seconds"
    ) | st.sampled_from(
        ("178000000 years", "-178000000 years", "-1 days +00:00:01", "2562047788:00:54.775807", "1 mon -1 day", "-0.000001 seconds", "0")
    )  # fmt: skip
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
    moods = Kind("mood", st.sampled_from(LABELS).map(quoted), "{}::text", is_key=True)
    numbers = st.sampled_from(("1e400", "-0", "-0.0", "0.10", "1e-7", "123456789012345678901234567890", "-1.50E+2"))
    exact = st.tuples(numbers, st.sampled_from((1, 3, 150))).map(lambda p: quoted("[" * p[1] + p[0] + "]" * p[1]))
    doubled = st.just('\'{"a": 1, "b": [], "a": {"": null}}\'')
    escaped = st.just("'\"\\u0000\\b\\/\\ud83d\\ude00\"'")
    pairs = st.tuples(st.integers(-(1 << 31), (1 << 31) - 1), TEXTS).map(
        lambda pair: f"row({pair[0]}, {quoted(pair[1])})::pair"
    )
    nested = st.tuples(pairs, pairs, st.integers()).map(lambda p: f'row({p[0]}, array[{p[1]}, null], {p[2]})::"out er"')
    positives = st.integers(1, 10**9 - 1).map(lambda number: quoted(scaled(number, 3)))
    bounds = st.tuples(
        st.integers(-(1 << 31), 0), st.integers(1, (1 << 31) - 2), st.sampled_from("[("), st.sampled_from("])")
    )
    ranges = (bounds.map(lambda b: f"{b[2]}{b[0]},{b[1]}{b[3]}") | st.sampled_from(("empty", "(,)", "[1,)"))).map(
        quoted
    )
    return st.sampled_from(
        (
            Kind("json", written, "{}::text", printed.json_value),
            Kind("json", written | exact | doubled | escaped, "{}::text", printed.json_value),
            Kind("jsonb", written | exact | doubled, "{}::text", printed.json_value),
            Kind("jsonb", written, "{}::text", printed.json_value),
            moods,
            Kind('"out er"', nested, "{}::text"),
            Kind("small", positives, "{}::text"),
            Kind(
                "words",
                st.lists(TEXTS.map(quoted), max_size=3).map(lambda w: f"array[{', '.join(w)}]::text[]"),
                "to_json({}::text[])::text",
                printed.json_value,
            ),
            Kind(
                "spread",
                st.tuples(TEXTS, TEXTS).map(sorted).map(lambda p: f"spread({quoted(p[0])}, {quoted(p[1])}, '[]')"),
                "{}::text",
            ),
            Kind("int8range", ranges, "{}::text"),
            Kind(
                "daterange", st.sampled_from(("'[2024-01-01,infinity)'", "'(,0044-03-15 BC]'", "'empty'")), "{}::text"
            ),
            Kind(
                "tsrange",
                st.tuples(st.datetimes(), st.datetimes()).map(sorted).map(lambda p: f"'[{p[0]},{p[1]}]'"),
                "{}::text",
            ),
            Kind(
                "tstzmultirange",
                WITH_ANY_ZONE.map(lambda at: f"'{{[{at}+00,infinity]}}'"),
                "{}::text",
            ),
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
    digits = st.text("01", max_size=70)
    addresses = st.ip_addresses().map(str)
    literals = {
        "uuid": st.uuids().map(str), "cidr": addresses, "macaddr": st.binary(min_size=6, max_size=6).map(bytes.hex),
        "macaddr8": st.binary(min_size=8, max_size=8).map(bytes.hex), "varbit": digits, "point": points,
        "box": st.tuples(points, points).map(",".join), "path": paths.map("[{}]".format), "polygon": paths.map("({})".format),
        "lseg": st.tuples(points, points).map(",".join), "circle": st.tuples(points, st.floats(0, 1e6)).map("<{0[0]},{0[1]!r}>".format),
        "xid": st.integers(0, (1 << 32) - 1).map(str), "tid": st.sampled_from(("(0,1)", "(4294967295,65535)")),
        "line": st.sampled_from(("{1,-1,0}", "{0,1e300,-1e-300}")), "tsquery": st.just("!a & (b:*AB | 'c d' <-> e)"),
        "jsonpath": st.sampled_from(("$", '$."a b"[*] ? (@ > 1 && exists (@.x))', "strict $.*")),
        "pg_snapshot": st.just("10:20:10,14,15"), "int2vector": st.sampled_from(("", "1 -2")), "oidvector": st.just("1 2"),
        "regtype": st.sampled_from(("integer", "mood[]", "-")), "refcursor": TEXTS,
        "tsvector": words, "pg_lsn": st.integers(0, (1 << 64) - 1).map(lambda n: f"{n >> 32:X}/{n & 0xFFFFFFFF:X}"),
    }  # fmt: skip
    digits_of = {"xid": int}
    plain = [Kind(name, texts.map(quoted), "{}::text", digits_of.get(name, str)) for name, texts in literals.items()]
    inet = Kind("inet", addresses.map(quoted), "to_json({}) #>> '{{}}'")
    bits = st.integers(1, 70).flatmap(
        lambda size: st.just(Kind(f"bit({size})", st.text("01", min_size=size, max_size=size).map(quoted), "{}::text"))
    )
    return st.one_of(st.sampled_from([*plain, inet]), bits)


def arrays(elements: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    """Of one or two dimensions, with nulls; of types whose elements the server prints as it prints a column. Some have
    six dimensions, or begin at other places than 1: such rows are rare, and one of them leaves others to Python.
    """
    plain = elements.filter(lambda kind: kind.printed == "{}::text" and kind.declared != "money")
    return st.one_of(*[plain.map(_array)] * 4, plain.map(_odd_array))


def _array(kind: Kind) -> Kind:
    items = kind.literals | st.just("null")
    rows = st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(items, min_size=width, max_size=width).map(_items), min_size=1, max_size=3)
    )
    lists = st.lists(items, max_size=5).map(_items) | rows.map(_items)
    return _array_of(kind, lists.map(lambda text: f"array{text}::{kind.declared}[]"))


def _odd_array(kind: Kind) -> Kind:
    deep = kind.literals.map(lambda item: f"array[[[[[[{item}]]]]]]::{kind.declared}[]")
    moved = kind.literals.map(lambda item: f"array_fill({item}::{kind.declared}, array[2,1,2], array[3,-2,0])")
    return _array_of(kind, deep | moved)


def _array_of(kind: Kind, literals: st.SearchStrategy[str]) -> Kind:
    return Kind(f"{kind.declared}[]", literals, "to_json({}::text[])::text", printed.list_of(kind.read))


def _items(items: list[str]) -> str:
    return f"[{', '.join(items)}]"


def contributed() -> st.SearchStrategy[Kind]:
    """Types of extensions, and XML, which not every server was built with."""
    pairs = st.dictionaries(TEXTS, st.none() | TEXTS, max_size=4).map(
        lambda found: " || ".join(
            ["''::hstore", *(f"hstore({quoted(key)}, {quoted(text) if text is not None else 'null'})" for key, text in found.items())]
        )
    )  # fmt: skip
    return st.sampled_from(
        (
            Kind("hstore", pairs, "hstore_to_json({})::text", printed.json_value),
            Kind("citext", TEXTS.map(quoted), "{}::text", is_key=True),
            Kind("ltree", st.sampled_from(("''", "'a.B_1.c'")), "{}::text"),
            Kind("xml", st.sampled_from(("'<a b=\"\u00e9\">&amp;<![CDATA[]]></a>'", "'text'")), "{}::text"),
        )
    )  # fmt: skip


def toasted() -> st.SearchStrategy[Kind]:
    """Text of some kilobytes: stored apart, and not in the log of an update of other columns."""
    short = strings().filter(lambda kind: kind.declared == "text")
    long = TEXTS.map(lambda text: f"{quoted(text)} || repeat('0123456789', 300)")
    return short.map(lambda kind: replace(kind, literals=kind.literals | long))
