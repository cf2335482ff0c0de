"""What the lanes in this process say of their sinks, as one: a pipeline with one lane says what that one says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.lanes import Lane
from deltaforge.core.positions import Position
from deltaforge.runtime.delivery import Delivery
from deltaforge.runtime.sink_feed import SinkFeed

Deliveries = Mapping[Lane, Delivery]


def feeds(deliveries: Deliveries) -> list[SinkFeed]:
    """Those of all lanes."""
    return [feed for _, delivery in _in_order(deliveries) for feed in delivery.feeds]


def show_spools(deliveries: Deliveries) -> None:
    """Bring the gauges of spools up to date."""
    of_sinks: dict[str, list[SinkFeed]] = {}
    for feed in feeds(deliveries):
        of_sinks.setdefault(feed.id, []).append(feed)
    for of_sink in of_sinks.values():
        of_sink[0].meter.show([feed.stock() for feed in of_sink])


def errors(deliveries: Deliveries) -> dict[str, str]:
    """What is wrong with each sink that is not healthy in every lane, with the lanes, if there are several."""
    found: dict[str, dict[str, list[str]]] = {}
    for lane, delivery in _in_order(deliveries):
        for sink_id, error in delivery.errors().items():
            found.setdefault(sink_id, {}).setdefault(error, []).append(lane.name)
    return {sink_id: "; ".join(map(_with_lanes, texts.items())) for sink_id, texts in found.items()}


def ended(deliveries: Deliveries) -> list[str]:
    """The sinks that deliver nothing more of a lane in this run, whatever comes."""
    return [*dict.fromkeys(sink_id for _, delivery in _in_order(deliveries) for sink_id in delivery.ended())]


def are_known(deliveries: Deliveries) -> bool:
    """Whether it is known of each sink of each lane that it works or what is wrong with it."""
    return bool(deliveries) and all(delivery.is_known() for _, delivery in _in_order(deliveries))


def checkpoints(deliveries: Deliveries) -> list[tuple[Lane, SinkCheckpoint]]:
    """The acked position of every sink of every lane that has one."""
    return [(lane, found) for lane, delivery in _in_order(deliveries) for found in delivery.checkpoints()]


def places(deliveries: Deliveries) -> dict[str, str]:
    """Where each sink stands, in words: the lanes that stand at one place together."""
    names = {lane: lane.name for lane in sorted(deliveries)}
    found = {(found.sink_id, lane): found.position for lane, found in checkpoints(deliveries)}
    said: dict[str, str] = {}
    for sink_id in dict.fromkeys(feed.id for feed in feeds(deliveries)):
        of_place: dict[str, list[str]] = {}
        for lane, name in names.items():
            of_place.setdefault(_place(found.get((sink_id, lane))), []).append(name)
        if len(of_place) == 1:
            said[sink_id] = next(iter(of_place))
        else:
            said[sink_id] = ", ".join(f"{lanes_text(of)} {place}" for place, of in of_place.items())
    return said


def lanes_text(names: Sequence[str]) -> str:
    """The names of lanes in a sentence; empty if there is only one."""
    return "" if list(names) == [""] else f"lane{'s' if len(names) > 1 else ''} {', '.join(names)}"


def checkpoint_views(deliveries: Deliveries) -> list[dict[str, Any]]:
    """The same as plain JSON values. ``lane`` is absent where there is only one."""
    now = datetime.now(UTC)
    return [
        {
            "sink_id": checkpoint.sink_id,
            **({"lane": lane.name} if lane.name else {}),
            "position": checkpoint.position.view(),
            "age_seconds": round(checkpoint.age_seconds(now), 3),
        }
        for lane, checkpoint in checkpoints(deliveries)
    ]


def _in_order(deliveries: Deliveries) -> list[tuple[Lane, Delivery]]:
    return sorted(deliveries.items(), key=lambda item: item[0])


def _with_lanes(item: tuple[str, list[str]]) -> str:
    error, names = item
    lanes = lanes_text(names)
    return f"{lanes}: {error}" if lanes else error


def _place(position: Position | None) -> str:
    if position is None:
        return "has no position yet"
    parts = [f"{key} {value}" for key, value in position.view().items() if value is not None]
    return f"stands at {' '.join(parts)}"
