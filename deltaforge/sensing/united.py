"""What the shards of a source know of their tables, as one: for people, never saved.

Counts are summed and shapes united; drift is that of any of them. What cannot be added up (which keys are data, the
facts of a field) is that of the shard which has counted most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from deltaforge.sensing.drift_state import DriftRecord, TableDrift
from deltaforge.sensing.sensor import KeyState, Structure
from deltaforge.sensing.shape import fingerprint, union
from deltaforge.sensing.state import SensingState, TableState

MAX_EXAMPLES = 5


def united(states: Iterable[SensingState]) -> SensingState:
    """The state of a source out of those of its logs; that of the only one as it is."""
    found = list(states)
    if len(found) == 1:
        return found[0]
    whole = SensingState()
    for state in found:
        for name, table in state.tables.items():
            known = whole.tables.get(name)
            whole.tables[name] = table if known is None else _tables(known, table)
        for name, drift in state.drift.items():
            before = whole.drift.get(name)
            whole.drift[name] = drift if before is None else _drift(before, drift)
    return whole


def _tables(one: TableState, other: TableState) -> TableState:
    keys = dict(one.keys)
    for column, key in other.keys.items():
        keys[column] = _keys(keys[column], key) if column in keys else key
    return TableState(one.row_count + other.row_count, keys, one.qualifier)


def _keys(one: KeyState, other: KeyState) -> KeyState:
    larger = max(one, other, key=lambda key: key.event_count)
    shape = union(one.shape, other.shape)
    structures = dict(one.structures)
    for found, structure in other.structures.items():
        known = structures.get(found)
        count = structure.count + (known.count if known is not None else 0)
        structures[found] = Structure(count, structure.nulls)
    return msgspec.structs.replace(
        larger,
        event_count=one.event_count + other.event_count,
        sampled_count=one.sampled_count + other.sampled_count,
        first_seen=min(filter(None, (one.first_seen, other.first_seen)), default=None),
        last_seen=max(filter(None, (one.last_seen, other.last_seen)), default=None),
        sequence=max(one.sequence, other.sequence),
        shape=shape,
        fingerprint="" if shape is None else fingerprint(shape),
        structures=structures,
        cache_hits=one.cache_hits + other.cache_hits,
        cache_misses=one.cache_misses + other.cache_misses,
        null_counts=dict(Counter(one.null_counts) + Counter(other.null_counts)),
        counted=one.counted + other.counted,
    )


def _drift(one: TableDrift, other: TableDrift) -> TableDrift:
    records = {column: dict(kinds) for column, kinds in one.records.items()}
    for column, kinds in other.records.items():
        into = records.setdefault(column, {})
        for kind, record in kinds.items():
            into[kind] = _record(into[kind], record) if kind in into else record
    return TableDrift(
        one.events_analyzed + other.events_analyzed,
        one.events_with_drift + other.events_with_drift,
        records,
        dict(Counter(one.null_counts) + Counter(other.null_counts)),
    )


def _record(one: DriftRecord, other: DriftRecord) -> DriftRecord:
    types = dict.fromkeys([*one.observed_types, *other.observed_types])
    examples = dict.fromkeys([*one.examples, *other.examples])
    return DriftRecord(one.expected_type, [*types], one.count + other.count, [*examples][:MAX_EXAMPLES])
