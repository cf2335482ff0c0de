"""The compiled kernel gives the bytes and the errors of the Python decoders. ``make fuzz`` runs many more."""

import json
import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.positions import MysqlPosition
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.protocol.postgres.messages import Relation, RelationColumn
from deltaforge.protocol.postgres.values import TypeInfo
from deltaforge.sensing.sample import sample_of_events
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.redis import RedisSink, RedisSinkConfig, _pipelines
from deltaforge.sources.mysql.group import row_group
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper
from tests.fuzz import copied_rows, mysql_rows, postgres_rows, transactions
from tests.fuzz.mysql_rows import PLACE
from tests.reading import assert_same_sample
from tests.schemas import registered

pytestmark = pytest.mark.skipif(kernel is None, reason=description)


@pytest.mark.parametrize("rows", [mysql_rows, postgres_rows], ids=["mysql", "postgres"])
@pytest.mark.parametrize("damage", [0.0, 1.0], ids=["valid", "damaged"])
def test_values_keys_and_errors(rows, damage):
    rnd = random.Random(4711)
    for n in range(1500):
        case = rows.Case(rnd, damage)
        assert case.by_kernel() == case.by_python(), n


@pytest.mark.parametrize(
    ("rows", "taken_from"),
    [(mysql_rows, transactions.taken_from_mysql), (postgres_rows, transactions.taken_from_postgres)],
    ids=["mysql", "postgres"],
)
def test_transactions_of_rows_are_taken_whole_up_to_the_first_damage(rows, taken_from):
    rnd, whole, half = random.Random(5), 0, 0
    for _ in range(400):
        case = rows.Case(rnd, 0)
        groups = taken_from(case, rnd, damage=0)
        whole += len(groups) == 2
        if groups:
            assert len({group.event_count for group in groups}) == 1
            assert groups[1].tx_end
        half += len(taken_from(case, rnd, damage=1)) == 1
    assert whole > 200
    assert half > 20


def test_samples():
    rnd, compared = random.Random(8), 0
    for _ in range(600):
        case = mysql_rows.Case(rnd, 0)
        try:
            group = row_group(case.table, case.rows, backend.Transaction("mysql", "s", "f:4", case.gtid, None), PLACE)
            events = case.table.mapper.events(group)
        except DeltaForgeError:
            continue
        values = [value for event in events for value in (event.after or {}).values()]
        if any(part != part for value in values for part in (value if isinstance(value, list) else [value])):
            continue  # not a number: no server stores it, and JSON writes it as null
        names = [column.name for column in case.table.schema.columns]
        for asked in (names[:60], rnd.sample(names, min(len(names), 2)), []):
            for terms in ({"seen": 0, "warmup": 9, "rate": 1}, {"seen": 3, "warmup": 4, "rate": 2}):
                found = kernel.row_sample([group, group], asked, max_depth=3, **terms)
                if found is not None:
                    expected = sample_of_events([*events, *events], asked, max_depth=3, **terms)
                    assert_same_sample(found, expected, len(asked))
                    compared += found.sampled_count
    assert compared > 100


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=4), inner, max_size=6),
    max_leaves=40,
)
DOCUMENT = TableSchema(TableId("d", "s", "t"), (Column("id", "bigint"), Column("doc", "json")), ("id",))


@given(st.lists(JSON_VALUES, min_size=1, max_size=4), st.integers(1, 5))
@example([{f"key {n}": n} for n in range(20)], 5)
def test_structures_of_documents(documents, max_depth):
    columns = (RelationColumn("id", 20, -1, True), RelationColumn("doc", 114, -1, False))
    types = {20: TypeInfo(20, "int8"), 114: TypeInfo(114, "json")}
    mapper = EventMapper("p", "acme", "d")
    table = CapturedTable(Relation(7, "s", "t", "f", columns), registered(DOCUMENT), types, mapper)
    messages = []
    for number, document in enumerate(documents):
        texts = (str(number).encode(), json.dumps(document, ensure_ascii=number % 2 == 0).encode())
        values = b"".join(b"t" + struct.pack(">I", len(text)) + text for text in texts)
        messages.append(b"I" + struct.pack(">I", 7) + b"N" + struct.pack(">H", 2) + values)
    block = kernel.copy_data([b"w" + bytes(24) + message for message in messages])
    transaction = kernel.Transaction("postgresql", "sys", "0/1", "", None)
    _, group, _, _ = block.rows(0, {7: table}, transaction, 1, 9, b"0/1")

    terms = {"seen": 0, "warmup": 100, "rate": 1, "max_depth": max_depth}
    found = kernel.row_sample([group], ["doc"], **terms)

    if found is not None:  # text that is not Unicode is left to Python
        assert_same_sample(found, sample_of_events(mapper.events(group), ["doc"], **terms), 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"stream": "${source.db}.${source.table}"},
        {"stream": "s.${source.row}", "key": "${op}-${source.pos}"},
        {"stream": "s", "key": "${before.no such column}"},
    ],
    ids=["by table", "by row", "without a key"],
)
def test_redis_commands(settings):
    rnd = random.Random(12)
    config = RedisSinkConfig.model_validate({"id": "s", "uri": "redis://h", **settings})
    sink = RedisSink(config, SinkContext("p", "acme", PipelineMetrics("p")))
    compared = 0
    for _ in range(200):
        case = copied_rows.MysqlCase(rnd, 0)
        try:
            group = row_group(case.table, case.rows, backend.Transaction("mysql", "s", "f:4", case.gtid, None), PLACE)
            group = rnd.choice((group, *case.groups()))
            by_kernel = Batch.of_groups([group], MysqlPosition("f", 4))
            by_python = Batch(group.events(), by_kernel.position)
            values = by_kernel.encoded(case.encoder)
            expected = [b"".join(packed) for packed, _ in pipelines(sink, by_python, by_python.encoded(case.encoder))]
        except DeltaForgeError:
            continue
        assert [b"".join(packed) for packed, _ in pipelines(sink, by_kernel, values)] == expected
        compared += 1
    assert compared > 130


def pipelines(sink, batch, values):
    return _pipelines(batch, sink._messages.around(values, batch))


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
