"""Tables and rows out of hypothesis through the real servers: events are what the server selects, and the kernel and the
Python decoders give the same bytes.

``make fuzz-servers`` does it for a million rows of each database.
"""

import itertools
import random
import time

import pytest

from tests.fuzz.servers import random_tables, repeatable, run_table

TABLES = 8
ROWS = 400


@pytest.mark.parametrize("name", ["mysql", "mariadb", "postgres"])
def test_events_are_what_the_server_selects(name, request):
    server, seed = request.getfixturevalue(name), str(time.time_ns())
    for number, table in enumerate(itertools.islice(random_tables(name, seed), TABLES)):
        with repeatable(name, seed, number):
            count, _ = run_table(server, name, table, random.Random(f"{seed}-{number}"), ROWS)
            assert count >= ROWS
