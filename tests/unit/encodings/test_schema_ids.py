"""Ids of schemas: how long they count, and what happens when the registry is away, wiped or refuses."""

import pytest

from deltaforge.core.errors import SinkError
from deltaforge.encodings.schema_ids import AGAIN_SECS, REFUSED_SECS, SURE_SECS, UNSURE_SECS, SchemaIds
from deltaforge.encodings.schema_registry import RejectedSchemaError


class Registry:
    """A registry in memory; ``failing`` is raised instead of an answer."""

    def __init__(self):
        self.ids, self.asked, self.failing = {}, [], None

    def register(self, subject, schema, schema_type, *, within_secs=None):
        self.asked.append(within_secs)
        if self.failing is not None:
            raise self.failing
        return self.ids.setdefault((subject, schema, schema_type), len(self.ids) + 1)


class Meter:
    def __init__(self):
        self.count, self.changes, self.found = 0, 0, 0

    def note_ids(self, count):
        self.count = count

    def note_new_id(self):
        self.found += 1

    def note_changed_id(self):
        self.changes += 1


class World:
    def __init__(self):
        self.registry, self.meter, self.now = Registry(), Meter(), 100.0
        self.ids = SchemaIds(self.registry, "AVRO", self.meter, lambda: self.now)


@pytest.fixture
def world():
    return World()


DOWN = SinkError("down", kind="connect")


def test_a_schema_is_asked_for_once_and_by_subject_and_text(world):
    first = world.ids.of("a", "x")
    assert world.ids.of("a", "x") is first
    assert {world.ids.of("a", "y").id, world.ids.of("b", "x").id, first.id} == {1, 2, 3}
    assert (len(world.registry.asked), world.meter.count, world.meter.found) == (3, 3, 3)


def test_without_a_registry_known_ids_go_on_and_unknown_ones_fail(world):
    known = world.ids.of("a", "x")
    world.registry.failing = DOWN
    with pytest.raises(SinkError, match="down"):
        world.ids.of("a", "y")
    world.ids.doubt()
    assert world.ids.of("a", "x") is known
    asked = len(world.registry.asked)
    assert world.registry.asked[-1] == AGAIN_SECS  # nobody waits long for what is known
    world.now += UNSURE_SECS - 1
    assert world.ids.of("a", "x") is known
    assert len(world.registry.asked) == asked  # and not at every batch
    world.now += 1
    world.ids.of("a", "x")
    assert len(world.registry.asked) == asked + 1


@pytest.mark.parametrize("how", ["reopened", "time"])
def test_a_wiped_registry_is_found_out_and_has_other_ids(world, how, caplog):
    world.ids.of("a", "w")
    old = world.ids.of("a", "x")
    world.registry.ids.clear()
    world.ids.doubt() if how == "reopened" else setattr(world, "now", world.now + SURE_SECS)
    new = world.ids.of("a", "x")
    assert (old.id, new.id, world.meter.changes) == (2, 1, 1)
    assert "was wiped or restored" in caplog.text


def test_a_wiped_registry_gets_the_schemas_again_under_the_same_ids(world):
    known = world.ids.of("a", "x")
    world.registry.ids.clear()
    world.now += SURE_SECS
    assert world.ids.of("a", "x") is known
    assert world.registry.ids == {("a", "x", "AVRO"): known.id}
    assert world.meter.changes == 0


def test_a_refused_schema_is_not_offered_for_every_event(world):
    world.registry.failing = RejectedSchemaError("no")
    for _ in range(3):
        with pytest.raises(RejectedSchemaError, match="no"):
            world.ids.of("a", "x")
    assert len(world.registry.asked) == 1
    world.registry.failing = None
    with pytest.raises(RejectedSchemaError):
        world.ids.of("a", "x")
    world.now += REFUSED_SECS
    assert world.ids.of("a", "x").id == 1


def test_a_schema_that_is_refused_when_asked_again_is_not_used_any_more(world):
    world.ids.of("a", "x")
    world.registry.failing = RejectedSchemaError("gone, and not compatible any more")
    world.ids.doubt()
    with pytest.raises(RejectedSchemaError):
        world.ids.of("a", "x")
    assert world.meter.count == 0
