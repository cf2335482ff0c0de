"""The key of a row tells it from all others of its table."""

import pytest

from deltaforge.core.routing import row_key
from tests.reading import mysql_reader, wire

ZERO = ["0000-00-00", "2024-00-00", "2024-00-15", "2024-05-00"]


def test_rows_whose_keys_are_zero_or_partial_dates_have_keys_of_their_own(any_mysql_database, tmp_path):
    any_mysql_database.execute(
        "create table d (k date primary key)",
        "create table t (n int, k datetime(2), primary key (k, n))",
        "create table s (k timestamp(6) primary key)",
    )
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    with any_mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = '', time_zone = '+00:00'")
        for text in (*ZERO, "2024-05-15"):
            cursor.execute("insert into d values (%s)", [text])
            cursor.execute("insert into t values (1, %s)", [f"{text} 10:00:00.25"])
        cursor.execute("insert into s values ('0000-00-00'), ('1970-01-01 00:00:01.000001')")
        cursor.execute("select k from d order by k")
        dates = [str(row[0]) for row in cursor.fetchall()]
        cursor.execute("update d set k = '2024-00-16' where k = '2024-00-15'")
        cursor.execute("delete from d where k = '2024-00-16'")
    events = reader.read(14)
    reader.close()
    by_table = {name: [event for event in events if event.source.table == name] for name in "dts"}
    keys = {name: [row_key(event) for event in found] for name, found in by_table.items()}
    assert dates == [*ZERO, "2024-05-15"]
    assert keys["d"][:5] == [f'{{"k":"{date}"}}' for date in dates]
    assert keys["d"][5:] == ['{"k":"2024-00-16"}'] * 2
    assert keys["t"] == [f'{{"k":"{date}T10:00:00.250000","n":1}}' for date in dates]
    assert keys["s"] == ['{"k":"0000-00-00T00:00:00.000000Z"}', '{"k":"1970-01-01T00:00:01.000001Z"}']
    assert [wire(event.after) for event in by_table["d"][:5]] == [{"k": None}] * 4 + [{"k": "2024-05-15"}]


@pytest.mark.parametrize("image", ["minimal", "noblob"])
def test_a_row_has_one_key_although_the_log_holds_only_some_columns(any_mysql_database, tmp_path, image):
    any_mysql_database.execute("create table t (a int, b varchar(9), v int, w text, primary key (b, a))")
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    with any_mysql_database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"set session binlog_row_image = {image}")
        cursor.execute("insert into t values (1, 'x', 1, 'w'), (2, 'x', 1, 'w')")
        cursor.execute("update t set v = 2, w = 'new'")
        cursor.execute("update t set a = 3 where a = 2")
        cursor.execute("delete from t")
    keys = [row_key(event) for event in reader.read(7)]
    reader.close()
    first, second, moved = (f'{{"b":"x","a":{n}}}' for n in (1, 2, 3))
    assert keys == [first, second, first, second, moved, first, moved]
