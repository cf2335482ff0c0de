"""Segment files: what was saved is read back in order, whatever happened to the rest."""

import resource

import pytest

from deltaforge.checkpoint.spool import Spool
from deltaforge.core.errors import StorageError
from deltaforge.testing.fakes import make_batch


def rows_of(spool, place):
    found = []
    while spool.has_more(place):
        batch, place = spool.read(place)
        found += [event.after["id"] for event in batch.events()]
    return found


@pytest.fixture
def spool_of(tmp_path):
    opened = []

    def make(*places, segment_bytes=1000):
        opened.append(Spool(tmp_path / "s", None, *places, segment_bytes=segment_bytes))
        return opened[-1]

    yield make
    for spool in opened:
        spool.close()


def fill(spool, rows):
    start = spool.end
    for row in rows:
        spool.append(make_batch(row))
    spool.sync()
    return start


def test_batches_come_back_in_order_over_segments(tmp_path, spool_of):
    spool = spool_of()
    start = fill(spool, range(1, 51))
    assert rows_of(spool, start) == list(range(1, 51))
    assert len(list(tmp_path.rglob("*.segment"))) > 5
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.segment")} == {0o600}


def test_what_was_appended_after_the_mark_is_gone_at_the_next_start(spool_of):
    spool = spool_of()
    start = fill(spool, range(1, 21))
    end = spool.end
    fill(spool, range(21, 60))
    spool.close()
    spool = spool_of(start, end)
    assert spool.waiting_count == 20
    fill(spool, range(100, 120))
    assert rows_of(spool, start) == [*range(1, 21), *range(100, 120)]


def test_a_half_written_record_behind_the_mark_does_no_harm(tmp_path, spool_of):
    spool = spool_of(segment_bytes=1 << 20)
    start = fill(spool, range(1, 11))
    end = spool.end
    spool.close()
    segment = next(tmp_path.rglob("*.segment"))
    segment.write_bytes(segment.read_bytes() + b"\x99\0\0\0half")
    spool = spool_of(start, end)
    assert rows_of(spool, start) == list(range(1, 11))


def test_reading_goes_on_in_the_middle(spool_of):
    spool = spool_of()
    place = fill(spool, range(1, 31))
    for _ in range(12):
        _, place = spool.read(place)
    end = spool.end
    spool.close()
    spool = spool_of(place, end)
    assert spool.waiting_count == 18
    assert rows_of(spool, place) == list(range(13, 31))


def test_segments_that_nobody_needs_are_removed(tmp_path, spool_of):
    spool = spool_of()
    place = fill(spool, range(1, 51))
    before = spool.byte_count
    for _ in range(40):
        _, place = spool.read(place)
    spool.trim(place)
    assert spool.byte_count < before / 2
    assert rows_of(spool, place) == list(range(41, 51))
    spool.trim(spool.begin_again())
    assert list(tmp_path.rglob("*.segment")) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_damage_is_an_error_that_says_what_to_do(tmp_path, spool_of, damage):
    spool = spool_of(segment_bytes=1 << 20)
    start = fill(spool, range(1, 31))
    end = spool.end
    spool.close()
    segment = next(tmp_path.rglob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    if damage == "missing":
        segment.unlink()
    with pytest.raises(StorageError, match="damaged" if damage == "flip" else "not as long .* reset the checkpoint"):
        rows_of(spool_of(start, end), start)


def test_full_disk_appends_nothing_and_goes_on_when_there_is_room(spool_of):
    spool = spool_of(segment_bytes=1 << 20)
    start = fill(spool, range(1, 6))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.end.offset + 10, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written: File too large"):
            spool.append(make_batch(6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    fill(spool, range(6, 11))
    assert rows_of(spool, start) == list(range(1, 11))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, spool_of):
    (tmp_path / "s").write_text("a file")
    with pytest.raises(StorageError, match="the spool of sink s cannot be"):
        spool_of().append(make_batch(1))
    assert (tmp_path / "s").read_text() == "a file"
