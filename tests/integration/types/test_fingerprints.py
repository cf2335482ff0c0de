"""A definition has one fingerprint, whether it was read from the catalog, from DDL or from a table map."""

import pytest

from deltaforge.sources.mysql import tables
from deltaforge.sources.mysql.catalog import load_table
from deltaforge.sources.mysql.client import connect
from deltaforge.sources.mysql.fingerprint import canonical_type, fingerprint_of
from tests.integration.types import test_mysql_types as types
from tests.reading import mysql_reader

EVERYWHERE = [case[0] for case in types.COMMON] + [
    "int(5) zerofill", "bigint(20) unsigned", "boolean", "integer", "numeric(7)", "decimal", "dec(5,1) unsigned",
    "double precision", "float unsigned", "float(7,3)", "double(9,2) unsigned", "real", "bit", "year(4)", "char", "binary",
    "national varchar(7)", "char(255)", "varchar(10) character set utf8mb3", "char(7) character set ascii", "time(0)",
    "binary(200)", "char(10) collate utf8mb4_bin", "text character set latin1", "long", "varchar(5) character set binary",
    "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "enum('A','b ','c,d')",
    "set('x','y''z')", "int not null", "varchar(4) not null default 'x'", "int default 5 comment 'five'",
    "timestamp(3) not null default current_timestamp(3) on update current_timestamp(3)",
]  # fmt: skip
OF_MYSQL = [
    "json",
    "vector(3)",
    "vector",
    "point srid 4326",
    "int invisible",
    "int as (1 + 1) virtual",
    "int as (1 + 1) stored",
]
OF_MARIADB = [
    "json", "inet6", "uuid", "int invisible", "int as (1 + 1) virtual", "int as (1 + 1) stored", "varchar(300) compressed",
    "varchar(63) compressed character set ascii", "varbinary(9) compressed", "tinytext compressed", "longblob compressed",
]  # fmt: skip
OF_MARIADB_11 = ["inet4", "vector(3)"]
SPECIAL = {"mysql": OF_MYSQL, "mariadb": OF_MARIADB + OF_MARIADB_11, "mariadb-10": OF_MARIADB}


def create(database, declared, name="t"):
    columns = ", ".join(f"c{n} {text}" for n, text in enumerate(declared))
    database.execute(
        "set sql_mode = ''", f"create table {name} (id bigint unsigned auto_increment primary key, {columns})"
    )


def insert(database, name="t"):
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        cursor.execute(f"insert into {name} () values ()")


def in_catalog(database, table="t"):
    connection = connect(database.url())
    try:
        return load_table(connection, (database.name, table)).schema()
    finally:
        connection.close()


def differences(found, expected, *, is_mariadb):
    return [
        (a.name, a.type, b.type, a.nullable, b.nullable)
        for a, b in zip(found.columns, expected.columns, strict=True)
        if (canonical_type(a.type, is_mariadb=is_mariadb), a.nullable)
        != (canonical_type(b.type, is_mariadb=is_mariadb), b.nullable)
    ]


@pytest.mark.parametrize(("server", "kind"), [("mysql", "mysql"), ("mariadb", "mariadb"), ("mariadb_10", "mariadb-10")])
def test_catalog_and_table_map_give_one_fingerprint(request, monkeypatch, tmp_path, server, kind):
    with request.getfixturevalue(server).fresh_database() as database:
        create(database, EVERYWHERE + SPECIAL[kind])
        expected = in_catalog(database)
        mapped = mysql_reader(database, tmp_path / "a").open()
        mapped.registry._tables.clear()  # as if nothing had been loaded, and the catalog could not be asked
        monkeypatch.setattr(tables, "_described", lambda *_: None)
        insert(database)
        (event,) = mapped.read(1)
        mapped.close()
        assert differences(event.schema, expected, is_mariadb=kind != "mysql") == []
        assert event.schema_version == fingerprint_of(expected, is_mariadb=kind != "mysql")


@pytest.mark.parametrize(("kind", "metadata"), [("mysql", "MINIMAL"), ("mariadb", "NO_LOG"), ("mariadb-10", "MINIMAL")])
def test_catalog_and_ddl_give_one_fingerprint(private_mysql, monkeypatch, tmp_path, kind, metadata):
    server = private_mysql(f"--binlog-row-metadata={metadata}", name=kind)
    with server.fresh_database() as database:
        reader = mysql_reader(database, tmp_path / "state").open()
        monkeypatch.setattr(tables, "_described", lambda *_: None)
        create(database, EVERYWHERE + SPECIAL[kind])
        insert(database)
        (event,) = reader.read(1)
        expected = in_catalog(database)
        reader.close()
        assert differences(event.schema, expected, is_mariadb=kind != "mysql") == []
        assert event.schema_version == fingerprint_of(expected, is_mariadb=kind != "mysql")
