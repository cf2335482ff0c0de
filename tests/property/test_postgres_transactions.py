"""Transactions that the kernel takes whole give the batches that the stream makes message by message."""

import random
import struct

import pytest

from deltaforge.checkpoint.identity import FailoverLog
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.positions import PostgresPosition
from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.protocol.postgres.values import TypeInfo
from deltaforge.sources.base import BatchLimits, SourceContext
from deltaforge.sources.postgres.config import PostgresSourceConfig
from deltaforge.sources.postgres.event_mapper import EventMapper
from deltaforge.sources.postgres.message_mapper import MessageMapper
from deltaforge.sources.postgres.relations import Relations
from deltaforge.sources.postgres.stream import PostgresStream
from deltaforge.storage.memory import MemoryStorage
from tests.fuzz.mysql_input import damaged
from tests.reading import python_events, wire
from tests.schemas import memory_registry

pytestmark = pytest.mark.skipif(kernel is None, reason=description)

CAPTURED, OTHER, UNKNOWN = 16385, 16386, 16387
LIMITS = (
    {"max_events": 7},
    {"max_events": 5, "respect_source_tx": False, "max_bytes": 900},
    {"max_events": 40, "max_tx_bytes": 400},
)


class Log:
    """Random frames of a replication connection, mostly small transactions."""

    def __init__(self, rnd):
        self._rnd, self._lsn, self._xid = rnd, rnd.choice((1 << 20, (7 << 32) - 500, 1 << 60)), 700
        self.frames = [self._relation(CAPTURED, "t"), self._relation(OTHER, "not_ours")]
        self.commits = []

    def write(self, count):
        for _ in range(count):
            dice = self._rnd.random()
            if dice < 0.06:
                self._put(self._message(is_transactional=False))
            elif dice < 0.12:
                self.frames.append(b"k" + struct.pack(">QQB", self._lsn + 1, 0, 0))
            elif dice < 0.16:
                self._put(self._relation(self._rnd.choice((CAPTURED, OTHER)), "t" if dice < 0.14 else "not_ours")[25:])
            else:
                self._transaction()
        return self

    def _transaction(self):
        rnd = self._rnd
        commit, end, micros = self._lsn + rnd.randint(20, 400), self._lsn + 401, rnd.randint(-(10**12), 10**15)
        self._xid += 1
        self.commits.append(commit)
        self._put(b"B" + struct.pack(">QqI", commit, micros, self._xid))
        for _ in range(rnd.choice((0, 1, 1, 1, 1, 2, 3, 12))):
            self._put(self._row() if rnd.random() < 0.97 else self._odd())
        self._lsn = end
        self._put(b"C" + struct.pack(">BQQq", 0, commit, end, micros))

    def _row(self):
        oid = struct.pack(">I", CAPTURED if self._rnd.random() < 0.8 else OTHER)
        row = self._tuple()
        return self._rnd.choice((b"I" + oid + b"N" + row, b"U" + oid + b"N" + row, b"D" + oid + b"K" + row))

    def _odd(self):
        truncate = b"T" + struct.pack(">IBI", 1, 0, CAPTURED)
        keepalive = b"k" + struct.pack(">QQB", self._lsn + 2, 0, 0)
        return self._rnd.choice((truncate, self._message(is_transactional=True), keepalive))

    def _tuple(self):
        texts = str(self._rnd.randint(1, 99)).encode(), b"x" * self._rnd.randint(0, 60)
        return struct.pack(">H", 2) + b"".join(b"t" + struct.pack(">I", len(text)) + text for text in texts)

    def _message(self, *, is_transactional):
        content = b'{"a":1}'
        head = b"M" + struct.pack(">BQ", is_transactional, self._lsn + 3)
        return head + b"prefix\0" + struct.pack(">I", len(content)) + content

    def _relation(self, oid, name):
        columns = b"".join(
            bytes((key,)) + text + b"\0" + struct.pack(">Ii", type_oid, -1)
            for key, text, type_oid in ((1, b"id", 23), (0, b"v", 25))
        )
        return self._framed(b"R" + struct.pack(">I", oid) + b"public\0" + name.encode() + b"\0d\0\2" + columns)

    def _put(self, message):
        self.frames.append(message if message[:1] == b"k" else self._framed(message))
        self._lsn += 1

    def _framed(self, message):
        return b"w" + struct.pack(">QQQ", self._lsn, self._lsn, 0) + message


class Catalog:
    """That of one table with one key."""

    def types(self, _oids):
        return {23: TypeInfo(23, "int4"), 25: TypeInfo(25, "text")}

    def type_names(self, _relation):
        return ["integer", "text"]

    def underlying_types(self, _relation):
        return [None, None]

    def column_definitions(self, _relation):
        return {}

    def primary_key(self, _relation):
        return ("id",)

    def hides_key(self, _relation):
        return False


def make_stream(tmp_path, limits, commits):
    registry, metrics = memory_registry(), PipelineMetrics("p")
    context = SourceContext(
        "p", "acme", tmp_path, BatchLimits(**limits), metrics, registry, FailoverLog(MemoryStorage().kv, "s")
    )
    config = PostgresSourceConfig(id="s", dsn="postgres://u@h/d", tables=["public.t"], publication="pub", slot="slot")
    stream = PostgresStream(config, context)
    events = EventMapper("p", "acme", "shop")
    stream._relations = Relations(["public.t"], Catalog(), registry, "42", events)
    stream._mapper = MessageMapper(events, stream._relations.tables, None, "42")
    stream._resume = PostgresPosition(5, None, "42", 1)
    stream._relations._ahead = sorted(commits)
    stream._moved_at = float("inf")  # no keepalive moves the position before the first transaction
    return stream


def outcome(stream, feed):
    """Everything that a reading leads to, or its error."""
    try:
        feed(stream)
        stream._batcher._cut_closed(0.0)
        batches = stream._batcher.due(1e9)
        events = [wire_of(event) for batch in batches for group in batch.groups for event in python_events(group)]
        assert [wire_of(event) for batch in batches for event in batch.events()] == events
    except DeltaForgeError as error:
        return f"{type(error).__name__}: {error}"
    facts = [(batch.position, batch.is_tx_end, batch.byte_count, batch.event_count) for batch in batches]
    state = (stream._received, stream._bytes, dict(stream._counts), stream._relations.misses, stream._is_tx_open)
    return facts, state, events


def wire_of(event):
    return (
        event.event_id,
        event.op,
        wire(event.before),
        wire(event.after),
        event.ts_ms,
        event.tx_end,
        wire(event.source),
        event.origin,
    )


class Wire:
    """A connection on which the frames come in pieces."""

    reads_blocks = True
    has_left_out = False

    def __init__(self, frames, rnd, sizes):
        self._frames, self._rnd, self._sizes = frames, rnd, sizes

    @property
    def is_empty(self):
        return not self._frames

    def read_block(self, _max_bytes, begun=None, index=0):
        size = self._rnd.choice(self._sizes)
        kept = [] if begun is None else [begun.message(n) for n in range(index, begun.count)]
        taken, self._frames = self._frames[:size], self._frames[size:]
        return kernel.copy_data(kept + taken), self.is_empty

    def send_status(self, *_args, **_named):
        raise AssertionError("nobody asked for it")


def by_blocks(frames, seed, sizes=(0, 1, 3, 30, 200)):
    def feed(stream):
        wire = Wire(frames, random.Random(seed), sizes)
        while not wire.is_empty:
            stream._drain(wire)

    return feed


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("damage", [0, 1], ids=["valid", "damaged"])
def test_whole_transactions_give_what_their_messages_give(tmp_path, monkeypatch, limits, damage):
    rnd, taken = random.Random(2024), 0
    # Where parts of an open transaction are cut depends on where the pieces end, so there is one for those limits.
    sizes = {} if limits is LIMITS[0] else {"sizes": (1000,)}
    for seed in range(40):
        log = Log(rnd).write(60)
        if damage:
            at = rnd.randrange(2, len(log.frames))
            log.frames[at] = log.frames[at][:25] + damaged(rnd, log.frames[at][25:])
        ahead = rnd.sample(log.commits, min(2, len(log.commits))) if rnd.random() < 0.5 else []
        stream = make_stream(tmp_path, limits, ahead)
        found = outcome(stream, by_blocks(log.frames, seed, **sizes))
        taken += not isinstance(found, str)
        with monkeypatch.context() as patch:
            patch.setattr(PostgresStream, "_on_transactions", lambda _stream, _block, index, _now: index)
            expected = outcome(make_stream(tmp_path, limits, ahead), by_blocks(log.frames, seed, **sizes))
        assert found == expected, seed
    assert taken > (5 if damage else 39)


def test_whole_transactions_give_what_single_frames_give(tmp_path):
    rnd = random.Random(77)
    for seed in range(20):
        log = Log(rnd).write(80)

        def feed(stream, frames=log.frames):
            for frame in frames:
                stream._on_frame(None, frame, 0.0)

        facts, (*_, is_open), events = outcome(make_stream(tmp_path, LIMITS[0], []), by_blocks(log.frames, seed))
        slow_facts, (*_, is_open_slowly), slow_events = outcome(make_stream(tmp_path, LIMITS[0], []), feed)
        assert events == slow_events
        assert [(p, e, n) for p, e, _, n in facts] == [(p, e, n) for p, e, _, n in slow_facts]
        assert is_open == is_open_slowly


def test_most_of_a_block_is_taken_at_once(tmp_path):
    stream = make_stream(tmp_path, {"max_events": 1 << 20}, [])
    first, second = (Log(random.Random(n)) for n in (1, 2))
    for _ in range(500):
        first._transaction()
    stream._on_block(None, kernel.copy_data(first.frames))
    mapper, tables, ahead = stream._mapper, stream._relations.tables, stream._relations.ahead
    second._lsn = first._lsn
    for _ in range(1000):
        second._put(b"B" + struct.pack(">QqI", second._lsn + 2, 5, 9))
        second._put(second._row())
        second._put(b"C" + struct.pack(">BQQq", 0, second._lsn, second._lsn + 1, 5))
    block = kernel.copy_data(second.frames)
    found = kernel.CopyTransactions(block, 2, tables, mapper.id_origin, ahead, (1 << 30, 1 << 30), (9, 9))
    assert (found.stop, found.xid) == (block.count, 9)
