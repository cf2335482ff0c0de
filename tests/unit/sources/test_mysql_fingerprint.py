import msgspec
import pytest

from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sources.mysql.fingerprint import canonical_type, fingerprint_of


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("int(11)", "int"), ("INT", "int"), ("bigint(20) unsigned", "bigint unsigned"), ("int(5) unsigned zerofill", "int unsigned"),
        ("int zerofill", "int unsigned"), ("tinyint(1)", "tinyint"), ("double(9,2) unsigned", "double unsigned"), ("float(7,3)", "float"),
        ("decimal(7)", "decimal(7,0)"), ("decimal", "decimal(10,0)"), ("decimal(5, 1) unsigned", "decimal(5,1) unsigned"),
        ("bit", "bit(1)"), ("char", "char(1)"), ("binary", "binary(1)"), ("varchar(20)", "varchar(20)"), ("year(4)", "year"),
        ("time(0)", "time"), ("datetime(3)", "datetime(3)"), ("timestamp", "timestamp"), ("multipolygon", "geometry"),
        ("geomcollection", "geometry"), ("enum('A','int(11)')", "enum('A','int(11)')"), ("SET('x')", "set('x')"), ("text", "text"),
        ("vector(3)", "vector"), ("json", "json"), ("", ""),
    ],
)  # fmt: skip
def test_types_are_compared_as_a_table_map_shows_them(text, canonical):
    assert canonical_type(text, is_mariadb=False) == canonical
    assert canonical_type(canonical, is_mariadb=False) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("json", "longtext"), ("uuid", "binary(16)"), ("inet6", "binary(16)"), ("inet4", "binary(4)"), ("vector(3)", "varbinary(12)")],
)  # fmt: skip
def test_mariadb_stores_some_types_as_others(text, canonical):
    assert canonical_type(text, is_mariadb=True) == canonical


def test_fingerprint_is_of_names_types_nullability_and_key_alone():
    table = TableSchema(TableId("shop", None, "t"), (Column("id", "int(11)", nullable=False),), ("id",))
    column = table.columns[0]

    def hash_with(**changes):
        changed = msgspec.structs.replace(table, columns=(msgspec.structs.replace(column, **changes),))
        return fingerprint_of(changed, is_mariadb=False)

    assert hash_with() == hash_with(type="int") == hash_with(default="5", extra="auto_increment")
    others = [hash_with(type="bigint"), hash_with(name="x"), hash_with(nullable=True)]
    others.append(fingerprint_of(msgspec.structs.replace(table, primary_key=()), is_mariadb=False))
    assert len({hash_with(), *others}) == 5
