from datetime import UTC, datetime

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.core.table import TableId
from deltaforge.schema.registry import NAMESPACE, SchemaRegistry, key_prefix, table_name
from deltaforge.storage.memory import MemoryStorage
from deltaforge.storage.sqlite import SqliteStorage
from tests.schemas import T, definition_of, memory_registry, point_at

A, B, C = definition_of("a"), definition_of("b"), definition_of("c")


def test_a_definition_is_registered_once():
    registry = memory_registry()
    first = registry.register(A, point_at(10))
    assert registry.register(A, point_at(20)) == first
    assert registry.resolve(T, "a", point_at(20)) == first
    assert (first.version, first.sequence, first.hash, first.schema) == (1, 1, A.hash, A.schema)


def test_a_definition_that_comes_back_is_a_new_version_and_each_row_finds_its_own():
    registry = memory_registry()
    for pos, definition in ((10, A), (20, B), (30, A)):
        registry.register(definition, point_at(pos))
    assert [version.version for version in registry.versions(T)] == [1, 2, 3]
    for pos, number in ((10, 1), (19, 1), (20, 2), (29, 2), (30, 3), (99, 3)):
        assert registry.at_point(T, point_at(pos)).version == number
    assert registry.resolve(T, "a", point_at(25)) is None


def test_sequence_is_one_for_all_tables_and_lookup_takes_the_newest_up_to_it():
    registry = memory_registry()
    other = registry.register(definition_of("x", table="u"), point_at(1))
    first, second = registry.register(A, point_at(2)), registry.register(B, point_at(3))
    assert [version.sequence for version in (other, first, second)] == [1, 2, 3]
    assert registry.at_sequence(T, 1) is None
    assert registry.at_sequence(T, 2) == first
    assert registry.at_sequence(T, 99) == second


def test_before_the_first_version_nothing_is_valid():
    registry = memory_registry()
    assert registry.latest(T) is None
    registry.register(A, point_at(10))
    assert registry.at_point(T, point_at(9)) is None
    assert registry.at_point(T, point_at(9, file=2)).version == 1


def test_a_definition_known_from_the_catalog_begins_where_its_first_row_stands():
    registry = memory_registry()
    registry.record([C], point_at(100))
    registry.register(A, point_at(10))
    registry.register(B, point_at(20))
    third = registry.register(C, point_at(30))
    assert (third.version, third.since, third.sequence) == (1, point_at(30), 1)
    assert [registry.at_point(T, point_at(pos)).hash for pos in (10, 20, 30, 100)] == [A.hash, B.hash, C.hash, C.hash]
    assert registry.latest(T).hash == C.hash


def test_rows_that_are_behind_the_catalog_and_come_back_to_its_definition_have_three_versions():
    registry = memory_registry()
    registry.record([A], point_at(100))
    found = [registry.register(definition, point_at(pos)) for pos, definition in ((10, A), (20, B), (30, A))]
    assert [version.version for version in found] == [1, 2, 3]
    assert registry.at_point(T, point_at(100)).version == 3


def test_another_server_counts_as_before_everything():
    registry = memory_registry()
    registry.register(A, point_at(500))
    assert registry.register(A, point_at(3, server="b")).version == 1
    assert registry.register(B, point_at(4, server="b")).version == 2
    assert registry.at_point(T, point_at(3, server="b")).version == 1
    assert registry.latest(T).version == 2
    assert registry.register(A, point_at(600)).version == 1
    assert registry.register(B, point_at(700)).version == 3


def test_catalog_that_says_more_describes_the_version_and_changes_nothing_else():
    registry = memory_registry()
    first = registry.register(A, point_at(10))
    more = definition_of("a", default="7")
    assert registry.record([more], point_at(20)) == {T}
    assert registry.record([more], point_at(30)) == set()
    (known,) = registry.versions(T)
    assert known.schema == more.schema
    assert (known.version, known.hash, known.sequence, known.since) == (1, A.hash, first.sequence, first.since)


def test_what_the_log_does_not_show_is_a_new_version_from_the_catalog_on():
    registry = memory_registry()
    registry.register(A, point_at(10))
    registry.record([definition_of("a", key=("a",))], point_at(20))
    assert registry.resolve(T, "a", point_at(19)).version == 1
    assert registry.resolve(T, "a", point_at(20)).version == 2


def test_definition_that_the_log_has_overruled_is_left_to_the_rows_unless_sure():
    registry = memory_registry()
    registry.record([A], point_at(10))
    registry.register(B, point_at(20))
    assert registry.record([A], point_at(30)) == set()
    assert registry.record([A], point_at(30), is_sure=True) == {T}
    assert registry.latest(T).version == 3


@pytest.mark.parametrize("backend", ["memory", "sqlite"])
def test_a_restart_changes_nothing_and_the_sequence_goes_on(backend, tmp_path):
    storage = MemoryStorage() if backend == "memory" else SqliteStorage(tmp_path / "s.db")
    now = datetime(2026, 1, 2, tzinfo=UTC)
    registry = SchemaRegistry(storage.log, "acme", "s", now=lambda: now)
    registry.record([C, definition_of("x", table="a/b%")], point_at(100))
    registry.register(A, point_at(10))
    registry.register(C, point_at(50))
    registry.record([definition_of("c", default="1")], point_at(100))
    again = SchemaRegistry(storage.log, "acme", "s")
    assert again.tables == registry.tables == [("shop", "a/b%"), T]
    for table in again.tables:
        assert again.versions(table) == registry.versions(table)
    assert again.versions(T)[0].registered_at == now
    assert again.latest(T) == registry.latest(T)
    assert again.register(B, point_at(200)).sequence == 6
    storage.close()


def test_tenants_and_sources_do_not_see_each_other():
    log = MemoryStorage().log
    SchemaRegistry(log, "acme", "s").register(A, point_at(1))
    assert SchemaRegistry(log, "acme", "s/1").tables == []
    assert SchemaRegistry(log, "acme/s", "").tables == []
    assert SchemaRegistry(log, "other", "s").register(B, point_at(1)).version == 1
    assert log.delete(NAMESPACE, key_prefix("acme", "s")) == 1
    assert SchemaRegistry(log, "other", "s").tables == [T]


@pytest.mark.parametrize(
    "value", [b"", b"{", b'{"kind":"other"}', b'{"kind":"schema","version":1}', b'{"kind":"since","version":1}']
)
def test_entries_that_cannot_be_read_are_an_error_with_a_remedy(value):
    log = MemoryStorage().log
    log.append(NAMESPACE, "acme/s/shop/t", value)
    with pytest.raises(SchemaError, match=r"entry 1 of the schema registry cannot be read.*restore the storage"):
        SchemaRegistry(log, "acme", "s")


def test_a_lost_entry_is_an_error_with_a_remedy():
    log = MemoryStorage().log
    registry = SchemaRegistry(log, "acme", "s")
    registry.register(A, point_at(1))
    registry.register(B, point_at(2))
    torn = MemoryStorage().log
    torn.append(NAMESPACE, "acme/s/shop/t", log.list(NAMESPACE)[1].val)
    with pytest.raises(SchemaError, match="version 2 follows version 0"):
        SchemaRegistry(torn, "acme", "s")


def test_postgres_tables_are_found_by_their_schema():
    assert table_name(TableId("app", "public", "t")) == ("public", "t")
