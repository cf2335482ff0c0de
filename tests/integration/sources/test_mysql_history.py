"""The schema history against what the servers themselves make of the same DDL."""

from contextlib import contextmanager

import pymysql
import pytest

from deltaforge.checkpoint.takeover import TakeOvers
from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.history import SchemaHistory
from tests.fuzz.ddl import Follower, run
from tests.reading import brief, mysql_reader

SERVERS = [
    pytest.param("mysql", "MINIMAL", id="mysql-minimal"),
    pytest.param("mariadb", "NO_LOG", id="mariadb-no_log"),
    pytest.param("mariadb-10", "MINIMAL", id="mariadb-10-minimal"),
]

STATEMENTS = [
    "create table t (id int auto_increment primary key, a varchar(10) not null default 'x; -- no', b text)",
    "alter table t add column c enum('it''s','b,c') character set latin1 after id, add d decimal(10,2) unsigned first",
    "alter table t add (e json, f set('x','y') not null, key (d)), algorithm = copy",
    "alter table t drop column b, add index `drop` (d), add constraint u unique (c)",
    "alter table t modify a char(5) first, modify column d bigint unsigned after id, change f g set('x','y','z')",
    "alter table t rename column g to `select`",
    "alter table t drop primary key, modify id int not null, add primary key (d, ID)",
    "alter table t convert to character set utf8mb3",
    "alter table t default character set latin2, comment = 'now character set utf8mb4'",
    "alter table t add h text, add i varchar(3) collate utf8mb4_bin, add j binary(4), add k nchar(2)",
    "alter table t alter column d set default 5, alter a set default 'q'",
    "alter table t engine=InnoDB row_format=dynamic default charset=latin5",
    "alter table t add l tinytext null comment 'primary key', add column m double precision unsigned default +1.5e3",
    "create table if not exists like_t like t",
    "create table two (`primary` int, n numeric(5), b bool, s serial, y year, constraint pk primary key using btree (`PRIMARY`, n desc)) default charset=ascii",
    (
        "create table big (v long, w long varbinary, x char varying(7), y national varchar(3), z int(5) zerofill,"
        " p point not null, g int generated always as (z + 1) stored, t timestamp(3) null on update current_timestamp(3))"
        " collate utf16_bin"
    ),
    "create table part (a int, b text)",
    "alter table part partition by key (a) partitions 3",
    "alter table part add partition partitions 2",
    "rename table two to swap, like_t to two, swap to like_t",
    "alter table two rename to three, add z2 int after a",
    "alter table three rename as four",
    "create view v as select * from t",
    "alter table t drop index `drop`, rename index u to w",
    "drop table if exists four, nothing_here",
    "truncate table t",
    "create database {db}_2 default character set = latin7",
    "create table {db}_2.inside (a varchar(3)) /*!50100 partition by key (a) partitions 2 */",
    "alter table {db}_2.inside add b text, add c varchar(2) charset utf8mb4",
    "drop database {db}_2",
]


# Statements that were once read wrongly, or not at all: character set and sql_mode of the session, statement.
MISREAD = [
    ("utf8mb4", "", "create table t (city varchar(9), street varchar(9), j int, k int not null) charset latin1"),
    ("utf8mb4", "", "create table if not exists t (street varchar(9), city varchar(9))"),
    ("utf8mb4", "", "alter table t rename column city to street, rename column street to city"),
    ("utf8mb4", "", "alter table t change city street varchar(9), change street city varchar(9)"),
    ("utf8mb4", "", "alter table t add primary key (k)"),
    ("utf8mb4", "", "alter table t add primary key (j, k), drop primary key"),
    ("utf8mb4", "", "alter table t add n int after jj, change j jj int"),
    ("utf8mb4", "", "alter table t modify city varchar(9) after n, modify n int first"),
    ("utf8mb4", "", "alter table t add `period` int, add `system` int, add comment text after `system`, add `like` int"),
    ("utf8mb4", "", "alter table t drop `period`, drop column `system`, order by n, jj"),
    ("utf8mb4", "", "alter table t add l int not null key, drop primary key"),
    ("utf8mb4", "", "drop index `PRIMARY` on t"),
    ("utf8mb4", "", "create database {db}_2 character set latin2"),
    ("utf8mb4", "", "create database if not exists {db}_2 charset ascii"),
    ("utf8mb4", "", "create table {db}_2.moved (a text)"),
    ("utf8mb4", "", "drop table if exists {db}_2.moved, nothing"),
    ("latin1", "", "alter table t add größe int, add e enum('klein','größer')"),
    ("gbk", "", "alter table t add `名前` int, add g set('乗','運') charset utf8mb4"),
    ("utf8mb4", "", "alter table t add h enum('a\nb','c\0d','e\\f','it''s', 'x  ') default 'a\nb'"),
    ("utf8mb4", "NO_BACKSLASH_ESCAPES", r"alter table t add i enum('a\b', '\', 'c\n') comment '\'"),
    ("utf8mb4", "ANSI_QUOTES", 'alter table "t" add "a ""b" enum(\'q"r\')'),
    ("utf8mb4", "REAL_AS_FLOAT", "alter table t add r1 real, add r2 real unsigned"),
    ("utf8mb4", "", "alter table t add f1 float(30), add f2 float(24), add f3 float(25) unsigned"),
    ("utf8mb4", "", "alter table t add v1 varchar(70000), add v2 varbinary(70000), add v3 varchar(40000)"),
    ("utf8mb4", "", ("create table part (a int, b int) partition by range (a) (partition p0 values less than (1),"
     " partition p1 values less than (2), partition p2 values less than (3))")),
    ("utf8mb4", "", "alter table part drop partition p0, p1"),
    ("utf8mb4", "", "alter table part add c int partition by key (a)"),
    ("utf8mb4", "", "create table conv (a char(3) charset latin1)"),
    ("utf8mb4", "", "alter table conv convert to character set binary, add e enum('x', 'y  ') charset utf8mb3"),
    ("utf8mb4", "", "create view seen as select 1"),
    ("utf8mb4", "", "rename table seen to moved"),
]  # fmt: skip
MISREAD_ON_MARIADB = [
    ("utf8mb4", "", "drop view moved"),
    ("utf8mb4", "", "create sequence moved"),
    ("utf8mb4", "", "drop sequence moved"),
    ("utf8mb4", "", "create table moved (a int)"),
    ("utf8mb4", "", "drop sequence if exists moved"),
    ("utf8mb4", "", "set statement max_statement_time = 100 for alter table t add s int"),
    ("utf8mb4", "", "alter table t add z1 int /*M! unsigned */, add z2 int /*!50701 unsigned */"),
    ("utf8mb4", "", "create or replace table moved (a int not null) select 1 as b"),
    ("utf8mb4", "", "alter table moved add system versioning, add c text"),
    ("utf8mb4", "", "create or replace table moved (a int primary key, b int) with system versioning"),
    ("utf8mb4", "", "alter table moved drop system versioning"),
    ("utf8mb4", "", "alter table moved add e int first"),
    (
        "utf8mb4",
        "",
        (
            "create or replace table moved (a int primary key, s timestamp(6) generated always as row start, e timestamp(6)"
            " generated always as row end, period for system_time (s, e)) with system versioning"
        ),
    ),
    (
        "utf8mb4",
        "ORACLE",
        'alter table "t" add o1 varchar2(3), add o2 date, add o3 number(3), add o4 raw(4), add o5 blob',
    ),
]
MISREAD_ON_MYSQL = [
    ("utf8mb4", "", "alter table t add z1 int /*M! unsigned */, add z2 int /*!50701 unsigned */"),
    ("utf8mb4", "", "alter table t add period int, add versioning int, add vector int after period"),
    ("utf8mb4", "", "alter table t add m int column_format default key"),
]


@pytest.mark.parametrize(("name", "metadata"), SERVERS)
def test_history_follows_ddl_as_the_server_does(private_mysql, tmp_path, name, metadata):
    server = private_mysql(f"--binlog-row-metadata={metadata}", "--sql-mode=NO_ENGINE_SUBSTITUTION", name=name)
    with server.fresh_database() as database, followed(database, tmp_path) as follower:
        for template in STATEMENTS:
            database.execute(template.format(db=database.name))
            follower.follow()
            follower.compare({(database.name, "four")})


@pytest.mark.parametrize("name", ["mysql", "mariadb", "mariadb-10"])
def test_random_ddl_leaves_the_history_equal_to_the_catalog(request, name):
    run(request.getfixturevalue(name.replace("-", "_")), name, "a selection", 250)


@pytest.mark.parametrize("name", ["mysql", "mariadb", "mariadb-10"])
def test_clauses_and_sessions_that_were_misread(request, tmp_path, name):
    server = request.getfixturevalue(name.replace("-", "_"))
    with server.fresh_database() as database, followed(database, tmp_path) as follower:
        for charset, mode, template in [*MISREAD, *(MISREAD_ON_MARIADB if name != "mysql" else MISREAD_ON_MYSQL)]:
            with database.connect() as connection:
                connection.set_character_set(charset)
                with connection.cursor() as cursor:
                    cursor.execute(f"set sql_mode = '{mode}'")
                    cursor.execute(template.format(db=database.name))
            follower.follow()
            follower.compare({(database.name, "t"), (database.name, "moved")})
        assert not follower.refused


@contextmanager
def followed(database, folder):
    follower = Follower(database, folder)
    try:
        yield follower
    finally:
        follower.close()
        database.server.drop(f"{database.name}_2")


@pytest.mark.parametrize(("name", "metadata"), SERVERS)
def test_rows_before_and_after_an_alter_have_their_own_definition(private_mysql, tmp_path, name, metadata):
    server = private_mysql(f"--binlog-row-metadata={metadata}", name=name)
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key, e enum('a','b'), v varchar(9) character set latin1)")
        reader = mysql_reader(database, tmp_path / "state").open()
        start = reader.position
        database.execute(
            "insert into t values (1, 'b', 'é')",
            "alter table t add n int unsigned first, modify e enum('b','c','a'), rename column v to w",
            "insert into t values (4294967295, 2, 'c', 'è')",
            # An online schema change as the usual tools make it: a copy, altered, takes the table's name.
            "create table _t_new like t",
            "alter table _t_new drop column w, drop primary key, add primary key (id, n)",
            "insert into _t_new select ifnull(n, 0), id, e from t",
            "rename table t to _t_old, _t_new to t",
            "insert into t values (7, 3, 'b')",
        )
        expected = [
            ("c", None, {"id": 1, "e": "b", "v": "é"}),
            ("c", None, {"n": 4294967295, "id": 2, "e": "c", "w": "è"}),
            ("c", None, {"n": 0, "id": 1, "e": "b"}),
            ("c", None, {"n": 4294967295, "id": 2, "e": "c"}),
            ("c", None, {"n": 7, "id": 3, "e": "b"}),
        ]
        read = reader.read(5)
        assert brief(read) == expected
        assert read[-1].schema.primary_key == ("id", "n")
        again = reader.open(start).read(5)
        assert brief(again) == brief(read)
        assert [event.schema_version for event in again] == [event.schema_version for event in read]
        assert len({event.schema_version for event in read}) == 3
        reader.close()


NOT_UNDERSTOOD = "alter table {} add e enum(x'61', x'62') comment 'a secret'"


def test_ddl_that_is_not_understood_stops_only_rows_of_captured_tables(private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=NO_LOG", name="mariadb")
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)", "create table other (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state", tables=[f"{database.name}.t"]).open()
        database.execute(
            NOT_UNDERSTOOD.format("other"),
            "insert into other values (1, 'a')",
            "insert into t values (1)",
        )
        assert brief(reader.read(1)) == [("c", None, {"id": 1})]
        start = reader.position
        database.execute(NOT_UNDERSTOOD.format("t"), "insert into t values (2, 'b')")
        unknown = (
            rf"the definition of {database.name}\.t at \S+:\d+ is not known, since \S+:\d+: a label of an enum or set is"
            r" not a plain string: alter table t add e enum"
        )
        with pytest.raises(SchemaError, match=unknown) as caught:
            reader.read(1)
        assert "secret" not in str(caught.value)
        assert "take_over" in caught.value.hint

        # The operator lets the next start take the definition from the catalog: for these rows, and those behind them.
        take_overs = TakeOvers(tmp_path / "state")
        take_overs.ask(database.name, "t")
        database.execute("alter table t add n int first, change e f enum('a', 'b', 'c')")
        with pytest.raises(SchemaError, match=r"rows of .* have 2 columns, the schema history has 3"):
            reader.open(start).read(1)
        database.execute("alter table t drop n, change f e enum('a', 'b')")
        expected = [("c", None, {"id": 2, "e": "b"})]
        assert brief(reader.open(start).read(1)) == expected
        assert take_overs.asked() == []
        assert reader.metrics.taken_over.labels("p", f"test-{database.name}")._value.get() == 1
        assert brief(reader.restart().open(start).read(1)) == expected
        reader.close()


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_no_text_of_ddl_stops_rows_with_full_metadata(private_mysql, tmp_path, name):
    server = private_mysql("--binlog-row-metadata=MINIMAL", name=name)
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state").open()  # begins a history
        database.execute("insert into t values (1)")
        reader.read(1)
        database.execute(
            "set global binlog_row_metadata = 'FULL'",
            NOT_UNDERSTOOD.format("t"),
            "insert into t values (2, 'b')",
            "alter table t change id `key` int, add `select` int after `key`",
            "insert into t values (3, 4, 'a')",
        )
        assert [image for _, _, image in brief(reader.read(2))] == [
            {"id": 2, "e": "b"},
            {"key": 3, "select": 4, "e": "a"},
        ]
        # Without it, the definition is not known from the first of these statements on.
        database.execute("set global binlog_row_metadata = 'MINIMAL'", "insert into t values (4, 4, 'b')")
        with pytest.raises(
            SchemaError, match=r"is not known, since .*: a label of an enum or set is not a plain string"
        ):
            reader.read(1)
        TakeOvers(tmp_path / "state").ask(database.name, "t")
        assert brief(reader.open().read(1)) == [("c", None, {"key": 4, "select": 4, "e": "b"})]
        reader.close()


@pytest.mark.parametrize("name", ["mariadb", "mariadb-10"])
def test_alter_that_is_logged_in_two_phases_is_applied_once(request, tmp_path, name):
    server = request.getfixturevalue(name.replace("-", "_"))
    with server.fresh_database() as database, followed(database, tmp_path) as follower:
        database.execute("create table t (a int, b int)", "insert into t values (1, 1), (2, 1)")
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("set session binlog_alter_two_phase = 1")
            cursor.execute("alter table t rename column a to b, rename column b to a")
            with pytest.raises(pymysql.IntegrityError):
                cursor.execute("alter table t add c int, add unique key (a), algorithm = copy")
        follower.follow()
        assert sum("rename column" in statement for statement in follower.statements) == 2
        follower.compare(set())


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_temporary_tables_of_sessions_that_log_statements_hide_no_table(request, tmp_path, name):
    server = request.getfixturevalue(name)
    with server.fresh_database() as database, followed(database, tmp_path) as follower:
        database.execute("create table t (a int primary key, b int)", "create table u (c int)")
        with database.connect() as connection, connection.cursor() as cursor:
            for sql in (
                "set session binlog_format = 'STATEMENT'",
                "create temporary table t (a int primary key, b int)",
                "alter table t rename column a to b, rename column b to a",
                "alter table t drop primary key, add x int first",
                "alter table u add d int",
                "alter table t rename to v",
                "alter table t add e int",
                "alter table v add f int",
                "create temporary table u (z int)",
                "drop table u",
                "drop table v",
                "alter table u add g int",
            ):
                cursor.execute(sql)
                follower.follow()
                follower.compare({(database.name, "t"), (database.name, "u"), (database.name, "v")})
            cursor.execute("create temporary table t (a int)")
            follower.follow()
        follower.history = SchemaHistory(tmp_path / "history.jsonl", lambda *_: True)
        follower.arrive()
        follower.follow()  # the session ended, and with it the table
        database.execute("alter table t add h int")
        follower.follow()
        follower.compare(set())


def test_names_of_tables_are_equal_whatever_their_case_where_the_server_folds_them(private_mysql, tmp_path):
    server = private_mysql("--lower-case-table-names=1", "--binlog-row-metadata=NO_LOG", name="mariadb")
    with server.fresh_database() as database:
        reader = mysql_reader(database, tmp_path / "state").open()
        database.execute(
            "create table T1 (id int primary key)",
            "alter table t1 add A int",
            f"rename table `{database.name.upper()}`.T1 to T2",
            "create table if not exists t2 (x int)",
            "insert into T2 values (1, 2)",
        )
        (event,) = reader.read(1)
        assert (event.source.table, event.after) == ("t2", {"id": 1, "A": 2})
        reader.close()


def test_labels_with_controls_and_quotes_are_those_that_the_server_selects(private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=NO_LOG", name="mariadb")
    with server.fresh_database() as database:
        labels = r"enum('a\nb', 'c\0d', 'e\\f', 'g\rh', 'i''j', '\Zk', 'größe', '\t')"
        database.execute(f"create table t (id int primary key auto_increment, e {labels})")
        reader = mysql_reader(database, tmp_path / "state").open()  # from the catalog
        database.execute(
            f"create table u (id int primary key auto_increment, e {labels})",  # from the log
            *(f"insert into {table} (e) values ({n})" for table in "tu" for n in range(1, 9)),
        )
        events = reader.read(16)
        selected = [row[0] for table in "tu" for row in database.rows(f"select e from {table} order by id")]
        assert [event.after["e"] for event in events] == selected
        reader.close()
