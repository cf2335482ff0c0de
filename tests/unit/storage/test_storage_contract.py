"""Every storage backend keeps the same rules."""

import stat
import threading

import pytest

from deltaforge.core.errors import SpecError, StorageError
from deltaforge.storage.backends import open_storage
from deltaforge.storage.base import Slot
from deltaforge.storage.memory import MemoryStorage
from deltaforge.storage.sqlite import SqliteStorage


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def storage(request, tmp_path, clock):
    made = MemoryStorage(clock) if request.param == "memory" else SqliteStorage(tmp_path / "s.db", clock)
    yield made
    made.close()


def test_kv_returns_what_was_put_last(storage):
    storage.kv.put("n", "k", b"one")
    storage.kv.put("n", "k", b"two\x00\xff")

    assert storage.kv.get("n", "k") == b"two\x00\xff"
    assert storage.kv.get("n", "other") is None
    assert storage.kv.get("other", "k") is None


def test_kv_delete_says_whether_there_was_a_value(storage):
    storage.kv.put("n", "k", b"v")

    assert storage.kv.delete("n", "k") is True
    assert storage.kv.delete("n", "k") is False
    assert storage.kv.get("n", "k") is None


def test_kv_list_is_ordered_and_takes_the_prefix_literally(storage):
    for key in ("b_1", "bx1", "a", "B_1", "b_0", "b%1"):
        storage.kv.put("n", key, key.encode())
    storage.kv.put("other", "b_2", b"")

    assert [key for key, _ in storage.kv.list("n", "b_")] == ["b_0", "b_1"]
    assert [key for key, _ in storage.kv.list("n")] == ["B_1", "a", "b%1", "b_0", "b_1", "bx1"]


def test_kv_value_with_time_to_live_ends_when_its_time_is_over(storage, clock):
    storage.kv.put("n", "k", b"v", ttl_secs=10)
    clock.now += 9.9
    assert storage.kv.get("n", "k") == b"v"

    clock.now += 0.1

    assert storage.kv.get("n", "k") is None
    assert storage.kv.list("n") == []
    assert storage.kv.delete("n", "k") is False


def test_kv_put_without_time_to_live_lifts_an_earlier_one(storage, clock):
    storage.kv.put("n", "k", b"v", ttl_secs=1)
    storage.kv.put("n", "k", b"w")
    clock.now += 5

    assert storage.kv.get("n", "k") == b"w"


def test_slot_versions_count_up_from_one(storage):
    assert storage.slots.get("n", "k") is None
    assert storage.slots.upsert("n", "k", b"a") == 1
    assert storage.slots.upsert("n", "k", b"b") == 2
    assert storage.slots.get("n", "k") == Slot(2, b"b")


def test_slot_swap_succeeds_only_on_the_expected_version(storage):
    assert storage.slots.compare_and_swap("n", "k", 1, b"x") is False
    assert storage.slots.compare_and_swap("n", "k", 0, b"a") is True
    assert storage.slots.compare_and_swap("n", "k", 0, b"b") is False
    assert storage.slots.compare_and_swap("n", "k", 1, b"c") is True
    assert storage.slots.compare_and_swap("n", "k", 1, b"d") is False
    assert storage.slots.get("n", "k") == Slot(2, b"c")


def test_slot_delete_starts_over(storage):
    storage.slots.upsert("n", "k", b"a")

    assert storage.slots.delete("n", "k") is True
    assert storage.slots.delete("n", "k") is False
    assert storage.slots.compare_and_swap("n", "k", 0, b"b") is True
    assert storage.slots.get("n", "k") == Slot(1, b"b")


def test_of_many_writers_each_version_goes_to_exactly_one(storage):
    wins = []

    def write(number):
        state = str(number).encode()
        wins.extend(version for version in range(20) if storage.slots.compare_and_swap("n", "k", version, state))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(wins) == list(range(len(wins)))
    assert storage.slots.get("n", "k").version == len(wins)


def test_log_has_one_sequence_for_all_namespaces_and_keys(storage, clock):
    first = storage.log.append("n", "a", b"1")
    clock.now += 1
    second, third = storage.log.extend("n", [("b", b"2\x00\xff"), ("a", b"3")])
    fourth = storage.log.append("other", "a", b"4")

    assert first < second < third < fourth
    assert storage.log.list("n") == [
        (first, "a", b"1", 1000.0),
        (second, "b", b"2\x00\xff", 1001.0),
        (third, "a", b"3", 1001.0),
    ]
    assert [entry.seq for entry in storage.log.since("n", first)] == [second, third]
    assert storage.log.latest("n", "a").val == b"3"
    assert storage.log.latest("n", "") is None
    assert storage.log.extend("n", []) == []


def test_log_list_takes_the_prefix_literally(storage):
    storage.log.extend("n", [(key, b"") for key in ("b_1", "bx1", "B_1", "b%1", "b_0")])

    assert [entry.key for entry in storage.log.list("n", "b_")] == ["b_1", "b_0"]


def test_log_sequence_goes_on_after_a_deletion(storage):
    (*_, newest) = storage.log.extend("n", [("a/1", b""), ("a/2", b""), ("ab", b"")])
    storage.log.append("other", "a/1", b"")

    assert storage.log.delete("n", "a/") == 2
    assert storage.log.delete("n", "a/") == 0
    assert [entry.key for entry in storage.log.list("n")] == ["ab"]
    assert len(storage.log.list("other")) == 1
    assert storage.log.delete("n", "") == 1
    assert storage.log.append("n", "a/1", b"") > newest


def test_of_many_appenders_each_gets_its_own_sequence(storage):
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(storage.log.extend("n", [("k", b"")] * 20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [entry.seq for entry in storage.log.list("n")]
    assert len(set(found)) == 80


def queued(storage, *vals, key="q"):
    return storage.queue.push("n", key, vals)


def vals(storage, limit=100, **terms):
    return [entry.val for entry in storage.queue.peek("n", "q", limit, **terms)]


def test_queue_shows_the_oldest_first(storage, clock):
    first, second = queued(storage, b"1", b"2\x00\xff")
    clock.now += 1
    queued(storage, b"other", key="r")
    (third,) = queued(storage, b"3")

    assert first < second < third
    assert storage.queue.peek("n", "q", 10) == [
        (first, b"1", 1000.0),
        (second, b"2\x00\xff", 1000.0),
        (third, b"3", 1001.0),
    ]
    assert vals(storage, 2) == [b"1", b"2\x00\xff"]
    assert vals(storage, after=first) == [b"2\x00\xff", b"3"]
    assert storage.queue.count("n", "q") == 3
    assert storage.queue.count("other", "q") == 0
    assert [entry.val for entry in storage.queue.find("n", "q", [third, first, 999])] == [b"1", b"3"]


def test_queue_ack_removes_up_to_an_id_and_nothing_of_another_queue(storage):
    _, second, _ = queued(storage, b"1", b"2", b"3")
    queued(storage, b"x", key="r")

    assert storage.queue.ack("n", "q", second) == 2
    assert storage.queue.ack("n", "q", second) == 0
    assert vals(storage) == [b"3"]
    assert storage.queue.ack("n", "q", 1 << 40) == 1
    assert storage.queue.count("n", "r") == 1


def test_queue_drops_just_as_many_as_asked_for(storage):
    queued(storage, b"1", b"2", b"3")

    assert storage.queue.drop_oldest("n", "q", 0) == 0
    assert storage.queue.drop_oldest("n", "q", -1) == 0
    assert storage.queue.drop_oldest("n", "q", 2) == 2
    assert vals(storage) == [b"3"]
    assert storage.queue.drop_oldest("n", "q", 2) == 1


def test_queue_gives_no_id_twice_also_after_a_purge(storage):
    ids = queued(storage, b"1", b"2", b"3")

    assert storage.queue.remove("n", "q", ids[1]) is True
    assert storage.queue.remove("n", "q", ids[1]) is False
    assert vals(storage) == [b"1", b"3"]
    assert storage.queue.purge("n", "q") == 2
    assert queued(storage, b"4")[0] > ids[2]


def test_queue_expires_by_the_time_of_the_push(storage, clock):
    queued(storage, b"1")
    clock.now += 10
    queued(storage, b"2")

    assert storage.queue.expire("n", "q", 1000.0) == 0
    assert storage.queue.expire("n", "q", 1000.1) == 1
    assert vals(storage) == [b"2"]


def test_processes_that_share_a_sqlite_file_share_its_sequence(tmp_path):
    one, two = SqliteStorage(tmp_path / "s.db"), SqliteStorage(tmp_path / "s.db")

    sequences = [storage.log.append("n", "k", b"") for storage in (one, two, one, two)]

    assert sequences == sorted(set(sequences))
    assert one.log.list("n") == two.log.list("n")
    one.close()
    two.close()


def test_sqlite_extend_writes_all_or_none(tmp_path):
    storage = SqliteStorage(tmp_path / "s.db")

    with pytest.raises(StorageError, match="cannot be used"):
        storage.log.extend("n", [("a", b""), (None, b"")])

    assert storage.log.list("n") == []
    assert storage.log.append("n", "a", b"") == 1
    storage.close()


def test_sqlite_keeps_values_over_a_restart(tmp_path):
    first = SqliteStorage(tmp_path / "s.db")
    first.log.append("n", "k", b"l")
    first.kv.put("n", "k", b"v")
    first.slots.upsert("n", "k", b"s")
    first.close()

    second = SqliteStorage(tmp_path / "s.db")

    assert second.kv.get("n", "k") == b"v"
    assert second.slots.get("n", "k") == Slot(1, b"s")
    assert second.log.latest("n", "k").val == b"l"
    assert second.log.append("n", "k", b"m") == 2
    second.close()


def test_sqlite_file_is_private_and_its_directory_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "s.db"
    storage = SqliteStorage(path)
    storage.kv.put("n", "k", b"v")

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes["s.db"] == 0o600
    assert all(mode == 0o600 for mode in modes.values())
    assert "s.db-wal" in modes
    storage.close()


def test_two_connections_to_one_sqlite_file_see_each_other(tmp_path):
    one, two = SqliteStorage(tmp_path / "s.db"), SqliteStorage(tmp_path / "s.db")

    one.slots.upsert("n", "k", b"a")

    assert two.slots.compare_and_swap("n", "k", 1, b"b") is True
    assert one.slots.compare_and_swap("n", "k", 1, b"c") is False
    one.close()
    two.close()


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"this is not a database, not at all" * 100)

    with pytest.raises(StorageError, match=r"s\.db cannot be opened"):
        SqliteStorage(path)


def test_a_path_below_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "f").write_bytes(b"")

    with pytest.raises(StorageError, match="cannot be opened"):
        SqliteStorage(tmp_path / "f" / "s.db")


@pytest.mark.parametrize("backend", ["postgres", "redis", ""])
def test_backends_that_are_not_built_are_refused(backend, tmp_path):
    with pytest.raises(SpecError, match=r"storage\.backend: .*sqlite, memory"):
        open_storage(backend, tmp_path / "s.db", "postgres://u:p@h/d")


@pytest.mark.parametrize(("backend", "kind"), [("sqlite", SqliteStorage), ("memory", MemoryStorage)])
def test_backends_are_opened_by_name(backend, kind, tmp_path):
    storage = open_storage(backend, tmp_path / "s.db")

    assert isinstance(storage, kind)
    storage.close()
