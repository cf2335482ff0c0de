"""What hypothesis may draw for MySQL and MariaDB: columns of every type, keys, character sets, engines, row images."""

import json
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import strategies as st

from deltaforge.protocol.mysql.charsets import _CODECS
from tests import printed
from tests.fuzz.tables import Column, Kind, Table

CHARSETS = {"latin1": "cp1252"} | {name: codec for name, codec in _CODECS.items() if codec and name != "utf8"}
INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
ANY_CHARACTER = st.characters(codec="utf-8", exclude_characters="\ufffd")
"""But the one that some servers store for those that they do not know."""
JSON_TEXTS = st.text(st.characters(codec="utf-8"), max_size=9)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | JSON_TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(JSON_TEXTS, inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@st.composite
def mysql_tables(draw, flavor: str) -> Table:
    """A table of ``mysql`` or ``mariadb``, and the connection that changes it."""
    kinds = draw(st.lists(columns_of(flavor), min_size=1, max_size=12))
    columns = tuple(Column(*draw(names(number)), kind, draw(st.booleans())) for number, kind in enumerate(kinds))
    columns = tuple(map(invisible, columns)) if draw(st.integers(0, 9)) == 9 else columns
    options = [f"character set {draw(charsets_of(flavor))}"]
    if draw(st.integers(0, 4)) == 4 and not any("vector" in kind.declared for kind in kinds):
        options.append("engine=myisam")
    image = draw(st.sampled_from(("full", "full", "minimal", "noblob")))
    definitions = ", ".join(("id bigint not null", *(column.definition for column in columns), *draw(keys(columns))))
    session = ["set sql_mode = '', time_zone = '+00:00'", f"set binlog_row_image = {image}"]
    if flavor == "mysql":
        session += [
            f"set binlog_transaction_compression = {draw(st.sampled_from(('off', 'on')))}",
            f"set binlog_row_value_options = {draw(st.sampled_from(('', 'partial_json'))) if image == 'full' else ''!r}",
        ]
    quoted, name = draw(table_names())
    return Table(
        columns,
        (f"create table {quoted} ({definitions}) {' '.join(options)}",),
        tuple(session),
        is_partial=image != "full",
        quoted=quoted,
        name=name,
    )


def invisible(column: Column) -> Column:
    """A column that ``select *`` leaves out, if it may be one without a default."""
    if column.is_nullable and not column.kind.is_generated:
        return replace(column, kind=replace(column.kind, declared=f"{column.kind.declared} invisible"))
    return column


RESERVED = (
    "select",
    "from",
    "key",
    "a.b",
    "a b",
    "`",
    "``",
    '"',
    "'",
    "\n",
    "\\",
    "%s",
    "{}",
    "_base64",
    "before",
    "ID2",
)
BMP = st.characters(min_codepoint=1, max_codepoint=0xD7FF) | st.characters(min_codepoint=0xE000, max_codepoint=0xFFFF)


@st.composite
def table_names(draw) -> tuple[str, str]:
    """A table's name, quoted and as it is. The name of its file has five characters for each that is odd."""
    odd = st.text(BMP, max_size=12) | st.text(st.sampled_from("abc_09$ "), max_size=63) | st.sampled_from(RESERVED)
    name = draw(st.just("t") | odd.map(lambda text: f"{text}t"))
    return f"`{name.replace('`', '``')}`", name


@st.composite
def names(draw, number: int) -> tuple[str, str]:
    """A column's name, quoted and as it is."""
    prefix = draw(st.just("c") | st.text(BMP, max_size=5) | st.text(BMP, min_size=40, max_size=62))
    name = (
        f"{prefix}{number}"
        if number
        else draw(st.just(f"{prefix}0") | st.sampled_from(RESERVED).map(str.strip).filter(bool))
    )
    return f"`{name.replace('`', '``')}`", name


@st.composite
def keys(draw, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """The keys of a table; none at all, too."""
    others = [column.quoted for column in columns if column.kind.is_key and not column.is_nullable]
    parts = ", ".join(
        ("id", *draw(st.lists(st.sampled_from(others), max_size=3, unique=True) if others else st.just([])))
    )
    kind = draw(st.sampled_from(("primary key", "primary key", "unique key", "key", "")))
    return (f"{kind} ({parts})",) if kind else ()


def charsets_of(flavor: str) -> st.SearchStrategy[str]:
    """Half of them those of a usual server: one column of another may leave the table's rows to Python."""
    found = sorted(CHARSETS.keys() - ({"gb18030"} if flavor == "mariadb" else set()))
    return st.sampled_from(("utf8mb4", "utf8mb3", "latin1")) | st.sampled_from(found)


def columns_of(flavor: str) -> st.SearchStrategy[Kind]:
    """A column of any type."""
    kinds = [
        integers(), decimals(), floats(), bits(), dates(), times(), timestamps(), texts(flavor), binaries(), labels(flavor),
        geometries(),
    ]  # fmt: skip
    kinds.append(generated())
    if flavor == "mysql":
        kinds += [
            st.just(Kind("json", JSON_LITERALS, "cast({} as char)", printed.json_value, changes=JSON_CHANGES)),
            vectors(),
        ]
    else:
        kinds += [st.just(Kind("json", DOCUMENTS.map(json.dumps).map(utf8))), addresses(), compressed()]
    return st.one_of(kinds)


def utf8(text: str) -> str:
    """A literal of text in whatever character set the connection has."""
    return f"_utf8mb4 x'{text.encode().hex()}'"


def generated() -> st.SearchStrategy[Kind]:
    """Columns that the server computes of ``id``."""
    whole = "bigint generated always as (id * 2 + 1)"
    text = "varchar(30) character set ascii generated always as (concat(id, 'x'))"
    kinds = [
        Kind(f"{declared} {how}", st.none(), printed_as, read, is_generated=True)
        for declared, printed_as, read in ((whole, "{}+0", int), (text, "{}", str))
        for how in ("virtual", "stored")
    ]
    return st.sampled_from(kinds)


def addresses() -> st.SearchStrategy[Kind]:
    """MariaDB's types of a fixed number of bytes."""
    four, six = st.ip_addresses(v=4), st.ip_addresses(v=6)
    return st.sampled_from(
        (
            Kind("inet4", (four.map(str) | st.just("255.255.255.255")).map(quoted), "hex(cast({} as binary(4)))", printed.base64_of_hex),
            Kind("inet6", (six.map(str) | four.map(lambda a: f"::{a}") | st.sampled_from(("::", "::1", "1::"))).map(quoted), "hex(cast({} as binary(16)))", printed.base64_of_hex),
        )
    )  # fmt: skip


@st.composite
def compressed(draw) -> Kind:
    """MariaDB's compressed texts and bytes, above and below the threshold of 100 bytes."""
    repeats = st.sampled_from((1, 1, 30))
    if draw(st.booleans()):
        name = draw(
            st.sampled_from(("varbinary(3000)", "varbinary(255)", "varbinary(200)", "tinyblob", "blob", "longblob"))
        )
        literals = st.tuples(st.binary(max_size=6), repeats).map(lambda pair: f"x'{(pair[0] * pair[1]).hex()}'")
        return Kind(f"{name} compressed", literals, "hex({})", printed.base64_of_hex)
    charset = draw(charsets_of("mariadb"))
    name = draw(
        st.sampled_from(
            ("varchar(254)", "varchar(255)", "varchar(60)", "varchar(3000)", "tinytext", "text", "longtext")
        )
    )
    literals = st.tuples(text_of(charset), repeats).map(lambda pair: utf8(pair[0][:8] * pair[1]))
    return Kind(f"{name} compressed character set {charset}", literals)


def quoted(text: str) -> str:
    return f"'{text}'"


@st.composite
def integers(draw) -> Kind:
    name, bits = draw(st.sampled_from(list(INTEGERS.items())))
    unsigned = draw(st.sampled_from(("", " unsigned", " zerofill")))
    low = 0 if unsigned else -(1 << bits - 1)
    return Kind(name + unsigned, st.integers(low, low + (1 << bits) - 1).map(str), "{}+0", int, is_key=True)


@st.composite
def decimals(draw) -> Kind:
    precision = draw(st.integers(1, 65))
    scale = draw(st.integers(0, min(30, precision)))
    highest = 10**precision - 1
    unsigned = draw(st.sampled_from(("", " unsigned")))
    literals = st.integers(0 if unsigned else -highest, highest).map(lambda number: scaled(number, scale))
    return Kind(f"decimal({precision},{scale}){unsigned}", literals, "cast({} as char)", is_key=True)


def scaled(number: int, scale: int) -> str:
    """The number times ten to the power of ``-scale``."""
    digits = str(abs(number)).zfill(scale + 1)
    whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
    return f"{'-' if number < 0 else ''}{whole}{'.' if scale else ''}{fraction}"


@st.composite
def floats(draw) -> Kind:
    unsigned = draw(st.sampled_from(("", " unsigned")))
    width, name = draw(st.sampled_from(((32, "float"), (64, "double"))))
    limits = {"min_value": 0.0} if unsigned else {}
    values = st.floats(width=width, allow_nan=False, allow_infinity=False, **limits)
    literals = values.map(lambda number: f"{number!r}" if "e" in repr(number) else f"{number!r}e0")
    if name == "float":
        return Kind(name + unsigned, literals, "{}+0e0", printed.single)
    return Kind(name + unsigned, literals, "cast({} as char)", float)


@st.composite
def bits(draw) -> Kind:
    size = draw(st.integers(1, 64))
    return Kind(
        f"bit({size})", st.integers(0, (1 << size) - 1).map(lambda number: f"b'{number:b}'"), "{}+0", int, is_key=True
    )


def dates() -> st.SearchStrategy[Kind]:
    zeros = st.sampled_from(
        ("'0000-00-00'", "'2024-00-01'", "'2024-02-00'", "'0000-01-01'", "'9999-12-31'", "'1582-10-10'")
    )
    year = Kind("year", (st.integers(1901, 2155) | st.just(0)).map(str), "{}+0", int, is_key=True)
    day = Kind(
        "date",
        st.dates().map(lambda value: f"'{value}'") | zeros,
        "cast({} as char)",
        printed.mysql_date,
        is_key=True,
    )
    return st.sampled_from((year, day))


@st.composite
def times(draw) -> Kind:
    most = timedelta(hours=838, minutes=59, seconds=59)
    bounds = st.sampled_from(
        ("'24:00:00'", "'-00:00:00.000001'", "'23:59:59.9999995'", "'838:59:59'", "'-838:59:59'", "'23:59:60'")
    )
    literals = st.timedeltas(-most, most).map(_time_literal) | bounds
    return Kind(f"time({draw(st.integers(0, 6))})", literals, "cast(cast({} as time(6)) as char)", is_key=True)


def _time_literal(value: timedelta) -> str:
    seconds, micros = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    sign = "-" if value < timedelta() else ""
    return f"'{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}'"


@st.composite
def timestamps(draw) -> Kind:
    decimals = draw(st.integers(0, 6))
    if draw(st.booleans()):
        bounds = st.sampled_from(
            ("'2024-00-01 10:00:00'", "'2024-02-00 00:00:01'", "0", "'0000-00-00 10:00:00'", "'9999-12-31 23:59:59.499999'",
             "'2016-12-31 23:59:60'", "'2016-12-31 23:59:59.9999999'", "'0000-01-01 00:00:00'")
        )  # fmt: skip
        literals = stamps(st.dates()) | bounds
        return Kind(f"datetime({decimals})", literals, printed.MYSQL_STAMP, printed.mysql_date, is_key=True)
    bounds = st.sampled_from(
        ("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "0", "'1970-01-01 00:00:00.5'", "'2038-01-19 03:14:07.999999'", "'2016-12-31 23:59:60'")
    )  # fmt: skip
    literals = stamps(st.dates(date(1970, 1, 2), date(2038, 1, 18))) | bounds
    return Kind(
        f"timestamp({decimals})", literals, f"concat({printed.MYSQL_STAMP}, 'Z')", printed.mysql_date, is_key=True
    )


def stamps(days: st.SearchStrategy[date]) -> st.SearchStrategy[str]:
    """Literals of days with any time of day."""
    return st.tuples(days, st.times()).map(lambda parts: f"'{parts[0]} {parts[1]}'")


@st.composite
def texts(draw, flavor: str) -> Kind:
    """Text that the character set has, and some that it has not: the server makes question marks of that."""
    charset = draw(charsets_of(flavor))
    length = draw(st.sampled_from((1, 20, 63, 64, 300)))
    name = draw(
        st.sampled_from(
            (f"varchar({length})", f"char({min(length, 255)})", "tinytext", "text", "mediumtext", "longtext")
        )
    )
    own = draw(st.sampled_from((f" character set {charset}", f" character set {charset}", "")))
    own_text = text_of(charset)
    values = own_text | st.text(ANY_CHARACTER, max_size=9) | own_text.map(lambda text: text[:3] * 90)
    return Kind(name + own, values.map(utf8))


def text_of(charset: str) -> st.SearchStrategy[str]:
    """Text that a character set has: out of its bytes, because going through all characters takes a second."""
    codec = CHARSETS[charset]
    if codec.startswith("utf"):
        return st.text(ANY_CHARACTER, max_size=30)
    return st.binary(max_size=40).map(lambda raw: raw.decode(codec, "ignore"))


@st.composite
def binaries(draw) -> Kind:
    length = draw(st.sampled_from((1, 9, 255)))
    name = draw(
        st.sampled_from((f"binary({length})", f"varbinary({length})", "tinyblob", "blob", "mediumblob", "longblob"))
    )
    return Kind(name, st.binary(max_size=40).map(lambda raw: f"x'{raw.hex()}'"), "hex({})", printed.base64_of_hex)


@st.composite
def labels(draw, flavor: str) -> Kind:
    """ENUM and SET; the number behind a label keeps them apart in every collation."""
    charset = draw(charsets_of(flavor))
    texts = draw(st.lists(text_of(charset), min_size=1, max_size=64))
    readable = ["".join(char for char in text[:6] if char.isprintable() and char != ",") for text in texts]
    listed = [f"{text}{n}".strip() for n, text in enumerate(readable)]
    declared = ",".join("'" + label.replace("\\", "\\\\").replace("'", "''") + "'" for label in listed)
    kind, highest = draw(st.sampled_from((("enum", len(listed)), ("set", (1 << len(listed)) - 1))))
    return Kind(f"{kind}({declared}) character set {charset}", st.integers(0, highest).map(str))


def geometries() -> st.SearchStrategy[Kind]:
    numbers = st.floats(-1e9, 1e9)
    points = st.tuples(numbers, numbers).map(lambda at: f"{at[0]!r} {at[1]!r}")
    lines = st.lists(points, min_size=2, max_size=9).map(", ".join)
    shapes = {
        "point": points.map(lambda point: f"POINT({point})"),
        "linestring": lines.map(lambda line: f"LINESTRING({line})"),
        "geometry": lines.map(lambda line: f"MULTIPOINT({line})")
        | points.map(lambda point: f"POINT({point})")
        | st.sampled_from(("GEOMETRYCOLLECTION EMPTY", "GEOMETRYCOLLECTION(GEOMETRYCOLLECTION EMPTY, POINT(1 2))")),
    }
    return st.tuples(st.sampled_from(list(shapes)), st.sampled_from((0, 3857))).map(
        lambda pair: Kind(
            pair[0],
            shapes[pair[0]].map(lambda text: f"st_geomfromtext('{text}', {pair[1]})"),
            "coalesce(hex(st_aswkb({0})), if({0} is null, null, ''))",
            printed.geometry(pair[1]),
        )
    )


JSON_LITERALS = (
    DOCUMENTS.map(lambda document: f"cast(_utf8mb4 x'{json.dumps(document).encode().hex()}' as json)")
    | st.tuples(st.integers(-(10**20), 10**20), st.integers(0, 20)).map(
        lambda pair: f"json_array({scaled(*pair)}, cast({scaled(*pair)} as decimal(40,20)))"
    )
    | stamps(st.dates()).map(
        lambda stamp: f"json_object('t', cast({stamp} as datetime(6)), 'd', cast({stamp} as date), 'm', cast({stamp} as time(6)))"
    )
    | st.sampled_from((1, 50, 99)).map(lambda depth: f"cast(concat(repeat('[', {depth}), repeat(']', {depth})) as json)")
    | st.sampled_from((1, 49)).map(lambda depth: f"cast(concat(repeat('{{\"a\":[', {depth}), repeat(']}}', {depth})) as json)")
    | st.binary(max_size=9).map(lambda raw: f"json_array(cast(x'{raw.hex()}' as binary), b'101', cast(2024 as year), '-838:59:59')")
    | st.sampled_from(("json_object('', '', '\\0', '\\0')", "cast('-0.0' as json)", "cast('1e308' as json)", "cast('18446744073709551616' as json)",
                       "cast('\"\\\\ud83d\\\\ude00\"' as json)", "json_array(cast('-838:59:59.000001' as time(6)), cast(0 as decimal(1,0)))",
                       "json_array(st_geomfromtext('POINT(1 2)'))", "json_object(repeat('k', 300), repeat('v', 300))"))
)  # fmt: skip
"""Documents out of text, and with the types that only expressions make: exact decimals, dates and times."""

JSON_CHANGES = st.sampled_from(
    (
        "json_set({}, '$.a', 1)", "json_set({}, '$.\"\\u00e9 .\"', json_array(1, 'x'))", "json_remove({}, '$[0]')",
        "json_replace({}, '$[0]', 'longer than it was before')", "json_array_append({}, '$', null)", "json_set({}, '$[1000]', true)",
        "json_array_insert({}, '$[0]', 1.5)", "json_remove({}, '$.a', '$[last]')", "json_set({}, '$', json_object())",
    )
)  # fmt: skip


@st.composite
def vectors(draw) -> Kind:
    size = draw(st.integers(1, 9))
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)
    literals = st.lists(numbers, min_size=size, max_size=size).map(lambda items: f"to_vector('{json.dumps(items)}')")
    return Kind(f"vector({size})", literals, "hex({})", printed.singles_of_hex)
