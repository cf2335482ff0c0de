"""A batch to the bytes that wait on disk and back, and everything that has to be equal then."""

import pickle

from deltaforge.checkpoint.spooled_batch import decode_batch, encode_batch
from deltaforge.core.errors import DeltaForgeError
from deltaforge.kernel import compiled as kernel
from deltaforge.runtime.crossing import Arrivals

PLACE = ("op", "event_count", "tx_end", "ts_ms", "ordinal", "null_date_count", "commit_us", "marks", "orders")
PLACE_OF = {
    "mysql": ("server_id", "pos", "file", "begin_pos", "query"),
    "postgresql": ("lsn", "xid", "message_lsns"),
}


class PackedTables:
    """Captured tables by number, as a process has them that did not capture them."""

    def __init__(self, spec, pipeline="p", tenant="acme"):
        self._unpacker = spec.table_codec(pipeline, tenant)
        self.arrivals = Arrivals(lambda name: spec.table_codec(name, tenant))
        self.packed = []
        self._numbers, self._tables = {}, {}

    def number_of(self, table):
        number = self._numbers.setdefault(table, len(self._numbers))
        if number == len(self.packed):
            self.packed.append(table.packed)
        return number

    def table_of(self, number):
        if number not in self._tables:
            self._tables[number] = self._unpacker.unpack(self.packed[number])
        return self._tables[number]


def spooled(batch, tables):
    """What is read of what was written."""
    return decode_batch(encode_batch(batch, tables.number_of), tables.table_of)


def crossed(batch, tables):
    """What another process makes of what Bytewax sends."""
    return tables.arrivals.arrived(pickle.loads(pickle.dumps(batch)))  # noqa: S301 - our own bytes


def assert_spooled_alike(batch, tables, encoders):
    """Everything that a sink can see of a batch is the same after it was on disk, and in another process."""
    found, sent = spooled(batch, tables), crossed(batch, tables)
    for other in (found, sent):
        assert (other.position, other.is_tx_end, other.byte_count) == (
            batch.position,
            batch.is_tx_end,
            batch.byte_count,
        )
        assert (other.event_count, other.chunk) == (batch.event_count, batch.chunk)
        assert abs(other.received_at - batch.received_at) < 60
        assert places_of(other) == places_of(batch)
    for encoder in encoders:
        assert values_of(found, encoder) == values_of(batch, encoder)
    assert values_of(sent, encoders[0]) == values_of(batch, encoders[0])
    assert plain_events(found) == plain_events(batch)
    return found


def places_of(batch):
    """What the row groups of the kernel say of themselves."""
    return [place_of(group) for group in batch.groups if kernel is not None and type(group) is kernel.RowGroup]


def values_of(batch, encoder):
    """Values with their keys, or the error."""
    try:
        values = encoder.encode_groups(batch.groups)
        return [(values.key(n), values[n]) for n in range(len(values))]
    except DeltaForgeError as error:
        return f"{type(error).__name__}: {error}"


def plain_events(batch):
    """All fields of the events, the table definition too, or the error."""
    try:
        return [repr(event) for event in batch.events()]
    except DeltaForgeError as error:
        return f"{type(error).__name__}: {error}"


def place_of(group):
    """What a row group says of itself."""
    transaction = group.transaction
    names = PLACE + PLACE_OF[group.head().source.connector]
    return [getattr(group, name) for name in names] + [
        transaction.gtid, transaction.commit_us, transaction.thread, transaction.last_commit_lsn, transaction.ids.at(7), group.table.schema, group.table.sequence,
    ]  # fmt: skip
