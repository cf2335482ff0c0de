"""Our rows beside those that another reader makes of the same log. Both are read from one place, so that a fault that our
decoders and our tests share shows.
"""

import pytest

from tests.integration.types import test_mysql_types as types
from tests.judge import assert_judged, judged
from tests.reading import brief, mysql_reader
from tests.workload import Workload

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what the judge asks of PyMySQL and Python

# What mysql-replication 1.0 cannot read, or reads as something else: declared type, or type and literal.
UNREADABLE = {
    ("year", "0"): "the zero year comes as 1900",
    ("time(6)", "'-00:00:00.000001'"): "negative times with a fraction come as others: its parts are not one number",
    ("time(6)", "'-12:34:56.789012'"): "as above",
    ("time(1)", "'-01:02:03.5'"): "as above",
    "varchar(9) character set ucs2": "comes as bytes: Python has no codec of that name",
    "varchar(9) character set utf16": "read in the byte order of the machine",
    "varchar(9) character set utf32": "as above",
    "set('\u043f','b') character set utf32": "labels are read as UTF-8",
    "enum('a','\u00e9') character set latin1": "as above",
    ("varbinary(9)", "''"): "no bytes come as an empty text",
    "vector(3)": "its table map ends the reading: ValueError",
    ("json", "times and decimals"): "decimals are numbers of another precision, dates and times objects",
}


def readable(cases):
    """Type and literals of the cases of :mod:`test_mysql_types` that the judge understands."""
    for case in cases:
        declared, literals = case[0], case[1]
        if declared in UNREADABLE or (declared == "json" and "cast(1.50" in literals[0]):
            continue
        kept = [literal for literal in literals if (declared, literal) not in UNREADABLE]
        if kept:
            yield declared, kept


@pytest.mark.parametrize("kind", ["common", "own"])
def test_values_of_every_type_are_those_of_the_judge(any_mysql_database, tmp_path, kind):
    database = any_mysql_database
    is_mariadb = "MariaDB" in database.rows("select version()")[0][0]
    own = types.MARIADB if is_mariadb else types.MYSQL
    cases = list(readable(types.COMMON if kind == "common" else own))
    columns = [f"c{n}" for n in range(len(cases))]
    # A table for each geometry: the judge takes MariaDB's for texts with a character set.
    definitions = [f"{c} {declared}" for c, (declared, _) in zip(columns, cases, strict=True)]
    for c, definition in zip(columns, definitions, strict=True):
        database.execute(f"create table t_{c} (id int primary key auto_increment, {definition})")
    database.execute(f"create table t (id int primary key auto_increment, {', '.join(definitions)})")
    reader = mysql_reader(database, tmp_path / "state").open()
    start = reader.position
    count = 0
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', sql_mode = ''")
        for column, (declared, literals) in zip(columns, cases, strict=True):
            is_alone = "point" in declared or "geometry" in declared
            table = f"t_{column}" if is_alone else "t"
            for literal in literals:
                cursor.execute(f"insert into {table} ({column}) values ({literal})")
                cursor.execute(f"update {table} set id = id + 1000 where id = last_insert_id()")
                cursor.execute(f"delete from {table} where id = last_insert_id() + 1000")
                count += 3
    events = reader.read(count)
    reader.close()
    assert_judged(brief(events), judged(database, start, events))


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_random_transactions_are_those_of_the_judge(any_mysql_database, tmp_path, seed):
    workload = Workload(any_mysql_database, 1000 + seed)
    workload.create()
    reader = mysql_reader(any_mysql_database, tmp_path / "state").open()
    start = reader.position
    workload.run(150)
    any_mysql_database.execute("insert into pairs values (-1, 'the end', 0, null)")
    events = reader.read_until(lambda events: events and (events[-1].after or {}).get("a") == -1)
    reader.close()
    rows = [event for event in events if event.op != "t"]
    assert_judged(brief(rows), judged(any_mysql_database, start, rows))
