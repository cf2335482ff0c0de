"""Where Bytewax places keys and partitions: seen, and foretold."""

import threading

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.run import cli_main
from bytewax.testing import TestingSink

from deltaforge.runtime.placement import key_at, worker_of_key, worker_of_part

WORKERS = 3
PARTS = ("log", "log@eu", "log@us", "log@zz")
KEYS = [f"delivery~{number}" for number in range(40)]


def test_keys_and_partitions_are_where_they_are_foretold_to_be():
    parts, keys = {}, {}

    class Part(StatefulSourcePartition):
        def __init__(self, part):
            parts[part] = threading.get_ident()
            self._items = [(key, 1) for key in KEYS]

        def next_batch(self):
            if not self._items:
                raise StopIteration
            items, self._items = self._items, []
            return items

        def snapshot(self):
            return None

    class Source(FixedPartitionedSource):
        def list_parts(self):
            return list(PARTS)

        def build_part(self, _step, part, _state):
            return Part(part)

    class Logic(StatefulBatchLogic):
        def on_batch(self, values):
            return [(threading.get_ident(), len(values))], self.RETAIN

        def snapshot(self):
            return None

    found, flow = [], Dataflow("placement")
    placed = op.stateful_batch("keyed", op.input("source", flow, Source()), lambda _: Logic())
    op.output("sink", placed, TestingSink(found))
    cli_main(flow, workers_per_process=WORKERS)
    for key, (thread, _) in found:
        keys[key] = thread
    threads = {worker_of_part(part, PARTS, WORKERS): thread for part, thread in parts.items()}
    assert len(threads) == WORKERS
    assert {part: threads[worker_of_part(part, PARTS, WORKERS)] for part in PARTS} == parts
    assert {key: threads[worker_of_key(key, WORKERS)] for key in KEYS} == keys


def test_a_key_can_be_had_for_every_worker():
    for count in (2, 4, 7):
        assert [worker_of_key(key_at("delivery", worker, count), count) for worker in range(count)] == [*range(count)]
    assert key_at("delivery", worker_of_key("delivery", 5), 5) == "delivery"
