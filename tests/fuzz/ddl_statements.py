"""Random DDL of several clauses, in random settings of a session. Not all of it is valid: the server says what is."""

import random

from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, NO_BACKSLASH_ESCAPES


def listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


TABLES = ("t", "u", "v", "w")
# Unquoted names may be words of clauses.
PLAIN = listed(
    "a|b|c|d|e|f|period|system|comment|storage|engine|status|first|after|text|date|type|start|visible|"
    "value|format|A1|column_format|data|vector|action"
)
SESSIONS = {
    "utf8mb4": ("größe", "ж", "名前", "select", "a b", "x`y", 'd"q', "it's"),
    "latin1": ("größe", "ß", "é", "primary", "a,b"),
    "gbk": ("名前", "乗", "key", "(x)"),
    "koi8r": ("жук", "unsigned"),
    "cp1251": ("Жук", "order by"),
    "utf8mb3": ("größe", "first", "日"),
}
CHARSETS = listed("utf8mb4|utf8mb3|utf8|latin1|latin2|ascii|binary|utf16|ucs2|utf32|gbk|cp1251")
COLLATIONS = ("utf8mb4_bin", "latin1_swedish_ci", "utf8mb3_general_ci", "utf16_bin", "binary", "ascii_bin")
MODES = listed(
    "ANSI_QUOTES|NO_BACKSLASH_ESCAPES|REAL_AS_FLOAT|IGNORE_SPACE|PIPES_AS_CONCAT|STRICT_ALL_TABLES|ALLOW_INVALID_DATES"
)
MARIADB_MODES = ("ORACLE", "MAXDB", "MSSQL")
INTEGERS = listed(
    "int|integer|tinyint|int1|smallint|mediumint|bigint|int8|middleint|int(5)|bool|boolean|serial|bit|bit(7)|year"
)
NUMBERS = listed(
    "decimal|decimal(10,2)|numeric(5)|dec(7, 3)|fixed|float|float(7,2)|float(24)|float(30)|double|"
    "double precision|double(8,3)|real|real(6,1)|float4|float8"
)
TIMES = listed("date|time|time(3)|datetime|datetime(6)|timestamp null|timestamp(2) null")
TEXTS = listed(
    "char|char(5)|character(4)|varchar(9)|character varying(7)|char varying(3)|varcharacter(4)|text|"
    "text(70)|tinytext|mediumtext|longtext|long|long varchar|varchar(20000)|varchar(70000)"
)
NATIONAL = (
    "nchar(3)",
    "nvarchar(5)",
    "national char(4)",
    "national varchar(6)",
    "nchar varying(5)",
    "national character varying(3)",
)
BYTES = listed(
    "binary|binary(4)|varbinary(9)|blob|tinyblob|mediumblob|longblob|long varbinary|char(3) byte|varbinary(70000)"
)
OTHERS = ("json", "geometry", "point", "polygon", "multipoint")
MARIADB = listed(
    "uuid|inet6|inet4|varchar(30) compressed|blob compressed|text compressed|varchar2(9)|raw(5)|clob|"
    "number|number(8,2)|mariadb_schema.date"
)
MYSQL = ("vector(3)", "geomcollection")
OPTIONS = listed(
    "engine=innodb|row_format = dynamic|comment 'charset latin1, add x'|comment = 'partition by'|"
    "auto_increment 7|max_rows=5 min_rows 1|stats_persistent=0|checksum=1 delay_key_write 1|"
    "key_block_size=0|pack_keys=default"
)


class Session:
    """The settings in which statements are written."""

    def __init__(self, rnd: random.Random, flavor: str) -> None:
        self.charset = rnd.choice(tuple(SESSIONS))
        modes = MODES + (MARIADB_MODES if flavor != "mysql" else ())
        self.modes = [mode for mode in modes if rnd.random() < (0.05 if mode in MARIADB_MODES else 0.25)]
        if set(self.modes) & {"ORACLE", "MAXDB", "MSSQL"}:
            self.modes.append("ANSI_QUOTES")  # they bring it along
        self.bits = ANSI_QUOTES * ("ANSI_QUOTES" in self.modes)
        self.bits |= NO_BACKSLASH_ESCAPES * ("NO_BACKSLASH_ESCAPES" in self.modes)


class Statements:
    """Draws statements.

    Args:
        rnd: Draws.
        flavor: Of the server.
        database: Its name.
    """

    def __init__(self, rnd: random.Random, flavor: str, database: str) -> None:
        self._rnd, self._flavor, self._database = rnd, flavor, database
        self.is_mariadb = flavor != "mysql"
        self.session = Session(rnd, flavor)
        self._tables: dict[str, list[str]] = {}

    def next(self, tables: dict[str, list[str]]) -> str:
        """A statement on these tables, by the names of their columns."""
        self._tables = tables
        kinds = [
            self._create,
            *[self._alter] * 12,
            self._rename,
            self._drop,
            self._index,
            self._of_database,
            self._other,
        ]
        if len(tables) < 3:
            kinds += [self._create] * 6
        return self._commented(self._rnd.choice(kinds)())

    def _commented(self, sql: str) -> str:
        """With a comment somewhere between two words, seldom."""
        if self._rnd.random() > 0.1 or "'" in sql or '"' in sql or "`" in sql:
            return sql
        words = sql.split(" ")
        at = self._rnd.randrange(len(words) + 1)
        comment = self._pick(
            "/* drop column a, */", "-- add x int\n", "# 'x\n", "/**/", "/*!40101 */", "/*M! */", "/*!999999 first*/"
        )
        return " ".join([*words[:at], comment, *words[at:]])

    def _pick(self, *choices):
        return self._rnd.choice(choices)

    def _some(self, chance: float) -> bool:
        return self._rnd.random() < chance

    def _quoted(self, name: str) -> str:
        if self.session.bits & ANSI_QUOTES and self._some(0.5):
            return '"' + name.replace('"', '""') + '"'
        return "`" + name.replace("`", "``") + "`"

    def _text(self, text: str) -> str:
        if not self.session.bits & NO_BACKSLASH_ESCAPES:
            text = text.replace("\\", "\\\\")
            if self._some(0.5):
                text = text.replace("\n", "\\n").replace("\0", "\\0")
        if not self.session.bits & ANSI_QUOTES and self._some(0.3):
            return '"' + text.replace('"', '""') + '"'
        return "'" + text.replace("'", "''") + "'"

    def _name(self, name: str | None = None) -> str:
        """A name that is there, or a new one, as a statement writes it."""
        if name is None:
            if self._some(0.25):
                return self._quoted(self._pick(*SESSIONS[self.session.charset]))
            name = self._pick(*PLAIN)
        if self._some(0.1):
            name = name.upper() if name.isascii() else name
        return name if name in PLAIN and self._some(0.7) else self._quoted(name)

    def _old(self, table: str) -> str:
        columns = self._tables.get(table)
        return self._name(self._pick(*columns)) if columns and self._some(0.93) else self._name()

    def _table(self) -> str:
        return self._pick(*self._tables) if self._tables and self._some(0.95) else self._pick(*TABLES)

    def _spelled_table(self, name: str) -> str:
        return f"{self._quoted(self._database)}.{self._name(name)}" if self._some(0.2) else self._name(name)

    def _charset(self) -> str:
        words = self._pick(
            "character set", "charset", "character set =", "charset=", "default charset", "default character set ="
        )
        if self._some(0.3):
            return f"{self._pick('collate', 'collate =', 'default collate')} {self._pick(*COLLATIONS)}"
        return f"{words} {self._pick(*CHARSETS)}"

    def _label(self) -> str:
        return self._pick(
            "x",
            "y",
            "a b",
            "z  ",
            "it's",
            "b,c",
            "q\nr",
            "n\0l",
            "back\\slash",
            'do"uble',
            "",
            "(",
            "-- no",
            *SESSIONS[self.session.charset][:2],
        )

    def _labels(self) -> str:
        return ", ".join(self._text(label) for label in {self._label(): 0 for _ in range(self._rnd.randint(1, 5))})

    def _type(self) -> str:
        kind = self._rnd.randrange(13)
        if kind < 3:
            return self._pick(*INTEGERS) + self._pick("", "", " unsigned", " zerofill", " unsigned zerofill")
        if kind == 3:
            return self._pick(*NUMBERS) + self._pick("", "", " unsigned")
        if kind < 5:
            return self._pick(*TIMES)
        if kind < 8:
            return self._pick(*TEXTS) + self._pick(
                "",
                "",
                "",
                " binary",
                " ascii",
                " unicode",
                f" character set {self._pick(*CHARSETS)}",
                f" collate {self._pick(*COLLATIONS)}",
                f" charset {self._pick(*CHARSETS)}",
            )
        if kind == 8:
            return self._pick(*NATIONAL)
        if kind == 9:
            return self._pick(*BYTES)
        if kind == 10:
            return self._pick(*OTHERS, *(MARIADB if self.is_mariadb else MYSQL))
        return f"{self._pick('enum', 'set')}({self._labels()}){self._pick('', '', f' charset {self._pick(*CHARSETS)}')}"

    def _column(self, name: str | None = None, *, is_alter: bool = True) -> str:
        name = name or self._name()
        parts = [name, self._type()]
        attributes = ["not null", "null", "comment 'not null primary key'", "default null", "unique", "unique key", "default 1", "default (1 + 1)",
                      "column_format default", "check (1 = 1)", "invisible", "references x (y) on delete set null", "default 'unsigned'", "not null default '0'"]  # fmt: skip
        parts += self._rnd.sample(attributes, self._pick(0, 0, 0, 1, 1, 2))
        if self._some(0.08):
            parts.append(self._pick("primary key", "auto_increment primary key", "key", "auto_increment unique"))
        if self._some(0.05):
            parts[1:] = [
                self._pick("int", "varchar(9)"),
                self._pick("generated always as", "as"),
                "(1 + 1)",
                self._pick("virtual", "stored", ""),
            ]
        return " ".join(parts) + (self._placed() if is_alter and self._some(0.4) else "")

    def _placed(self) -> str:
        return " first" if self._some(0.3) else f" after {self._old(self._altered)}"

    def _key(self, columns: list[str]) -> str:
        names = self._rnd.sample(columns, min(len(columns), self._rnd.randint(1, 3))) if columns else [self._name()]
        names = [name + self._pick("", "", "", " desc", "(3)") for name in names]
        return f"{self._pick('primary key', 'primary key', 'key', 'unique', 'constraint p primary key', 'constraint primary key using btree', 'index i', 'unique index')} ({', '.join(names)})"

    def _create(self) -> str:
        table = self._pick(*TABLES)
        head = self._pick("create table", "create table", "create table if not exists")
        if self.is_mariadb and self._some(0.2):
            head = "create or replace table"
        head = f"{head} {self._spelled_table(table)}"
        if self._some(0.15) and self._tables:
            other = self._spelled_table(self._table())
            return f"{head} {self._pick(f'like {other}', f'(like {other})')}"
        self._altered = ""
        names = list({self._name(): 0 for _ in range(self._rnd.randint(1, 6))})
        elements = [self._column(name, is_alter=False) for name in names]
        elements += [self._key(names) for _ in range(self._pick(0, 1, 1, 2))]
        options = self._rnd.sample([*OPTIONS, self._charset(), self._charset()], self._pick(0, 1, 2))
        partitions = f" partition by key ({names[0]}) partitions 2" if self._some(0.1) else ""
        select = " select 1 as z9" if self._some(0.05) else ""
        return f"{head} ({', '.join(elements)}) {self._pick(' ', ', ').join(options)}{partitions}{select}"

    def _alter(self) -> str:
        table = self._altered = self._table()
        head = self._pick(
            "alter table", "alter table", "alter table", "alter online table" if self.is_mariadb else "alter table"
        )
        clauses = [self._clause(table) for _ in range(self._pick(1, 1, 2, 2, 3, 4, 5))]
        if self._some(0.05):
            clauses.append(
                self._pick(
                    "order by " + ", ".join(self._old(table) for _ in range(2)),
                    "drop partition p0, p1",
                    "truncate partition p0, p1",
                )
            )
        partitions = (
            self._pick(
                f" partition by key ({self._old(table)})",
                " remove partitioning",
                f" partition by hash ({self._old(table)}) partitions 3",
            )
            if self._some(0.06)
            else ""
        )
        return f"{head} {self._spelled_table(table)} {', '.join(clauses)}{partitions}"

    def _clause(self, table: str) -> str:
        exists = self._pick("", "", "if exists ") if self.is_mariadb else ""
        absent = self._pick("", "", "if not exists ") if self.is_mariadb else ""
        column = self._pick("", "column ")
        return self._pick(
            lambda: f"add {column}{absent}{self._column()}",
            lambda: f"add {column}{self._column()}",
            lambda: f"add {column}({self._column(is_alter=False)}, {self._column(is_alter=False)})",
            lambda: f"add {self._key([self._old(table), self._old(table)])}",
            lambda: f"drop {column}{exists}{self._old(table)}",
            lambda: f"drop {column}{self._old(table)}",
            lambda: "drop primary key",
            lambda: self._pick("drop index i", "drop key `PRIMARY`", "drop key i", "rename index i to j"),
            lambda: f"modify {column}{exists}{self._column(self._old(table))}",
            lambda: f"modify {column}{self._column(self._old(table))}",
            lambda: f"change {column}{exists}{self._old(table)} {self._column(self._pick(None, self._old(table)))}",
            lambda: f"change {column}{self._old(table)} {self._column(self._pick(None, self._old(table)))}",
            lambda: f"rename column {self._old(table)} to {self._pick(self._name(), self._old(table))}",
            lambda: f"alter {column}{self._old(table)} {self._pick('set default 1', 'drop default', 'set default (2)')}",
            self._charset,
            lambda: f"convert to {self._pick('character set', 'charset')} {self._pick(*CHARSETS, 'default')}",
            lambda: self._pick(*OPTIONS),
            lambda: self._pick("force", "algorithm = copy", "lock=shared", "enable keys", "with validation"),
            lambda: f"rename {self._pick('', 'to ', 'as ')}{self._spelled_table(self._pick(*TABLES))}" if self._some(0.3) else "force",
            lambda: f"rename column {self._old(table)} to {self._old(table)}, rename column {self._old(table)} to {self._old(table)}",
            lambda: f"add primary key ({self._old(table)}), drop primary key",
        )()  # fmt: skip

    def _rename(self) -> str:
        if self._some(0.3):
            one, two = self._table(), self._table()
            return f"rename table {one} to tmp, {two} to {one}, tmp to {two}"
        return f"rename {self._pick('table', 'tables')} {self._spelled_table(self._table())} to {self._spelled_table(self._pick(*TABLES))}"

    def _drop(self) -> str:
        tables = ", ".join(self._spelled_table(self._table()) for _ in range(self._pick(1, 1, 2)))
        return f"drop table {self._pick('', 'if exists ')}{tables}{self._pick('', '', ' cascade')}"

    def _index(self) -> str:
        table = self._table()
        return self._pick(
            f"create {self._pick('', 'unique ')}index i on {self._spelled_table(table)} ({self._old(table)})",
            f"drop index {self._pick('i', '`PRIMARY`')} on {self._spelled_table(table)}",
        )

    def _of_database(self) -> str:
        other = self._quoted(self._database + "_2")
        return self._pick(
            f"create database {other} {self._charset()}",
            f"create database if not exists {self._pick(other, self._quoted(self._database))} {self._charset()}",
            f"create database {other}",
            f"alter database {self._charset()}",
            f"alter database {self._quoted(self._database)} {self._charset()}",
            f"drop database if exists {other}",
        )

    def _other(self) -> str:
        table = self._spelled_table(self._table())
        return self._pick(
            "create view vw as select 1 as one", "rename table vw to vw2", "drop view if exists vw, vw2", f"truncate table {table}",
            "create temporary table tt (zz int)", "drop temporary table if exists tt", f"analyze table {table}", "create user if not exists fuzz",
            "drop procedure if exists p", "grant select on *.* to fuzz",
            *(("create sequence if not exists sq", "drop sequence if exists sq", "rename table sq to sq2", "drop sequence if exists sq2",
               f"set statement max_statement_time=5 for alter table {table} add zz int") if self.is_mariadb else ()),
        )  # fmt: skip
