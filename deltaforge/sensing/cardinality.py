"""Telling object keys that are data, such as session ids, from names of fields. Contract 05 section 4.

A :class:`KeyTracker` follows one object path; together they are a tree that is walked with the values that
are looked at. Its judgements become the :class:`~deltaforge.sensing.keys.DynamicKeys` of the next values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from deltaforge.sensing.keys import ANY_KEY, DynamicKeys
from deltaforge.sensing.settings import HighCardinality
from deltaforge.sensing.sketches import KeySketch
from deltaforge.sensing.structure import is_bytes

EARLY_EVENTS = 20
"""The first so many values are all looked at; after them a path may be judged for the time being."""

EARLY_NOVEL_SHARE = 0.75
"""Before ``min_events`` a path is dynamic for the time being if so many objects brought a name never seen before."""

NOVEL_SHARE = 0.1
"""The same after ``min_events``, for a path with a field so near the stable threshold that confidence is missing."""

MAX_BRANCHES = 64
"""Fields of one object that are followed down while it is not judged."""


class StableField(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A key that most objects of a path have."""

    name: str
    frequency: float
    count: int


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What the keys of one object path are.

    Attributes:
        stable_fields: Keys at or above the stable threshold, the most frequent first.
        has_dynamic_fields: Whether all other keys are data.
        dynamic_count: How many other keys there were.
        unique_keys: How many different keys there were.
        confidence: 0 to 1.
        based_on_events: Objects seen by then.
        is_provisional: Not sure enough to be published, but new names came with nearly every object.
    """

    stable_fields: tuple[StableField, ...]
    has_dynamic_fields: bool
    dynamic_count: int
    unique_keys: int
    confidence: float
    based_on_events: int
    is_provisional: bool = False


class KeyTracker(msgspec.Struct):
    """What was counted at one object path, and below it.

    Attributes:
        events: Objects seen, each weighted with how many values it stands for.
        objects: Objects looked at.
        novel: Of these, how many brought a name never seen before.
        keys: Their names.
        judgement: The latest; None before the first.
        fields: Trackers of the values of named fields.
        items: Tracker of the elements, if the value is an array.
        values: Tracker of the values under dynamic keys.
    """

    events: int = 0
    objects: int = 0
    novel: int = 0
    keys: KeySketch = msgspec.field(default_factory=KeySketch)
    judgement: Judgement | None = None
    fields: dict[str, KeyTracker] = {}
    items: KeyTracker | None = None
    values: KeyTracker | None = None

    def observe(self, value: Any, weight: int, depth_left: int, settings: HighCardinality) -> bool:
        """Count the keys of a value and of what is in it.

        Returns:
            Whether a judgement changed, so that :meth:`dynamic_keys` may have.
        """
        if depth_left <= 0:
            return False
        if type(value) is list:
            changed = False
            for inner in value:
                if type(inner) is dict or type(inner) is list:
                    self.items = self.items or KeyTracker()
                    changed |= self.items.observe(inner, weight, depth_left - 1, settings)
            return changed
        if type(value) is not dict or is_bytes(value):
            return False
        changed = self._count(value, weight, settings)
        for name, inner in value.items():
            if type(inner) is dict or type(inner) is list:
                below = self._below(name)
                changed |= below is not None and below.observe(inner, weight, depth_left - 1, settings)
        return changed

    def dynamic_keys(self) -> DynamicKeys | None:
        """What is dynamic here and below; None if nothing is."""
        fields = {
            name: dynamic for name, tracker in self.fields.items() if (dynamic := tracker.dynamic_keys()) is not None
        }
        items = None if self.items is None else self.items.dynamic_keys()
        values = None if self.values is None else self.values.dynamic_keys()
        if self._is_dynamic():
            return DynamicKeys(self._stable_names(), fields, items, values)
        return DynamicKeys(None, fields, items) if fields or items is not None else None

    def is_open(self, settings: HighCardinality) -> bool:
        """Whether a path has dynamic keys, or has enough keys beside the stable ones that it still may."""
        if self._is_dynamic() or (self.objects and _judge(self, settings).has_dynamic_fields):
            return True
        below = (*self.fields.values(), self.items, self.values)
        return any(tracker is not None and tracker.is_open(settings) for tracker in below)

    def settle(self, settings: HighCardinality) -> None:
        """Judge every path that is not judged yet, sure or not: for a key that turned out plain."""
        if self.judgement is None and self.objects:
            self.judgement = _judge(self, settings)
        for tracker in (*self.fields.values(), self.items, self.values):
            if tracker is not None:
                tracker.settle(settings)

    def judgements(self, path: str = "") -> Iterator[tuple[str, Judgement, list[str]]]:
        """Path, judgement and example keys of every path that is judged; the root's path is empty."""
        if self.judgement is not None and not self.judgement.is_provisional:
            examples = self.keys.examples or list(self.keys.counts)
            yield path, self.judgement, examples if self.judgement.has_dynamic_fields else []
        for name, tracker in self.fields.items():
            yield from tracker.judgements(f"{path}.{name}" if path else name)
        if self.items is not None:
            yield from self.items.judgements(f"{path}[]")
        if self.values is not None:
            yield from self.values.judgements(f"{path}.{ANY_KEY}" if path else ANY_KEY)

    def _count(self, value: dict[str, Any], weight: int, settings: HighCardinality) -> bool:
        names = [_clean(name) for name in value]
        sizes = (settings.heavy_hitter_capacity, settings.hll_precision, settings.sample_size)
        self.novel += self.keys.add(names, weight, sizes) > 0
        self.objects += 1
        self.events += weight
        if not self._is_due(settings):
            return False
        found = _judge(self, settings)
        if found.confidence < settings.confidence_threshold or self.events < settings.min_events:
            if self.judgement is not None or not (found.has_dynamic_fields and self._is_novel(settings)):
                return False
            found = msgspec.structs.replace(found, is_provisional=True)
        before, self.judgement = self._stable_names(), found
        if self._is_dynamic():
            self._forget_dynamic()
        return before != self._stable_names()

    def _is_due(self, settings: HighCardinality) -> bool:
        known = self.judgement
        if known is None:
            return self.events >= settings.min_events or self._is_novel(settings)
        if known.is_provisional:
            return self.events >= settings.min_events
        if not known.has_dynamic_fields and self.keys.distinct_count() >= known.unique_keys + EARLY_EVENTS:
            return True
        again = settings.reevaluate_interval
        return again > 0 and self.events >= known.based_on_events + again

    def _is_novel(self, settings: HighCardinality) -> bool:
        share = EARLY_NOVEL_SHARE if self.events < settings.min_events else NOVEL_SHARE
        return self.objects >= EARLY_EVENTS and self.novel >= share * self.objects

    def _is_dynamic(self) -> bool:
        return self.judgement is not None and self.judgement.has_dynamic_fields

    def _stable_names(self) -> frozenset[str] | None:
        if self.judgement is None or not self.judgement.has_dynamic_fields:
            return None
        return frozenset(field.name for field in self.judgement.stable_fields)

    def _forget_dynamic(self) -> None:
        stable = self._stable_names() or frozenset()
        self.fields = {name: tracker for name, tracker in self.fields.items() if name in stable}

    def _below(self, name: str) -> KeyTracker | None:
        name = _clean(name)
        if self._is_dynamic() and name not in (self._stable_names() or ()):
            self.values = self.values or KeyTracker()
            return self.values
        found = self.fields.get(name)
        if found is None and len(self.fields) < MAX_BRANCHES:
            found = self.fields[name] = KeyTracker()
        return found


def _judge(tracker: KeyTracker, settings: HighCardinality) -> Judgement:
    """The judgement by the counts as they are now."""
    events = tracker.events
    frequencies = {name: min(1.0, count / events) for name, count in tracker.keys.guaranteed().items()}
    stable = [
        StableField(name, round(frequency, 4), tracker.keys.counts[name])
        for name, frequency in frequencies.items()
        if frequency >= settings.stable_threshold
    ]
    stable.sort(key=lambda field: (-field.frequency, field.name))
    unique = tracker.keys.distinct_count()
    dynamic = max(0, unique - len(stable))
    lowest = stable[-1].frequency if stable else 0.0
    separation = min(1.0, max(0.0, (lowest - settings.stable_threshold) / lowest)) if lowest else 0.5
    return Judgement(
        stable_fields=tuple(stable),
        has_dynamic_fields=dynamic >= settings.min_dynamic_fields,
        dynamic_count=dynamic,
        unique_keys=unique,
        confidence=round(0.5 * math.sqrt(min(1.0, events / settings.min_events)) + 0.5 * separation, 4),
        based_on_events=events,
    )


def wants_look(number: int, min_events: int) -> bool:
    """Whether the sampled value with this number (from 0) is looked at although its structure is known.

    Each of the first 20, then every 5th until ``min_events``, then every 20th.
    """
    if number < EARLY_EVENTS:
        return True
    return number % (5 if number < min_events else 20) == 0


def _clean(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "replace").decode()
