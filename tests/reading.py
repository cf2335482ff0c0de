"""Reading a source's stream in a test."""

import time
from collections import Counter
from contextlib import contextmanager

import msgspec
import pytest

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.core.batch import DecodedGroup
from deltaforge.core.encoded import MessageRules
from deltaforge.core.errors import SourceError
from deltaforge.core.event import EventIds
from deltaforge.core.json_parse import parse_json_exact
from deltaforge.core.json_text import encode_json
from deltaforge.core.key_changes import split_key_change
from deltaforge.core.routing import row_key
from deltaforge.core.row_ids import touched_rows
from deltaforge.core.template import Template
from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.cloudevents import CloudEventsEnvelope
from deltaforge.envelopes.debezium import DebeziumEnvelope
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel import compiled as kernel
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.schema.registry import SchemaRegistry
from deltaforge.sensing.sample import sample_of_events
from deltaforge.sensing.structure import NOT_HASHED
from deltaforge.sources.base import BatchLimits, SourceContext
from deltaforge.sources.mysql.spec import MysqlSourceSpec
from deltaforge.sources.postgres.spec import PostgresSourceSpec
from deltaforge.storage.memory import MemoryStorage
from tests.records import assert_records_alike
from tests.routing import router_of
from tests.spooling import PackedTables, assert_spooled_alike

ENCODERS = [
    JsonEncoder(envelope)
    for envelope in (
        NativeEnvelope(),
        DebeziumEnvelope(),
        CloudEventsEnvelope('com."acme"', include_nulls=False),
        CloudEventsEnvelope("com.acme", include_nulls=True),
    )
]

MARKED = JsonEncoder(NativeEnvelope(), MessageRules(tombstones=True, splits_key_changes=True))
"""Makes up to three messages of an event."""
LANES = 3
ROW_IDS = EventIds.of("mysql", "server", "snapshot|job|d.t")


class StreamReader:
    """Opens streams of one source, one after the other, and remembers the position."""

    def __init__(self, spec, state_dir, *, asked=(), **limits):
        self._asked = frozenset(asked)
        self._spec = spec
        self._packed_tables = PackedTables(spec)
        state_dir.mkdir(exist_ok=True)
        self.metrics = PipelineMetrics("p")
        self._storage = MemoryStorage()
        self._state_dir, self._limits = state_dir, BatchLimits(max_ms=5, **limits)
        self.restart()
        self.stream = None
        self.position = self._first = None
        self.batches = []

    def restart(self):
        """What a process does that starts again: it knows what is stored."""
        self.registry = SchemaRegistry(self._storage.log, "acme", "s")
        self.failover = FailoverLog(self._storage.kv, "s")
        self._context = SourceContext(
            "p", "acme", self._state_dir, self._limits, self.metrics, self.registry, self.failover,
            asked=self._asked,
        )  # fmt: skip
        return self

    def open(self, position=None):
        """Open at ``position``, else where the last reading ended."""
        self.close()
        self.position = self._opened(position or self.position)
        self._first = self._first or self.position
        return self

    def _opened(self, position, timeout_secs=60):
        """Where reading begins. PostgreSQL needs a moment to notice that a stream was closed, which had the slot."""
        deadline = time.monotonic() + timeout_secs
        while True:
            self.stream = self._spec.build(self._context)
            try:
                return self.stream.open(position)
            except SourceError as error:
                if self._first is None or " is active for PID " not in error.message or time.monotonic() > deadline:
                    raise
            self.stream.close()
            time.sleep(0.05)

    def read(self, count, timeout_secs=60):
        """The next ``count`` events."""
        events = self.read_until(lambda events: len(events) >= count, timeout_secs)
        assert len(events) == count, f"{len(events)} events, expected {count}"
        return events

    def read_until(self, is_enough, timeout_secs=60):
        """The next events up to the batch with which they are enough."""
        events = []
        deadline = time.monotonic() + timeout_secs
        while not is_enough(events):
            assert time.monotonic() < deadline, f"after {len(events)} events no more came"
            self.stream.keep_alive(self._first)  # what lies behind it may be read again, however long this takes
            for batch in self.stream.poll(0.1):
                assert_kernel_equals_python(batch)
                assert_spooled_alike(batch, self._packed_tables, [*ENCODERS, MARKED])
                for _, part in router_of(LANES, mode="key")([("delivery", batch)]):
                    assert_spooled_alike(part, self._packed_tables, ENCODERS)
                events += batch.events()
                self.position = batch.position
                self.batches.append(batch)
        return events

    def read_nothing(self, for_secs=0.5):
        """Assert that no event comes for a while; positions may."""
        deadline = time.monotonic() + for_secs
        while time.monotonic() < deadline:
            for batch in self.stream.poll(0.1):
                assert not batch.events()
                self.position = batch.position

    def read_until_moved(self, position, timeout_secs=60):
        """Poll until the position is another one; no event may come."""
        deadline = time.monotonic() + timeout_secs
        while self.position == position:
            assert time.monotonic() < deadline, "the position does not move"
            self.read_nothing(0.1)

    def close(self):
        if self.stream is not None:
            self.stream.close()
            self.stream = None


def assert_kernel_equals_python(batch):
    """Values, keys, events, samples and row ids that the kernel makes of rows are those of the Python decoders."""
    events_of_groups = [python_events(group) for group in batch.groups]
    assert_encoded_alike(batch, [event for events in events_of_groups for event in events])
    assert_split_alike(batch, events_of_groups)
    for group, events in zip(batch.groups, events_of_groups, strict=True):
        assert group.touched_rows(ROW_IDS) == touched_rows(events, ROW_IDS)
        assert not group.keeps_keys() or all(split_key_change(event) is None for event in events)
        if kernel is not None and group.table is not None:
            assert_sampled_alike(group, events)
            assert_rendered_alike(group, events)
    assert_records_of_tables_alike(batch, events_of_groups)


def assert_records_of_tables_alike(batch, events_of_groups):
    """Records with the fields of every option, of all groups of a table at once."""
    groups_of, events_of = {}, {}
    for group, events in zip(batch.groups, events_of_groups, strict=True):
        if kernel is not None and isinstance(group, kernel.RowGroup):
            groups_of.setdefault(group.table, []).append(group)
            events_of.setdefault(group.table, []).extend(events)
    for table, groups in groups_of.items():
        assert_records_alike(groups, events_of[table], events_of[table][0].source.connector)


def assert_split_alike(batch, events_of_groups):
    """Lanes that the kernel finds in the bytes of rows are those of their events, and its parts have the same values."""
    events = [event for events in events_of_groups for event in events]
    columns = {column.name for group in batch.groups if group.table for column in group.table.schema.columns[:20]}
    values = [ENCODERS[0].encode(event) for event in events]
    for sharding in (
        {"mode": "table"},
        {"mode": "key"},
        *({"mode": "key", "key": column} for column in sorted(columns)),
    ):
        router = router_of(LANES, **sharding)
        try:
            lanes = [router.lane_of(event) for event in events]
        except SourceError:
            with pytest.raises(SourceError):
                router([("delivery", batch)])
            continue
        for lane, (_, part) in enumerate(router([("delivery", batch)])):
            wanted = [value for value, number in zip(values, lanes, strict=True) if number == lane]
            assert list(part.encoded(ENCODERS[0])) == wanted
            if sharding == {"mode": "key"}:
                own = [event for event, number in zip(events, lanes, strict=True) if number == lane]
                assert_encoded_alike(part, own)


def messages(values):
    """The event, the key and the value of each message."""
    return [(values.event_of(n), values.key(n), value) for n, value in enumerate(values)]


def assert_encoded_alike(batch, events):
    assert wire(batch.events()) == wire(events)
    assert [event.origin for event in batch.events()] == [event.origin for event in events]
    assert messages(batch.encoded(MARKED)) == messages(MARKED.encode_each([DecodedGroup(events)] if events else []))
    for encoder in ENCODERS:
        values = batch.encoded(encoder)
        for value, event in zip(values, events, strict=True):
            expected = encoder.encode(event)
            if value != expected:
                at = next((n for n, (a, b) in enumerate(zip(value, expected, strict=False)) if a != b), len(value))
                pytest.fail(f"{value[max(0, at - 40) : at + 40]!r} is not {expected[max(0, at - 40) : at + 40]!r}")
        assert [values.key(index) for index in range(len(events))] == [row_key(event).encode() for event in events]


def assert_sampled_alike(group, events):
    columns = [column.name for column in group.table.schema.columns]
    for asked in (columns[:60], columns[-1:], ["no such column"]):
        for terms in ({"seen": 0, "warmup": 1 << 30, "rate": 1}, {"seen": 5, "warmup": 6, "rate": 3}):
            found = kernel.row_sample([group], asked, max_depth=4, **terms)
            if found is not None:
                assert_same_sample(found, sample_of_events(events, asked, max_depth=4, **terms), len(asked))


def assert_rendered_alike(group, events):
    """Templates of each column: what the kernel renders is what Python does, and errors are left to Python."""
    for column in group.table.schema.columns[:60]:
        if set("${}.") & set(column.name):
            continue
        for text in (f"${{after.{column.name}}}", f"t${{op}}.${{source.table}}.${{before.{column.name}}}"):
            template = Template.parse(text)
            targets = kernel.TargetTemplates(("t",), template.parts, None).targets()
            taken = targets.extend([group], 0)
            try:
                expected = [template.render(event, lambda _: "").encode() for event in events]
            except ValueError:
                assert not taken, f"{text} has an error"
                continue
            assert not taken or [targets.key(row) for row in range(len(events))] == expected, text


def assert_same_sample(found, expected, asked_count):
    assert (found.row_count, found.sampled_count) == (expected.row_count, expected.sampled_count)
    assert found.totals == list(expected.totals)
    assert found.signatures == list(expected.signatures)
    assert found.signature_counts() == expected.signature_counts()
    for row in range(found.sampled_count):
        assert wire(found.after(row)) == wire(expected.after(row))
    for column in range(asked_count):
        for hashed, hash_of_value in zip(found.structures(column), expected.structures(column), strict=True):
            assert hashed in (NOT_HASHED, hash_of_value)
        assert found.structure_counts(column) == Counter(found.structures(column))


def python_events(group):
    """The events of a group by the Python decoders."""
    if group.table is None:
        return group.events()
    events = group.table.mapper.events(group)
    events[-1].tx_end = group.tx_end
    return events


def mysql_reader(database, state_dir, *, tables=None, url=None, limits=None, asked=(), **config):
    tables = [f"{database.name}.*"] if tables is None else tables
    config = {"id": f"test-{database.name}", "dsn": url or database.url(), "tables": tables, **config}
    return StreamReader(MysqlSourceSpec(type="mysql", config=config), state_dir, asked=asked, **(limits or {}))


def postgres_reader(database, state_dir, *, tables=(), url=None, limits=None, asked=(), **config):
    config = {
        "id": "test", "dsn": url or database.url(), "tables": list(tables), "publication": "pub",
        "slot": f"slot_{database.name}", **config,
    }  # fmt: skip
    return StreamReader(PostgresSourceSpec(type="postgres", config=config), state_dir, asked=asked, **(limits or {}))


@contextmanager
def readers_of(make_reader, folder):
    """Gives ``make(database, …)``: an open reader with a state of its own below ``folder``, or one to open where it says
    ``opens=False``; all are closed at the end.
    """
    readers = []

    def make(database, *, opens=True, **options):
        readers.append(make_reader(database, folder / f"state{len(readers)}", **options))
        return readers[-1].open() if opens else readers[-1]

    try:
        yield make
    finally:
        for reader in readers:
            reader.close()


def wire(value):
    """A row image as a consumer of the JSON sees it."""
    text = encode_json(value)
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:  # a number that no float can hold
        return parse_json_exact(text.decode())


def brief(events):
    """Op and images of events."""
    return [(event.op, wire(event.before), wire(event.after)) for event in events]
