"""What types are made of that somebody made: domains, enums, and arrays of them."""

from deltaforge.core.table import Column
from deltaforge.records.types import ConnectOptions, record_column
from tests.reading import postgres_reader

MADE = (
    "create schema app",
    "create type app.mood as enum ('so so', 'it''s', 'a\\b')",
    "create type app.pair as (a int, b text)",
    "create type app.gap as range (subtype = float8)",
    "create domain app.positive as int check (value > 0)",
    "create domain app.small as app.positive check (value < 10)",
    "create domain app.price as numeric(10,2)",
    "create domain app.feeling as app.mood",
    "create domain app.ints as int[]",
    "create type app.bool as enum ('x')",
    "create publication pub for all tables",
)
LABELS = "enum('so so','it''s','a\\\\b')"
COLUMNS = {  # declared: what it is made of
    "app.mood": LABELS, "app.mood[]": f"{LABELS}[]", "app.positive": "integer", "app.small": "integer",
    "app.small[]": "integer[]", "app.price": "numeric(10,2)", "app.price[]": "numeric(10,2)[]", "app.feeling": LABELS,
    "app.ints": "integer[]", "app.pair": "composite", "app.pair[]": "composite[]", "app.gap": "range",
    "app.bool": "enum('x')", "int": None, "int[]": None, "varchar(9)[]": None, "app.gap[]": "range[]",
}  # fmt: skip


def underlying(events):
    """Of the columns of the table that an event is of, but for the key."""
    (event,) = events
    return [column.underlying for column in event.schema.columns[1:]]


def test_a_type_says_what_it_is_made_of_in_the_log_and_when_its_table_is_known(any_postgres_database, tmp_path):
    database = any_postgres_database
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(COLUMNS))
    database.execute(*MADE, f"create table t (id int primary key, {columns}, e app.mood)")
    reader = postgres_reader(database, tmp_path / "state").open()
    database.execute("insert into t values (1)")
    expected = [*COLUMNS.values(), LABELS]
    assert underlying(reader.read(1)) == expected
    reader.close()
    database.execute("alter type app.mood add value 'new'")
    database.execute("insert into t values (2)")
    reader.restart().open()
    again = underlying(reader.read(1))
    reader.close()
    assert again == [text and text.replace("'a\\\\b'", "'a\\\\b','new'") for text in expected]


def test_a_column_that_may_be_null_from_now_on_is_one_that_may_be(any_postgres_database, tmp_path):
    database = any_postgres_database
    database.execute(
        "create table t (id int primary key, v varchar(10) not null default 'x')",
        "create publication pub for all tables",
    )
    reader = postgres_reader(database, tmp_path / "state").open()
    database.execute("insert into t values (1, 'a')")
    assert [column.nullable for column in reader.read(1)[0].schema.columns] == [False, False]
    database.execute(
        "alter table t alter column v drop not null, alter column v drop default", "insert into t values (2, null)"
    )
    (event,) = reader.read(1)
    reader.close()
    assert event.schema.columns[1] == Column("v", "character varying(10)", nullable=True, default=None)
    assert event.after == {"id": 2, "v": None}


def test_a_column_that_may_be_null_since_its_table_was_forgotten_is_one_that_may_be(any_postgres_database, tmp_path):
    database = any_postgres_database
    database.execute(
        "create table t (id int primary key, v varchar(10) not null)", "create publication pub for all tables"
    )
    reader = postgres_reader(database, tmp_path / "state").open()
    database.execute("insert into t values (1, 'a')")
    first = reader.read(1)[0].schema
    reader.stream._relations.tables.clear()  # as where a definition that was noted ahead is reached: of a copy
    database.execute("alter table t alter column v drop not null", "insert into t values (2, null)")
    (event,) = reader.read(1)
    reader.close()
    assert [column.nullable for column in first.columns] == [False, False]
    assert [column.nullable for column in event.schema.columns] == [False, True]


def test_fields_are_those_of_what_a_type_is_made_of():
    column = record_column("postgresql", Column("x", "app.feeling", underlying="enum('a','it''s')"), ConnectOptions())
    assert column.schema.parameters == {"allowed": "a,it's"}
    array = record_column("postgresql", Column("x", "price[]", underlying="numeric(10,2)[]"), ConnectOptions())
    assert array.schema.items.parameters == {"scale": "2", "connect.decimal.precision": "10"}
    assert record_column("postgresql", Column("x", "app.bool", underlying="composite"), ConnectOptions()) is None
