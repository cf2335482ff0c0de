"""Tables and rows out of hypothesis through the real servers: events are what the server selects, and the kernel and the
Python decoders give the same bytes.

``make fuzz-servers`` does it for a million rows of each database.
"""

import itertools
import random
import time

import pytest

from tests.fuzz.servers import random_tables, repeatable, run_table

TABLES = 6
ROWS = 400


@pytest.mark.parametrize(
    ("database", "fixture"),
    [("mysql", "mysql"), ("mariadb", "mariadb"), ("postgres-15", "postgres_15"), ("postgres", "postgres_18")],
)
def test_events_are_what_the_server_selects(database, fixture, request):
    server, seed = request.getfixturevalue(fixture), str(time.time_ns())
    for number, table in enumerate(itertools.islice(random_tables(database, seed), TABLES)):
        with repeatable(database, seed, number):
            counts = run_table(server, database, table, random.Random(f"{seed}-{number}"), ROWS)
            assert counts.changes >= ROWS
