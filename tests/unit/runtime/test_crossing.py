"""A batch for another process: everything of it arrives, and nothing is decoded for it."""

import pickle
import random
import time
from contextlib import suppress

import msgspec
import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.errors import ProtocolError, StorageError
from deltaforge.core.positions import PostgresPosition
from deltaforge.core.snapshot import SnapshotJob, SnapshotState, TableCopy
from deltaforge.kernel import backend, compiled, description
from deltaforge.runtime import crossing
from deltaforge.runtime.crossing import Arrivals, PackedBatch, packed_batch
from deltaforge.sources.mysql.spec import MysqlSourceSpec
from deltaforge.sources.postgres.spec import PostgresSourceSpec
from deltaforge.testing.fakes import make_batch, make_chunk, make_event
from tests.fuzz import mysql_rows
from tests.property.test_spooled_rows import mysql_batch, postgres_batch

MYSQL = MysqlSourceSpec.model_construct(type="mysql")
POSTGRES = PostgresSourceSpec.model_construct(type="postgres")
needs_kernel = pytest.mark.skipif(compiled is None, reason=description)


class Codec:
    """Counts what is unpacked."""

    def __init__(self, spec=MYSQL):
        self._spec, self.count = spec, 0

    def __call__(self, source_name):
        self._codec = self._spec.table_codec(source_name, "acme")
        return self

    def unpack(self, data):
        self.count += 1
        return self._codec.unpack(data)


def crossed(batch, arrivals=None):
    return (arrivals or Arrivals(Codec())).arrived(pickle.loads(pickle.dumps(batch)))  # noqa: S301 - our own bytes


def test_everything_that_a_batch_says_arrives():
    batch = make_chunk(7, first=70, event_count=2, sinks=("k",))
    job = SnapshotJob("j1", "ad_hoc", (TableCopy("public", "t", row_count=5),), where="id > 5", sinks=("k",))
    batch.snapshot = SnapshotState(7, (job,))
    batch.is_tx_end, batch.byte_count = False, 2**40
    batch.received_at, batch.taken_at = time.monotonic() - 100, time.monotonic() - 99
    found = crossed(batch)
    for name in ("position", "is_tx_end", "byte_count", "event_count", "chunk", "snapshot"):
        assert getattr(found, name) == getattr(batch, name)
    assert (found.received_at, found.taken_at) == pytest.approx((batch.received_at, batch.taken_at), abs=0.1)
    assert found.events() == batch.events()


def test_what_a_batch_does_not_say_is_not_said():
    found = crossed(Batch([], PostgresPosition(5)))
    assert (found.position, found.event_count, found.is_tx_end) == (PostgresPosition(5), 0, True)
    assert (found.received_at, found.taken_at, found.chunk, found.snapshot) == (0, 0, None, None)


def test_clocks_of_hosts_differ_and_nothing_comes_out_of_the_future(monkeypatch):
    batch = make_batch(1)
    batch.received_at, batch.taken_at = time.monotonic() - 5, time.monotonic() - 4
    packed = packed_batch(batch)
    boot = time.monotonic
    monkeypatch.setattr(crossing.time, "monotonic", lambda: boot() + 10**6)
    found = Arrivals(Codec()).arrived(packed)
    assert (found.received_at, found.taken_at) == pytest.approx(
        (batch.received_at + 10**6, batch.taken_at + 10**6), abs=1
    )
    ahead = Arrivals(Codec()).arrived(packed._replace(received_at=packed.received_at + 3600))
    assert ahead.received_at <= crossing.time.monotonic()


def test_events_that_were_made_on_the_way_arrive_as_they_are():
    batch = make_batch(3, event_count=2)
    event = msgspec.structs.replace(make_event(9, 3), tags=["made"], synthetic="p")
    made = batch.with_events([*batch.events(), event])
    assert crossed(made).events() == made.events()


@needs_kernel
@pytest.mark.parametrize(("make", "spec"), [(mysql_batch, MYSQL), (postgres_batch, POSTGRES)])
def test_nothing_is_decoded_to_send_or_to_take_it(make, spec, monkeypatch):
    decoded = []
    decode = compiled._decode_events
    monkeypatch.setattr(compiled, "_decode_events", lambda lines: decoded.append(lines) or decode(lines))
    rnd, arrivals = random.Random(4), Arrivals(Codec(spec))
    batches = [rows_only(make(rnd)) for _ in range(20)]
    for batch in batches:
        for group in batch.groups:
            monkeypatch.setattr(group.table.mapper, "events", lambda _: decoded.append("by Python"), raising=False)
    found = [crossed(batch, arrivals) for batch in batches]
    assert not decoded
    assert sum(batch.event_count for batch in found) > 50
    assert [len(batch.groups) for batch in found] == [len(batch.groups) for batch in batches]
    for batch in found:
        with suppress(ProtocolError):  # rows that break their format arrive, and break where they are read
            batch.events()
    assert decoded


def rows_only(batch):
    return batch.with_groups([group for group in batch.groups if type(group) is compiled.RowGroup])


@needs_kernel
def test_a_table_is_packed_once_and_unpacked_once_and_what_is_known_is_bounded(monkeypatch):
    monkeypatch.setattr(crossing, "MAX_KNOWN_TABLES", 3)
    codec, rnd = Codec(), random.Random(7)
    arrivals = Arrivals(codec)
    cases = [mysql_rows.Case(rnd, number) for number in range(4)]
    transaction = backend.Transaction("mysql", "s", "f:1", "", None)

    def batch_of(*cases):
        groups = [backend.mysql_group(c.table, c.rows, transaction, 1, 1, "f", 5) for c in cases for _ in range(2)]
        return Batch.of_groups([group for group in groups if group], PostgresPosition(5))

    cases = [case for case in cases if batch_of(case).groups]
    first, second = (crossed(batch_of(*cases[:2]), arrivals) for _ in range(2))
    assert (codec.count, len(packed_batch(batch_of(*cases[:2])).tables)) == (2, 2)
    assert {id(group.table) for group in first.groups} == {id(group.table) for group in second.groups}
    for case in cases * 2:
        crossed(batch_of(case), arrivals)
        assert len(arrivals._tables) <= 3


def test_bytewax_asks_twice_and_it_is_packed_once():
    batch = make_batch(1)
    assert packed_batch(batch) is packed_batch(batch)
    assert batch.with_groups(batch.groups).packed is None


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda data: b"\x97\x09" + data[2:]])
def test_what_cannot_be_read_names_the_remedy(damage):
    packed = packed_batch(make_batch(1))
    with pytest.raises(StorageError, match="run one version of deltaforge"):
        Arrivals(Codec()).arrived(packed._replace(record=damage(packed.record)))


def test_a_packed_batch_is_plain_data():
    batch = make_chunk(7, first=70, event_count=2)
    batch.snapshot = SnapshotState(7)
    kinds = {type(part) for part in packed_batch(batch)}
    assert kinds == {bytes, tuple, str, float}
    assert isinstance(pickle.loads(pickle.dumps(batch)), PackedBatch)  # noqa: S301 - our own bytes
