"""How far a copy of a MySQL table is, within each of its stripes."""

import pytest

from tests.copied_chunks import copier_of
from tests.reading import mysql_reader, readers_of


def test_a_chunk_says_how_much_of_its_stripe_it_has_reached(mysql_database, tmp_path):
    database = mysql_database
    keys = [*range(1000, 1100), 1_000_000]
    database.execute(
        "create table t (id int primary key)", "create table n (id varchar(9) primary key)",
        f"insert into t values {', '.join(f'({key})' for key in keys[:-1])}", "insert into n select id from t",
    )  # fmt: skip
    with readers_of(mysql_reader, tmp_path) as make:
        copy = copier_of(make(database))
        plan = copy.plan("t", database.name, stripe_count=2)
        fractions = [chunk.fraction for chunk in copy.all(plan, max_rows=20)]
        assert fractions == pytest.approx([0.39, 0.8, 1, 0.37, 0.78, 1], abs=0.05)
        whole = copy.plan("t", database.name)
        database.execute("insert into t values (1000000)")  # beyond what is known of it
        assert copy.read(whole, "[1099]", max_rows=1).fraction == 0.99
        assert [chunk.fraction for chunk in copy.all(whole)] == [1.0]
        text = copy.plan("n", database.name)
        assert [chunk.fraction for chunk in copy.all(text, max_rows=60)] == [None, 1.0]
        copy.chunks.close()
