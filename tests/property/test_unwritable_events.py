"""Whatever an event holds, what stands between a source and a server's acknowledgement takes it or blames that event."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deltaforge.checkpoint.spooled_batch import decode_batch, encode_batch
from deltaforge.core.batch import Batch
from deltaforge.core.errors import DeltaForgeError, RecordError, StorageError
from deltaforge.core.event import Routing, Transaction
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.routing import Destination, MessageKey, headers_of, row_key
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.journal.entries import Meta, decode_entry, entry_of, event_of, view_of
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.sensing import _by_table
from deltaforge.sensing.declared import is_json_type
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import sample_of_events
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import decode_sensing_state
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.redis import RedisSink, RedisSinkConfig, _pipelines
from deltaforge.storage.base import QueueEntry
from deltaforge.testing.fakes import make_event
from tests.reading import ENCODERS

NAMES = st.just("id") | st.text(max_size=5) | st.sampled_from(("\ud800", "a\udfff", "\0", "", "_base64", "_unchanged"))
TEXTS = st.text(max_size=9) | st.sampled_from(("\ud83d", "\0\x1f\u2028", "x" * 70_000, "NaN"))
NUMBERS = (
    st.integers()
    | st.sampled_from((4301, 5000)).map(lambda digits: 10**digits)
    | st.sampled_from((1 << 63, 1 << 64, -(1 << 63) - 1))
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from((Decimal("1e999999"), Decimal("-1e-999999"), Decimal("1E+1000000000")))
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.binary(max_size=5) | st.builds(object)


def nested(depth, is_list):
    value = 1
    for _ in range(depth):
        value = [value] if is_list else {"a": value}
    return value


DEEP = st.builds(nested, st.sampled_from((100, 480, 900, 1100, 5500, 10_000)), st.booleans())
VALUES = (
    SCALARS | DEEP | st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5)
)  # fmt: skip
ROWS = st.none() | st.dictionaries(NAMES, VALUES, max_size=4)
TYPES = st.sampled_from(("integer", "json", "numeric(1000,-5)", "decimal(65,30)", "text", "x[]", "float8", "bit(64)"))
SCHEMAS = st.builds(
    lambda columns, key_size: TableSchema(
        TableId("app", "public", "t"),
        tuple(Column(name, declared) for name, declared in columns),
        tuple(name for name, _ in columns[:key_size]),
    ),
    st.lists(st.tuples(NAMES, TYPES), max_size=3, unique_by=lambda column: column[0]),
    st.integers(0, 3),
)


@st.composite
def events(draw):
    """Events of tables, and logical messages, which may be any JSON value."""
    schema = draw(st.none() | SCHEMAS)
    images = ROWS if schema is not None else ROWS | VALUES
    return msgspec.structs.replace(
        make_event(1, 2),
        before=draw(images),
        after=draw(images),
        ts_ms=draw(st.integers(0, 1 << 41) | st.sampled_from(((1 << 63) - 1, -(1 << 63), 253_402_300_800_000))),
        transaction=draw(st.none() | st.builds(Transaction, TEXTS)),
        event_id="e-1",
        tenant_id=draw(st.none() | TEXTS),
        ddl=draw(st.none() | st.dictionaries(NAMES, VALUES, max_size=2)),
        tags=draw(st.none() | st.lists(TEXTS, max_size=2)),
        schema=schema,
        routing=draw(
            st.none() | st.builds(Routing, TEXTS, st.none() | TEXTS, st.dictionaries(NAMES, TEXTS, max_size=2))
        ),
    )


@pytest.fixture(scope="module")
def redis_sinks():
    context = SinkContext("p", "t", PipelineMetrics("p"))
    terms = ({"stream": "s"}, {"stream": "${after.id}"}, {"stream": "s", "key": "${after.id}${before.a}"})
    return [RedisSink(RedisSinkConfig(id="k", uri="redis://h", **term), context) for term in terms]


@pytest.fixture(scope="module")
def targets():
    templates = ("${after.id}", "${before.a.b}", "x${transaction.id}${tenant_id}${ddl}", "${tags}", "s")
    keys = (None, "${after.id}", "${after}", "${ddl}${event_id}")
    return [
        *(Destination(template, "topic") for template in templates),
        *(MessageKey(template, row_key, lambda _: None) for template in keys),
    ]


def value_or(allowed, make, *arguments):
    """What is made of an event; None for an allowed error. Everything else fails the test."""
    try:
        return make(*arguments)
    except allowed:
        return None


QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@QUICK
@given(st.lists(events(), min_size=1, max_size=3))
def test_values_keys_and_destinations(redis_sinks, targets, found):
    batch = Batch(found, PostgresPosition(5))
    for encoder in ENCODERS:
        values = value_or(RecordError, batch.encoded, encoder)
        if values is not None:
            values.lines()
            for index in range(len(found)):
                value_or(RecordError, values.key, index)
    for event in found:
        for target in targets:
            value_or(RecordError, target.of, event, 0)
        value_or(RecordError, headers_of, event, 0)
    for sink in redis_sinks:
        value_or(RecordError, commands_of, sink, batch)


def commands_of(sink, batch):
    return list(_pipelines(batch, sink._messages.of(batch)))


@QUICK
@given(events())
def test_dead_letters(event):
    made = entry_of(event, Meta("k", "serialization", "m"), pipeline="p", max_bytes=50_000, now=1)
    entry = decode_entry(QueueEntry(7, msgspec.json.encode(made), 0.0))
    assert entry.payload_truncated is made.payload_truncated
    assert msgspec.json.encode(view_of(7, entry)).startswith(b'{"seq":7,')
    value_or(StorageError, event_of, entry)


@QUICK
@given(st.lists(events(), min_size=1, max_size=3))
def test_a_spool(found):
    data = value_or(StorageError, encode_batch, Batch(found, PostgresPosition(5)), lambda _: 0)
    if data is not None:
        decode_batch(data, lambda _: None)


@QUICK
@given(st.lists(events(), min_size=1, max_size=4))
def test_sensing(found):
    sensing = PipelineSensing(SchemaSensing())
    for groups in _by_table(Batch(found, PostgresPosition(5)).groups).values():
        rows = [event for group in groups for event in group.events()]
        schema = rows[0].schema
        asked = None if schema is None else [column.name for column in schema.columns if is_json_type(column.type)]
        columns = sensing.asked("t", asked)
        for seen in range(2):
            sample = sample_of_events(rows, columns, seen=seen, warmup=10, rate=1, max_depth=5)
            evolutions = sensing.observe("t", columns, sample, datetime.now(UTC))
            if schema is not None:
                for checks_values in (False, True):
                    value_or(DeltaForgeError, observe_drift, sensing, schema, sample, evolutions, checks_values)
    PipelineSensing(SchemaSensing(), decode_sensing_state(sensing.pipeline_bytes()))


def observe_drift(sensing, schema, sample, evolutions, checks_values):
    return sensing.drift.observe("t", schema, sample, evolutions, checks_values=checks_values)
