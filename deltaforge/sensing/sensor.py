"""The sensor of one key: a JSON column of a table, or the whole rows of a table without a schema.

Of a sample, a sensor first counts the structure hashes it knows, all at once. Only rows with another
hash are decoded and learned, and the few that the recognition of dynamic keys wants to see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from deltaforge.core.event import UNCHANGED_TOAST
from deltaforge.sensing.cardinality import EARLY_EVENTS, Judgement, KeyTracker, wants_look
from deltaforge.sensing.keys import DynamicKeys, collapsed_hash
from deltaforge.sensing.sample import WHOLE_ROW, Sample
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.shape import Shape, collapsed, fingerprint, learned
from deltaforge.sensing.structure import ABSENT, NOT_HASHED, structure_hash
from deltaforge.sensing.tracking import FieldStatistics, note_fields, null_names

MAX_LOOKS = 16
"""Rows of one sample that a stabilized sensor decodes for structures which it cannot remember."""

SUSPICIOUS_EVOLUTIONS = 20
"""A key that was taken for plain is watched for dynamic keys again after so many evolutions."""

_TOAST = structure_hash(UNCHANGED_TOAST, 1)


class Structure(msgspec.Struct, array_like=True, gc=False):
    """A structure in the cache: how many values had it, and which top-level fields are null in it."""

    count: int
    nulls: tuple[str, ...] = ()


class Path(msgspec.Struct, frozen=True, gc=False):
    """The judgement of an object path, as published."""

    judgement: Judgement
    examples: list[str]


class KeyState(msgspec.Struct):
    """What a sensor knows; plain data, saved with every epoch.

    Attributes:
        event_count: Values that were neither null nor missing, sampled or not.
        sampled_count: Of these, how many were in samples while dynamic keys are watched for.
        pending: Of these, how many the tracker did not see since it saw one.
        sequence: Version of the shape; 0 before the first.
        structures: The structure cache.
        null_counts: Nulls per top-level field in structures that are no longer in the cache.
        counted: Values in structures that are no longer in the cache.
        tracker: Watches for dynamic keys; None when the key is plain.
        plain_since: The sequence at which the key was taken for plain.
        paths: Judgements that were made before the tracker was given up.
    """

    event_count: int = 0
    sampled_count: int = 0
    pending: int = 0
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    sequence: int = 0
    shape: Shape | None = None
    fingerprint: str = ""
    structures: dict[int, Structure] = {}
    cache_hits: int = 0
    cache_misses: int = 0
    null_counts: dict[str, int] = {}
    counted: int = 0
    tracker: KeyTracker | None = None
    plain_since: int | None = None
    paths: dict[str, Path] = {}
    facts: dict[str, FieldStatistics] = {}

    def null_rates(self) -> dict[str, float]:
        """Share of the sampled values in which a top-level field is null; fields never null are left out."""
        counts, total = Counter(self.null_counts), self.counted
        for structure in self.structures.values():
            total += structure.count
            for name in structure.nulls:
                counts[name] += structure.count
        return {name: round(count / total, 4) for name, count in counts.items() if count}

    def judged_paths(self) -> dict[str, Path]:
        """The newest judgement of each object path."""
        if self.tracker is None:
            return self.paths
        return {path: Path(found, examples) for path, found, examples in self.tracker.judgements()} or self.paths


class Evolution(msgspec.Struct, frozen=True):
    """A shape changed after it was first learned.

    Attributes:
        key: ``table:column``, or ``table`` for whole rows.
        column: ``WHOLE_ROW`` for whole rows.
        row: The sampled row that did it.
        is_learning: Whether too few values were seen to tell keys that are names from keys that are data.
    """

    key: str
    table: str
    column: str
    old_fingerprint: str
    new_fingerprint: str
    sequence: int
    row: int
    is_learning: bool = False


class Sensor:
    """Learns one key. What it knows is its ``state``; everything else follows from that and the settings."""

    def __init__(self, table: str, column: str, settings: SchemaSensing, state: KeyState | None = None) -> None:
        self.table = table
        self.column = column
        self.state = state or KeyState()
        self._settings = settings
        self._depth = settings.deep_inspect.max_depth
        self._has_cache = settings.sampling.structure_cache
        if not settings.high_cardinality.enabled:
            self.state.tracker = None
        elif self.state.tracker is None and self.state.plain_since is None:
            self._watch_for_dynamic_keys()
        self._dynamic: DynamicKeys | None = None if self.state.tracker is None else self.state.tracker.dynamic_keys()

    @property
    def key(self) -> str:
        """``table:column``, or ``table`` for whole rows."""
        return key_name(self.table, self.column)

    @property
    def is_stabilized(self) -> bool:
        """Whether ``max_sample_size`` values were counted."""
        return is_stabilized(self.state, self._settings)

    def observe(self, sample: Sample, index: int, now: datetime) -> list[Evolution]:
        """Take in the values of the ``index``-th asked column."""
        state, total = self.state, sample.totals[index]
        if total:
            state.event_count += total
            state.first_seen = state.first_seen or now
            state.last_seen = now
        if not sample.sampled_count:
            return []
        if state.tracker is None and self._has_cache and not self._settings.tracking.field_statistics:
            counts = sample.structure_counts(index)
            counts.pop(ABSENT, None)
            counts.pop(_TOAST, None)
            if counts.keys() <= state.structures.keys():
                self._count_known(counts)
                return []
        return self._observe_rows(sample, sample.structures(index))

    def _count_known(self, counts: dict[int, int]) -> None:
        structures = self.state.structures
        for found, count in counts.items():
            structures[found].count += count
        self.state.cache_hits += sum(counts.values())

    def _observe_rows(self, sample: Sample, hashes: Sequence[int]) -> list[Evolution]:
        state, evolutions = self.state, list[Evolution]()
        looks_at_all = self._settings.tracking.field_statistics or not self._has_cache
        stride = max(1, len(hashes) // MAX_LOOKS) if self.is_stabilized else 1
        for row, found in enumerate(hashes):
            if found in (ABSENT, _TOAST) or (found == NOT_HASHED and self._is_absent(sample, row)):
                continue
            is_due = self._is_due() or looks_at_all
            state.sampled_count += state.tracker is not None
            known = state.structures.get(found) if self._has_cache and self._dynamic is None else None
            if known is not None and not is_due:
                self._count(known)
            elif row % stride and not is_due and self._cannot_remember():
                state.pending += state.tracker is not None
            else:
                before = state.fingerprint
                self._look(self._value(sample, row), found, is_due=is_due)
                if before and state.fingerprint != before:
                    evolutions.append(self._evolution(before, row))
        return evolutions

    def _look(self, value: Any, found: int, *, is_due: bool) -> None:
        """Decide on one decoded value: known, new, or evolved."""
        state, tracking = self.state, self._settings.tracking
        found = self._hash(value, found)
        known = state.structures.get(found) if self._has_cache else None
        if known is not None and not is_due:
            self._count(known)
            return
        shape = self._judged_shape(value)
        note_fields(state.facts, value, tracking, self._dynamic)
        if known is not None and shape is state.shape:
            known.count += 1
            state.cache_hits += 1
            return
        state.cache_misses += self._has_cache
        self._accept(learned(shape, value, self._depth, self._dynamic))
        structure = Structure(1, null_names(value, self._dynamic) if tracking.null_rates else ())
        if self._has_cache and len(state.structures) < self._settings.sampling.structure_cache_size:
            state.structures[self._hash(value, found)] = structure
        else:
            self._fold(structure)

    def _count(self, known: Structure) -> None:
        known.count += 1
        self.state.cache_hits += 1
        self.state.pending += self.state.tracker is not None

    def _hash(self, value: Any, found: int) -> int:
        is_hashed = self._dynamic is None and found != NOT_HASHED
        return found if is_hashed else collapsed_hash(value, self._depth, self._dynamic)

    def _accept(self, shape: Shape) -> None:
        state = self.state
        if shape is state.shape:
            return
        state.shape, found = shape, fingerprint(shape)
        if found == state.fingerprint:
            return
        state.fingerprint = found
        state.sequence += 1
        self._clear_structures()
        if state.plain_since is not None and state.sequence - state.plain_since >= SUSPICIOUS_EVOLUTIONS:
            self._watch_for_dynamic_keys()

    def _watch_for_dynamic_keys(self) -> None:
        state = self.state
        state.tracker, state.plain_since, state.sampled_count, state.pending = KeyTracker(), None, 0, 0

    def _judged_shape(self, value: Any) -> Shape | None:
        """The shape known so far, after the keys of this value were counted."""
        state, settings = self.state, self._settings.high_cardinality
        if state.tracker is None:
            return state.shape
        weight, state.pending = 1 + state.pending, 0
        if state.tracker.observe(value, weight, self._depth, settings):
            self._dynamic = state.tracker.dynamic_keys()
            self._clear_structures()
            return collapsed(state.shape, self._dynamic)
        is_late = state.sampled_count >= 2 * settings.min_events
        if is_late and state.sampled_count % EARLY_EVENTS == 1 and not state.tracker.is_open(settings):
            state.tracker.settle(settings)
            state.paths = state.judged_paths()
            state.tracker, state.plain_since = None, state.sequence
        return state.shape

    def _is_due(self) -> bool:
        if self.state.tracker is None:
            return False
        return wants_look(self.state.sampled_count, self._settings.high_cardinality.min_events)

    def _cannot_remember(self) -> bool:
        return self._dynamic is not None or len(self.state.structures) >= self._settings.sampling.structure_cache_size

    def _clear_structures(self) -> None:
        for structure in self.state.structures.values():
            self._fold(structure)
        self.state.structures = {}

    def _fold(self, structure: Structure) -> None:
        state = self.state
        state.counted += structure.count
        for name in structure.nulls:
            state.null_counts[name] = state.null_counts.get(name, 0) + structure.count

    def _value(self, sample: Sample, row: int) -> Any:
        image = sample.after(row)
        return image if self.column == WHOLE_ROW else image[self.column]

    def _is_absent(self, sample: Sample, row: int) -> bool:
        value = sample.after(row) if self.column == WHOLE_ROW else sample.after(row).get(self.column)
        return value is None or value == UNCHANGED_TOAST

    def _evolution(self, before: str, row: int) -> Evolution:
        state = self.state
        is_learning = state.tracker is not None and state.sampled_count <= self._settings.high_cardinality.min_events
        return Evolution(self.key, self.table, self.column, before, state.fingerprint, state.sequence, row, is_learning)


def key_name(table: str, column: str) -> str:
    """``table:column``, or ``table`` for whole rows."""
    return table if column == WHOLE_ROW else f"{table}:{column}"


def is_stabilized(state: KeyState, settings: SchemaSensing) -> bool:
    """Whether ``max_sample_size`` values were counted; never if that is 0."""
    limit = settings.deep_inspect.max_sample_size
    return limit > 0 and state.event_count >= limit
