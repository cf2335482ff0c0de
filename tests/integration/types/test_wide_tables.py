"""Tables with as many columns as the server takes: every image is what it selects, by the kernel and by Python."""

import operator
import random

import pytest

from tests.reading import mysql_reader, postgres_reader


def wide_table(count, options=""):
    """``id`` and other numbers, most of them null."""
    columns = ", ".join(f"c{number} smallint" for number in range(1, count))
    return f"create table t (id int primary key, {columns}) {options}"


def rows_of(count):
    rnd = random.Random(count)
    dense = [rnd.randint(-32768, 32767) for _ in range(count - 1)]
    sparse = [value if rnd.random() < 0.01 else None for value in dense]
    return [[1, *dense], [2, *[None] * (count - 1)], [3, *sparse]]


def literals(row):
    return ", ".join("null" if value is None else str(value) for value in row)


@pytest.mark.parametrize(
    ("name", "count", "options"),
    [
        ("mysql", 1017, ""),
        ("mysql", 4096, "engine=myisam"),
        ("mariadb", 1017, ""),
        ("mariadb", 2800, "engine=myisam"),
        ("postgres_15", 1600, ""),
        ("postgres_18", 1600, ""),
    ],
)
def test_rows_of_all_columns(name, count, options, request, tmp_path):
    open_reader = postgres_reader if name.startswith("postgres") else mysql_reader
    names = ["id", *(f"c{number}" for number in range(1, count))]
    with request.getfixturevalue(name).fresh_database() as database:
        database.execute(wide_table(count, options))
        if name.startswith("postgres"):
            database.execute("alter table t replica identity full", "create publication pub for all tables")
        reader = open_reader(database, tmp_path / "state").open()
        rows = rows_of(count)
        values = ", ".join(f"({literals(row)})" for row in rows)
        database.execute(
            f"insert into t values {values}", f"update t set c{count - 1} = 7 where id = 2", "delete from t"
        )
        events = reader.read(7)
        reader.close()
    inserted = [dict(zip(names, row, strict=True)) for row in rows]
    updated = inserted[1] | {names[-1]: 7}
    assert [event.after for event in events[:3]] == inserted
    assert (events[3].before, events[3].after) == (inserted[1], updated)
    deleted = sorted((event.before for event in events[4:]), key=operator.itemgetter("id"))
    assert deleted == [inserted[0], updated, inserted[2]]
