"""The compiled kernel gives the bytes and the errors of the Python decoders. ``make fuzz`` runs many more."""

import random

import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.position import MysqlPosition
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.protocol.kernel import description, kernel
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.redis import RedisSink, RedisSinkConfig
from deltaforge.sources.mysql.group import row_group
from deltaforge.sources.transaction import new_transaction
from tests.fuzz import mysql_rows, postgres_rows
from tests.fuzz.mysql_rows import PLACE

pytestmark = pytest.mark.skipif(kernel is None, reason=description)


@pytest.mark.parametrize("rows", [mysql_rows, postgres_rows], ids=["mysql", "postgres"])
@pytest.mark.parametrize("damage", [0.0, 1.0], ids=["valid", "damaged"])
def test_values_keys_and_errors(rows, damage):
    rnd = random.Random(4711)
    for n in range(1500):
        case = rows.Case(rnd, damage)
        assert case.by_kernel() == case.by_python(), n


def test_redis_commands():
    rnd = random.Random(12)
    config = RedisSinkConfig.model_validate({"id": "s", "uri": "redis://h", "stream": "${source.db}.${source.table}"})
    sink = RedisSink(config, SinkContext("p", "acme", PipelineMetrics("p")))
    compared = 0
    for _ in range(300):
        case = mysql_rows.Case(rnd, 0)
        try:
            group = row_group(case.table, case.rows, new_transaction("mysql", "s", "f:4", case.gtid, None), PLACE)
            by_kernel = Batch.of_groups([group], MysqlPosition("f", 4))
            by_python = Batch(group.events(), by_kernel.position)
            values = by_kernel.encoded(case.encoder)
            expected = [b"".join(packed) for packed, _ in sink._pipelines(by_python, by_python.encoded(case.encoder))]
        except DeltaForgeError:
            continue
        assert [b"".join(packed) for packed, _ in sink._pipelines(by_kernel, values)] == expected
        compared += 1
    assert compared > 200


def test_zero_dates_are_counted_alike():
    rnd, total = random.Random(5), 0
    for _ in range(500):
        case = mysql_rows.Case(rnd, 0)
        try:
            found, expected = mysql_rows.null_dates(case.rows, case.table)
        except DeltaForgeError:
            continue
        assert found == expected
        total += found
    assert total > 50
