"""Who owns a name, and who finds out that somebody else does."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltaforge.core.errors import ControlError, StorageError
from deltaforge.storage.file_lock import FileLock, is_free
from deltaforge.storage.lease import FRESH_SECS, NAMESPACE, TTL_SECS, Lease
from deltaforge.storage.memory import MemoryStorage


class Time:
    """A clock that only moves while somebody sleeps; ``during`` is called with each sleep."""

    def __init__(self):
        self.now = 500.0
        self.during = lambda: None

    def __call__(self):
        return self.now

    def sleep(self, secs):
        self.now += secs
        self.during()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def slots():
    return MemoryStorage().slots


def lease_on(slots, time, **options):
    return Lease(slots, "pipeline p", clock=time, sleep=time.sleep, **options)


def test_free_name_is_taken_at_once(slots, time):
    lease = lease_on(slots, time)
    lease.acquire()
    lease.check()
    assert (lease.fence, time.now) == (1, 500.0)


def test_owner_that_shows_life_is_named_and_keeps_the_name(slots, time):
    owner, other = lease_on(slots, time), lease_on(slots, time)
    owner.acquire()
    time.during = owner.renew
    with pytest.raises(ControlError, match=r"pipeline p is already run by process \d+ on .* \(fence 1\)") as caught:
        other.acquire()
    assert caught.value.kind == "already_running"
    owner.check()


def test_owner_without_life_is_replaced_after_the_time_and_finds_out(slots, time):
    owner, other = lease_on(slots, time), lease_on(slots, time)
    owner.acquire()
    began = time.now
    other.acquire()
    assert TTL_SECS <= time.now - began < TTL_SECS + 1
    assert other.fence == 2
    for ask in (owner.check, owner.renew, owner.check):
        with pytest.raises(ControlError, match=r"taken over by process .* \(fence 2\)"):
            ask()
    other.check()


def test_owner_that_woke_up_before_anybody_took_the_name_goes_on(slots, time):
    owner = lease_on(slots, time)
    owner.acquire()
    time.now += 10 * TTL_SECS
    owner.check()
    assert owner.fence == 1


def test_owner_is_seen_to_live_by_change_whatever_its_clock_says(slots, time):
    away = Time()
    away.now = -1e9
    owner, other = Lease(slots, "pipeline p", clock=away, sleep=away.sleep), lease_on(slots, time)
    owner.acquire()
    time.during = owner.renew
    with pytest.raises(ControlError):
        other.acquire()


def test_name_that_was_given_up_is_free_and_fences_grow(slots, time):
    for fence in (1, 2, 3):
        lease = lease_on(slots, time)
        lease.acquire()
        assert lease.fence == fence
        lease.release()
    assert time.now == 500.0


def test_late_release_of_a_replaced_owner_changes_nothing(slots, time):
    owner, other = lease_on(slots, time), lease_on(slots, time)
    owner.acquire()
    other.acquire()
    owner.release()
    other.check()
    time.now += FRESH_SECS + 1
    other.check()


def test_of_two_that_wait_for_a_dead_owner_one_gets_the_name(slots, time):
    lease_on(slots, time).acquire()
    first, second_time = lease_on(slots, time), Time()
    second = Lease(slots, "pipeline p", clock=second_time, sleep=second_time.sleep)
    is_done = []

    def overtake():
        if time.now > 500 + TTL_SECS - 1 and not is_done:
            is_done.append(True)
            second.acquire()

    time.during = overtake
    with pytest.raises(ControlError, match="already run"):
        first.acquire()
    second.check()


def test_dead_owner_of_this_machine_is_replaced_at_once(slots, time, tmp_path):
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    lease_on(slots, time, lock=lock).acquire()
    lock.close()  # what the kernel does when the process ends
    lease = lease_on(slots, time)
    lease.acquire()
    assert (lease.fence, time.now) == (2, 500.0)


def test_living_owner_of_this_machine_that_stands_still_is_waited_for(slots, time, tmp_path):
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    lease_on(slots, time, lock=lock).acquire()
    lease_on(slots, time).acquire()
    assert time.now >= 500 + TTL_SECS
    lock.close()


def test_holder_of_the_lock_of_the_dead_owner_needs_no_wait(slots, time, tmp_path):
    before = FileLock(tmp_path / "lock")
    assert before.take()
    lease_on(slots, time, lock=before).acquire()
    before.close()
    lock = FileLock(tmp_path / "lock")
    assert lock.take()
    lease_on(slots, time, lock=lock).acquire()
    assert time.now == 500.0
    lock.close()


def test_lock_file_of_another_machine_proves_nothing(tmp_path):
    lock = FileLock(tmp_path / "lock")
    assert is_free(str(tmp_path / "lock"), lock.identity)
    assert not is_free(str(tmp_path / "lock"), "elsewhere|" + lock.identity.partition("|")[2])
    assert not is_free(str(tmp_path / "absent"), lock.identity)
    lock.close()


def test_held_file_lock_refuses_and_names_its_holder(tmp_path):
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.take()
    assert not other.take()
    assert other.holder().isdigit()
    assert not is_free(str(one.path), one.identity)
    one.close()
    assert other.take()
    other.close()


def test_backend_that_fails_blocks_writing_only_when_the_last_renewal_is_old(time):
    class Failing:
        def __init__(self, slots):
            self._slots = slots
            self.is_down = False

        def get(self, ns, key):
            return self._slots.get(ns, key)

        def compare_and_swap(self, *args):
            if self.is_down:
                raise StorageError("disk full")
            return self._slots.compare_and_swap(*args)

    slots = Failing(MemoryStorage().slots)
    lease = lease_on(slots, time)
    lease.acquire()
    slots.is_down = True
    lease.check()
    time.now += FRESH_SECS + 1
    with pytest.raises(StorageError, match="disk full"):
        lease.check()
    slots.is_down = False
    lease.check()


def test_lease_of_a_newer_kind_is_not_taken(slots, time):
    slots.upsert(NAMESPACE, "pipeline p", msgspec.json.encode({"strange": True}))
    with pytest.raises(StorageError, match="cannot be read"):
        lease_on(slots, time).acquire()


@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["acquire", "check", "release", "wait"])), max_size=40)
)
def test_never_two_owners_whatever_the_order(steps):
    time, slots = Time(), MemoryStorage().slots
    leases = [lease_on(slots, time) for _ in range(3)]
    for who, verb in steps:
        if verb == "wait":
            time.now += TTL_SECS
        else:
            with contextlib.suppress(ControlError, StorageError):
                getattr(leases[who], verb)()
        time.now += FRESH_SECS + 1
        assert sum(_is_owner(lease) for lease in leases) <= 1


def _is_owner(lease):
    try:
        lease.check()
    except (ControlError, StorageError):
        return False
    return True
