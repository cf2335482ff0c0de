"""Savepoints: what is in the log of rows that were rolled back to one, beside tables that cannot be rolled back."""

import random
import time

import pymysql
import pytest

from tests.reading import assert_kernel_equals_python, mysql_reader

SCRIPTS = [
    # a name that holds the beginning of another one
    "insert t|savepoint `before x`|insert t|savepoint `after x`|insert m|insert t|rollback to `before x`|insert t|commit",
    "insert t|savepoint `to`|insert t|insert m|rollback work to savepoint `TO`|commit",
    "insert t|savepoint A|insert t|insert m|savepoint a|insert t|insert m|rollback to a|insert t|commit",
    "insert t|savepoint a|insert m|insert t|savepoint b|insert t|release savepoint b|insert m|rollback to A|commit",
    "insert t|savepoint größe|insert t|insert m|rollback to savepoint GRÖßE|insert t|commit",
    "savepoint first|insert t|insert m|rollback to first|insert t|commit",
    "insert m|savepoint first|insert t|insert m|rollback to savepoint first|insert t|insert m|commit",
    "insert t|savepoint a|insert t|insert m|rollback to a|insert t|insert m|rollback to a|insert m|commit",
    "insert t|savepoint `x to y`|insert m|insert t|rollback to `x to y`|insert t|rollback",
    "insert t|savepoint `a``b`|insert t|insert m|rollback to `A``b`|commit",
    "insert t|savepoint größe|insert t|insert m|rollback to grose|commit",  # the same name to MariaDB 10
    "insert t|savepoint select|insert t|insert m|rollback to savepoint `select`|commit".replace(
        "t select", "t `select`"
    ),
]
NAMES = ["a", "A", "`b c`", "`to`", "größe", "`a``b`", '`"q"`', "`'`", "größe2", "savepoint1"]


def random_script(rng):
    steps = []
    for _ in range(rng.randrange(3, 12)):
        kind, name = rng.choice("ttmmsssrrl"), rng.choice(NAMES)
        steps.append(
            {"t": "insert t", "m": "insert m", "s": f"savepoint {name}", "l": f"release savepoint {name}",
             "r": rng.choice(["rollback to {}", "rollback work to savepoint {}", "rollback to savepoint {}"]).format(name)}[kind]
        )  # fmt: skip
    return "|".join([*steps, rng.choice(["commit", "commit", "rollback"])])


def run(cursor, script):
    cursor.execute("begin")
    for step in script.split("|"):
        try:
            cursor.execute(f"insert into {step[-1]} (v) values (0)" if step.startswith("insert") else step)
        except pymysql.err.MySQLError as error:
            if error.args[0] not in (1305, 1181):  # no such savepoint
                raise


def until_marker(reader):
    """The events before the next row of the marker."""
    events = []
    deadline = time.monotonic() + 60
    while not events or events[-1].source.table != "marker":
        assert time.monotonic() < deadline, "no marker came"
        for batch in reader.stream.poll(0.1):
            assert_kernel_equals_python(batch)
            events += batch.events()
    return events[:-1]


@pytest.fixture(params=["mysql", "mariadb", "mariadb_10"])
def database(request):
    """MySQL with GTIDs takes no transactions that change such tables too."""
    if request.param != "mysql":
        with request.getfixturevalue(request.param).fresh_database() as database:
            yield database
        return
    server = request.getfixturevalue("private_mysql")("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    with server.fresh_database() as database:
        yield database


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_exactly_the_rows_come_that_are_there_after_savepoints(database, tmp_path, charset):
    database.execute(
        "create table t (id int primary key auto_increment, v int)",
        "create table m (id int primary key auto_increment, v int) engine=myisam",
        "create table marker (id int primary key)",
    )
    reader = mysql_reader(database, tmp_path / "state").open()
    rng = random.Random(7)
    scripts = [*SCRIPTS, *(random_script(rng) for _ in range(80))]
    connection = database.connect(charset=charset)
    seen: dict[str, list[int]] = {"t": [], "m": []}
    with connection, connection.cursor() as cursor:
        for number, script in enumerate(scripts):
            run(cursor, script)
            cursor.execute(f"insert into marker values ({number})")
            for event in until_marker(reader):
                seen[event.source.table].append(event.after["id"])
            for table, found in seen.items():
                cursor.execute(f"select id from {table} order by id")
                assert sorted(found) == [row[0] for row in cursor.fetchall()], script
    reader.close()
