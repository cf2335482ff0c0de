"""Counting keys in little memory: how many different ones, and which are frequent.

Written here because the packaged ones bring a numeric library with them, and because plain objects, by far
the most, should cost no more than a dictionary of their few names. Everything is deterministic: equal names
in equal order give equal states.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection

import msgspec

from deltaforge.sensing.structure import mix, name_hash

MAX_CAPACITY = 4096


class HyperLogLog(msgspec.Struct, array_like=True):
    """Estimates how many different names were added; the error is about ``1.04 / sqrt(2 ** precision)``.

    Source: Flajolet and others, "HyperLogLog: the analysis of a near-optimal cardinality estimation
    algorithm", 2007, with 64-bit hashes, which need no correction at the upper end.
    """

    precision: int
    registers: bytearray

    @classmethod
    def empty(cls, precision: int) -> HyperLogLog:
        """One that has seen nothing; ``2 ** precision`` bytes."""
        return cls(precision, bytearray(1 << precision))

    def add(self, name: str) -> None:
        """Count a name; a second time changes nothing."""
        found = mix(name_hash(name))
        rest_bits = 64 - self.precision
        rank = rest_bits - (found & (1 << rest_bits) - 1).bit_length() + 1
        at = found >> rest_bits
        self.registers[at] = max(self.registers[at], rank)

    def estimate(self) -> int:
        """The number of different names."""
        count = len(self.registers)
        raw = 0.7213 / (1 + 1.079 / count) * count * count / sum(2.0**-rank for rank in self.registers)
        empty = self.registers.count(0)
        if raw <= 2.5 * count and empty:
            return round(count * math.log(count / empty))
        return round(raw)


class KeySketch(msgspec.Struct, array_like=True):
    """The key names of one object path.

    While there are no more names than there is room for, every count is exact. Then the rarest name makes
    room for a new one, which inherits its count as a possible error (Space-Saving; Metwally and others,
    2005), and the different names are estimated.

    Attributes:
        counts: Weight of each name that is kept.
        errors: By how much that may be too high; names without an error are left out.
        distinct: Estimates the number of names; None while ``counts`` has them all.
        examples: A uniform sample of the names that found no room at first sight; else empty.
        overflow: How many such names there were.
    """

    counts: dict[str, int] = {}
    errors: dict[str, int] = {}
    distinct: HyperLogLog | None = None
    examples: list[str] = []
    overflow: int = 0

    def add(self, names: Collection[str], weight: int, sizes: tuple[int, int, int]) -> int:
        """Count the keys of one object.

        Args:
            names: All different.
            weight: How many objects this one stands for.
            sizes: Names that are kept at least, precision of the estimate, and number of examples. Twice as
                many names as an object has are always kept, or a wide one would push out its own names.

        Returns:
            How many of the names were not kept until now.
        """
        capacity, precision, example_count = sizes
        capacity = min(max(capacity, 2 * len(names)), MAX_CAPACITY)
        unknown = [name for name in names if name not in self.counts]
        for name in names:
            if name in self.counts:
                self.counts[name] += weight
        room = max(0, capacity - len(self.counts))
        self.counts.update(dict.fromkeys(unknown[:room], weight))
        if len(unknown) > room and self.distinct is None:
            self.distinct = HyperLogLog.empty(precision)
            for name in self.counts:
                self.distinct.add(name)
        elif self.distinct is not None:
            for name in unknown[:room]:
                self.distinct.add(name)
        if len(unknown) > room:
            self._make_room(unknown[room:], weight, example_count)
        return len(unknown)

    def guaranteed(self) -> dict[str, int]:
        """The least that each kept name can weigh."""
        return {name: count - self.errors.get(name, 0) for name, count in self.counts.items()}

    def distinct_count(self) -> int:
        """The number of different names: exact, or estimated once there are many."""
        return len(self.counts) if self.distinct is None else max(self.distinct.estimate(), len(self.counts))

    def _make_room(self, names: list[str], weight: int, example_count: int) -> None:
        heap = [(count, name) for name, count in self.counts.items()]
        heapq.heapify(heap)
        for name in names:
            if self.distinct is not None:
                self.distinct.add(name)
            least, rarest = heap[0]
            del self.counts[rarest]
            self.errors.pop(rarest, None)
            heapq.heapreplace(heap, (least + weight, name))
            self.counts[name], self.errors[name] = least + weight, least
            self._offer(name, example_count)

    def _offer(self, name: str, example_count: int) -> None:
        self.overflow += 1
        if len(self.examples) < example_count:
            self.examples.append(name)
            return
        at = mix(self.overflow) % self.overflow  # algorithm R, with a hash for a dice
        if at < example_count:
            self.examples[at] = name
