"""Random tables and rows through a real server: SQL for them, for MySQL, MariaDB and PostgreSQL."""

import json
import random

ALPHABET = "abc '\"\\\n\t\u00e9\u00fc\u20ac\u4e2d\U0001f600\x01"
MYSQL_CHARSETS = ("utf8mb4", "utf8mb3", "latin1", "ascii", "cp1251", "koi8r", "gbk", "sjis", "ucs2", "utf16", "utf32")


def mysql_table(rnd: random.Random, name: str, flavor: str) -> tuple[str, list]:
    """The statement that makes a table, and for each column behind ``id`` what makes a literal."""
    columns = [_mysql_column(rnd, flavor) for _ in range(rnd.randint(1, 12))]
    declared = ", ".join(f"c{n} {declaration}" for n, (declaration, _) in enumerate(columns))
    key = rnd.choice(("primary key", "primary key", "not null, key (id)"))
    return f"create table {name} (id bigint {key}, {declared})", [make for _, make in columns]


def postgres_table(rnd: random.Random, name: str) -> tuple[str, list]:
    columns = [_postgres_column(rnd) for _ in range(rnd.randint(1, 12))]
    declared = ", ".join(f"c{n} {declaration}" for n, (declaration, _) in enumerate(columns))
    return f"create table {name} (id bigint primary key, {declared})", [make for _, make in columns]


def changes(rnd: random.Random, name: str, makers: list, count: int) -> tuple[list[str], int]:
    """Statements that change about ``count`` rows, and the number of changes."""
    statements, done, first = [], 0, 1
    columns = ", ".join(["id", *(f"c{n}" for n in range(len(makers)))])
    while done < count:
        size = min(count - done, rnd.randint(1, 200))
        rows = ", ".join(
            "(" + ", ".join([str(first + n), *("null" if rnd.random() < 0.1 else make(rnd) for make in makers)]) + ")"
            for n in range(size)
        )
        statements.append(f"insert into {name} ({columns}) values {rows}")
        done += size
        if rnd.random() < 0.5:
            half = (size + 1) // 2
            statements.append(f"update {name} set id = -id where id between {first} and {first + half - 1}")
            statements.append(f"delete from {name} where id between {-first - half + 1} and {-first}")
            done += 2 * half
        first += size
    return statements, done


def _mysql_column(rnd: random.Random, flavor: str) -> tuple[str, object]:
    kinds = [_integer, _decimal, _floating, _bit, _date, _clock, _mysql_text, _binary, _labels, _point]
    if flavor == "mysql":
        kinds += [_mysql_json, _mysql_json]
    return rnd.choice(kinds)(rnd)


def _integer(rnd):
    name, bits = rnd.choice((("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)))
    if rnd.random() < 0.5:
        return f"{name} unsigned", lambda r: str(r.choice((0, (1 << bits) - 1, r.getrandbits(bits))))
    return name, lambda r: str(r.choice((-(1 << bits - 1), (1 << bits - 1) - 1, r.getrandbits(bits - 1))))


def _decimal(rnd):
    precision = rnd.randint(1, 65)
    scale = rnd.randint(0, min(30, precision))
    return f"decimal({precision},{scale})", lambda r: _decimal_text(r, precision, scale)


def _decimal_text(rnd, precision, scale):
    digits = "".join(rnd.choice("0019") for _ in range(precision))
    whole = digits[: precision - scale] or "0"
    return rnd.choice(("", "-")) + whole + (f".{digits[precision - scale :]}" if scale else "")


def _floating(rnd):
    name, digits = rnd.choice((("float", 6), ("double", 17)))
    return name, lambda r: r.choice(("0", "-0.5", f"{r.uniform(-1, 1) * 10 ** r.randint(-20, 20):.{digits}g}"))


def _bit(rnd):
    size = rnd.randint(1, 64)
    return f"bit({size})", lambda r: f"b'{r.getrandbits(size):b}'"


def _date(rnd):
    if rnd.random() < 0.5:
        return "year", lambda r: str(r.randint(1970, 2100))
    return "date", lambda r: f"'{r.randint(0, 9999):04}-{r.randint(1, 12):02}-{r.randint(1, 28):02}'"


def _clock(rnd):
    name, decimals = rnd.choice(("time", "datetime", "timestamp")), rnd.randint(0, 6)

    def make(r):
        clock = f"{r.randint(4, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.randint(0, 999999):06}"
        if name == "time":
            return f"'{r.choice(('', '-'))}{r.randint(0, 800)}:10:{r.randint(0, 59):02}.5'"
        year = r.randint(1971, 2037) if name == "timestamp" else r.randint(1, 9999)
        return f"'{year:04}-{r.randint(1, 12):02}-{r.randint(1, 28):02} {clock}'"

    return f"{name}({decimals}) null", make


def _mysql_text(rnd):
    charset = rnd.choice(MYSQL_CHARSETS)
    name = rnd.choice(("varchar(20)", "varchar(300)", "char(20)", "tinytext", "text", "mediumtext", "longtext"))
    return f"{name} character set {charset}", lambda r: f"_utf8mb4 x'{_text(r).encode().hex()}'"


def _binary(rnd):
    return rnd.choice(
        ("binary(9)", "varbinary(20)", "blob", "longblob")
    ), lambda r: f"x'{r.randbytes(r.randint(0, 9)).hex()}'"


def _labels(rnd):
    labels = [f"{_text(rnd, 'ab c')}{n}".strip() for n in range(rnd.randint(1, 9))]
    listed = ",".join(f"'{label}'" for label in labels)
    if rnd.random() < 0.5:
        return f"enum({listed})", lambda r: str(r.randint(1, len(labels)))
    return f"set({listed})", lambda r: str(r.getrandbits(len(labels)))


def _point(rnd):
    return "point", lambda r: f"st_geomfromtext('POINT({r.randint(-9, 9)} {r.random():.3f})')"


def _mysql_json(rnd):
    return "json", lambda r: f"cast(_utf8mb4 x'{json.dumps(_document(r, 0)).encode().hex()}' as json)"


def _postgres_column(rnd: random.Random) -> tuple[str, object]:
    scalars = {
        "smallint": lambda r: str(r.choice((-32768, 32767, 0))), "integer": lambda r: str(r.getrandbits(31)),
        "bigint": lambda r: str(r.choice((-(1 << 63), (1 << 63) - 1, r.getrandbits(40)))),
        "numeric": lambda r: r.choice(("'NaN'", _decimal_text(r, 30, 12))),
        "numeric(20,5)": lambda r: _decimal_text(r, 20, 5),
        "real": _pg_float, "double precision": _pg_float, "boolean": lambda r: r.choice(("true", "false")),
        "text": lambda r: _quoted(_text(r)), "varchar(40)": lambda r: _quoted(_text(r)), "char(30)": lambda r: _quoted(_text(r)),
        "bytea": lambda r: f"'\\x{r.randbytes(r.randint(0, 9)).hex()}'",
        "json": lambda r: _quoted(json.dumps(_document(r, 0), indent=r.choice((None, 1)))),
        "jsonb": lambda r: _quoted(json.dumps(_document(r, 0))),
        "timestamp": lambda r: r.choice(("'infinity'", "'0044-03-15 01:02:03 BC'", f"'{r.randint(1, 9999):04}-02-03 04:05:06.{r.randint(0, 999999):06}'")),
        "timestamptz": lambda r: r.choice(("'-infinity'", f"'{r.randint(1, 9999):04}-02-03 04:05:06.{r.randint(0, 999)}+05:30'")),
        "date": lambda r: f"'{r.randint(1, 9999):04}-02-03'", "time": lambda r: f"'{r.randint(0, 23)}:05:06.{r.randint(0, 999999)}'",
        "interval": lambda r: f"'{r.randint(-99, 99)} days {r.randint(0, 99999)} seconds'",
        "uuid": lambda r: f"'{r.getrandbits(128):032x}'", "inet": lambda r: f"'10.0.{r.randint(0, 255)}.1/24'",
        "int4range": lambda r: f"'[{r.randint(0, 9)},{r.randint(10, 99)})'",
    }  # fmt: skip
    name = rnd.choice(list(scalars))
    make = scalars[name]
    if rnd.random() < 0.2 and name != "char(30)":
        return (
            f"{name}[]",
            lambda r: f"array[{', '.join(_cast(r, make, name) for _ in range(r.randint(0, 4)))}]::{name}[]",
        )
    return name, make


def _cast(rnd, make, name):
    return "null" if rnd.random() < 0.1 else f"({make(rnd)})::{name}"


def _pg_float(rnd):
    return rnd.choice(("'NaN'", "'Infinity'", "-0.0", "0.1", f"{rnd.uniform(-1, 1) * 10 ** rnd.randint(-20, 20)!r}"))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(rnd: random.Random, alphabet: str = ALPHABET) -> str:
    return "".join(rnd.choice(alphabet) for _ in range(rnd.randint(0, 9)))


def _document(rnd: random.Random, depth: int):
    kind = rnd.randint(0, 7 if depth < 3 else 5)
    if kind == 0:
        return rnd.choice((None, True, False))
    if kind == 1:
        return rnd.choice((0, -1, 1 << 40, (1 << 64) - 1, -(1 << 63), rnd.getrandbits(31)))
    if kind == 2:
        return rnd.choice((0.1, -1.5e-7, 1e16, 1e22, rnd.random()))
    if kind <= 5:
        return _text(rnd)
    if kind == 6:
        return [_document(rnd, depth + 1) for _ in range(rnd.randint(0, 3))]
    return {_text(rnd) + str(n): _document(rnd, depth + 1) for n in range(rnd.randint(0, 3))}
