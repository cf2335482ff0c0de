"""The schema history against what the servers themselves make of the same DDL."""

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.core.position import MysqlPosition
from deltaforge.protocol.mysql.types import Code
from deltaforge.sources.mysql.catalog import load_catalog
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.statement import Statement
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


@pytest.mark.parametrize(("name", "metadata"), SERVERS)
def test_history_follows_ddl_as_the_server_does(private_mysql, tmp_path, name, metadata):
    server = private_mysql(f"--binlog-row-metadata={metadata}", "--sql-mode=NO_ENGINE_SUBSTITUTION", name=name)
    with server.fresh_database() as database:
        history = SchemaHistory(tmp_path / "history.jsonl", lambda *_: True)
        connection = connect(database.url())
        history.record(load_catalog(connection), MysqlPosition("b.1", 4))
        for number, template in enumerate(STATEMENTS):
            sql = template.format(db=database.name)
            database.execute(sql)
            position = MysqlPosition("b.1", 100 + number)
            history.apply(Statement(sql, database.name), position)
            expected = load_catalog(connection).tables
            names = {key for key in expected if key[0].startswith(database.name)} | {(database.name, "four")}
            known = {key: facts(history.definition(*key, position), name != "mysql") for key in names}
            assert known == {key: facts(expected.get(key), name != "mysql") for key in names}, sql
        connection.close()


def _code_and_charset(kind, is_mariadb):
    if kind.code is not Code.JSON:
        return kind.code, kind.charset
    return (Code.BLOB, kind.charset) if is_mariadb else (Code.JSON, None)


def facts(definition, is_mariadb):
    """What rows depend on: names, order, codes, signs, character sets, labels, key. JSON is text in MariaDB."""
    if definition is None:
        return None
    columns = [
        (column.name, *_code_and_charset(kind, is_mariadb), kind.unsigned, kind.labels)
        for column, kind in zip(definition.schema.columns, definition.columns, strict=True)
    ]
    return columns, definition.schema.primary_key, definition.charset


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


def test_ddl_that_is_not_understood_stops_only_for_captured_tables(private_mysql, tmp_path):
    server = private_mysql("--binlog-row-metadata=NO_LOG", name="mariadb")
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key)", "create table other (id int primary key)")
        reader = mysql_reader(database, tmp_path / "state", tables=[f"{database.name}.t"]).open()
        database.execute(
            "alter table other add system versioning",
            "insert into t values (1)",
        )
        assert brief(reader.read(1)) == [("c", None, {"id": 1})]
        database.execute("alter table t add system versioning", "insert into t values (2)")
        with pytest.raises(
            SchemaError, match=r"captured table is not understood: system-versioned.* before \d+"
        ) as caught:
            reader.read(1)
        assert "binlog_row_metadata=FULL" in caught.value.hint
        reader.close()
