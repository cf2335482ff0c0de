"""Copying tables in a test: the chunks of a reader, without what merges them into the log."""

from contextlib import ExitStack, contextmanager

from deltaforge.core.batch import Batch
from deltaforge.sources.snapshot.base import ChunkRequest
from tests.reading import assert_kernel_equals_python, postgres_reader, python_events, readers_of


class TableCopier:
    """Reads chunks of tables by the side of a stream that is open."""

    def __init__(self, reader, chunk_reader, **limits):
        self.reader, self.stream, self.chunks = reader, reader.stream, chunk_reader
        self.limits = {"max_rows": 10_000, "max_bytes": 4 << 20, **limits}

    def plan(self, name, schema="public", *, where=None, stripe_count=1):
        return self.chunks.plan((schema, name), where=where, stripe_count=stripe_count)

    def captured(self, plan):
        """The table as it is now; the server takes its time to say so."""
        return self.stream.tables_to_copy([plan.table])[plan.table]

    def request(self, plan, low=None, end=None, *, captured=None, **changes):
        captured = captured or self.captured(plan)
        transaction = f"snapshot|job|{'.'.join(plan.table)}"
        ids = self.stream.ids_of(transaction)
        return ChunkRequest(plan, captured, transaction, ids, low=low, end=end, **{**self.limits, **changes})

    def read(self, plan, low=None, end=None, **changes):
        return self.chunks.read(self.request(plan, low, end, **changes))

    def all(self, plan, **changes):
        """All chunks of a table, stripe after stripe."""
        found, captured = [], self.captured(plan)
        for stripe in plan.stripes:
            low, is_done = stripe.at, False
            while not is_done:
                found.append(self.read(plan, low, stripe.end, captured=captured, **changes))
                low, is_done = found[-1].reached, found[-1].reached is None
        return found


def copied_events(chunks):
    """The events of chunks; what the kernel makes of them is what Python does."""
    events = []
    for chunk in chunks:
        for group in chunk.rows:
            assert_kernel_equals_python(Batch.of_groups([group], chunk.high))
            events += python_events(group)
    return events


def copier_of(reader, **limits):
    """A copier of the tables of the source whose stream ``reader`` has opened."""
    return TableCopier(reader, reader._spec.chunk_reader(reader._context), **limits)


@contextmanager
def copiers_of(database, folder):
    """Gives ``make(**config)``: a copier beside an open reader of a database of PostgreSQL; all are closed at the end."""
    with ExitStack() as stack:
        make_reader = stack.enter_context(readers_of(postgres_reader, folder))

        def make(**config):
            copy = copier_of(make_reader(database, **config))
            stack.callback(copy.chunks.close)
            return copy

        yield make
