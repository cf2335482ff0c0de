"""Random tables and values through the real servers: the kernel and the Python decoders give the same bytes.

``make fuzz-servers`` does it for a million rows of each database.
"""

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.servers import run_mysql, run_postgres

ROWS = 400
quickly = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],  # a server keeps what was tried: nothing can be shrunk
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quickly
@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_mysql(flavor, request, tmp_path, seed):
    server = request.getfixturevalue(flavor)
    with server.fresh_database() as database:
        assert run_mysql(database, tmp_path / str(seed), random.Random(seed), ROWS, flavor) >= ROWS


@quickly
@given(seed=st.integers(0, 2**32))
def test_postgres(postgres, tmp_path, seed):
    with postgres.fresh_database() as database:
        assert run_postgres(database, tmp_path / str(seed), random.Random(seed), ROWS) >= ROWS
