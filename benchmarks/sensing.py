"""Cost of sensing and drift per sampled row, and memory with many tables and shapes.

    python -m benchmarks.sensing [--tables 1000] [--shapes 10]

Prints microseconds per sampled row when every structure is known (best of 15 rounds of 100 samples), then,
after each of ``tables`` tables has seen ``shapes`` different JSON shapes, the traced memory, the bytes of the
saved state and the time to encode it.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import EventSample
from deltaforge.sensing.settings import SchemaSensing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = TableSchema(TableId("shop", None, "orders"), (Column("id", "bigint"), Column("doc", "json")), ("id",))


class HashedSample(EventSample):
    """A sample whose hashes are at hand, as a compiled decoder's are."""

    def __init__(self, docs: list[dict[str, Any]]) -> None:
        rows = [{"id": n, "doc": doc} for n, doc in enumerate(docs)]
        super().__init__(rows, ("doc",), [len(rows)], row_count=len(rows), max_depth=10)
        self._hashes = super().structures(0)

    def structures(self, column: int) -> Any:
        return super().structures(column) if column else self._hashes


def document(shape: int) -> dict[str, Any]:
    """A document of 20 scalars, an object, an array of objects, and a field of its own shape."""
    fields: dict[str, Any] = {f"field_{n}": n if n % 3 else f"value {shape % 7}-{n}" for n in range(20)}
    address = {f"line_{n}": "x" for n in range(6)}
    items = [{"sku": "s", "qty": 1, "price": 1.5}] * 2
    return {**fields, "address": address, "items": items, f"optional_{shape}": {"a": 1, "b": None}}


def cost(size: int) -> tuple[float, float]:
    """Microseconds per sampled row for sensing and for drift, in samples of ``size`` rows of 4 shapes."""
    sensing = PipelineSensing(SchemaSensing(enabled=True))
    sample = HashedSample([document(n % 4) for n in range(size)])
    best = [float("inf")] * 2
    for _ in range(15):
        begun = time.perf_counter()
        for _ in range(100):
            sensing.observe("orders", ("doc",), sample, NOW)
        between = time.perf_counter()
        for _ in range(100):
            sensing.drift.observe("orders", SCHEMA, sample)
        ended = time.perf_counter()
        best = [min(best[0], between - begun), min(best[1], ended - between)]
    return best[0] / size * 1e4, best[1] / size * 1e4


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=1000)
    parser.add_argument("--shapes", type=int, default=10)
    options = parser.parse_args()
    for size in (1000, 100, 10):
        sensing_us, drift_us = cost(size)
        print(f"samples of {size:4} rows: sensing {sensing_us:.3f} us, drift {drift_us:.3f} us per sampled row")
    sensing = PipelineSensing(SchemaSensing(enabled=True))
    tracemalloc.start()
    for table in range(options.tables):
        name = f"table_{table}"
        sample = EventSample(
            [{"doc": document(n)} for n in range(options.shapes)],
            ("doc",),
            [options.shapes],
            row_count=options.shapes,
            max_depth=10,
        )
        evolutions = sensing.observe(name, ("doc",), sample, NOW)
        sensing.drift.observe(name, SCHEMA, sample, evolutions)
    del sample
    traced = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    begun = time.perf_counter()
    size = len(sensing.pipeline_bytes())
    whole = time.perf_counter() - begun
    begun = time.perf_counter()
    sensing.pipeline_bytes()
    again = time.perf_counter() - begun
    print(f"{options.tables} tables of {options.shapes} shapes: {traced / 1e6:.1f} MB, state {size / 1e6:.1f} MB,")
    print(f"encoded in {whole * 1e3:.0f} ms, unchanged again in {again * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
