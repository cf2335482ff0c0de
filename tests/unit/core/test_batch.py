import pytest

from deltaforge.core.batch import Batch
from deltaforge.core.encoded import EncodedList
from deltaforge.testing.fakes import make_batch


class CountingEncoder:
    identity = "counting"

    def __init__(self):
        self.count = 0

    def encode(self, event):  # noqa: ARG002 - as an encoder is called
        return b"x"

    def encode_groups(self, groups, now_ns):  # noqa: ARG002
        self.count += 1
        events = [event for group in groups for event in group.events()]
        return EncodedList([self.encode(event) for event in events], events)


def test_sinks_share_encoded_values_until_the_last_of_them_has_written():
    batch, encoder = make_batch(1, event_count=3), CountingEncoder()
    batch.reader_count = 2
    batch.encoded(encoder)
    batch.release()
    batch.encoded(encoder)
    assert encoder.count == 1
    batch.release()
    assert list(batch.encoded(encoder)) == [b"x"] * 3
    assert encoder.count == 2


def numbers(batch):
    return [event.after["id"] for event in batch.events()]


def grouped():
    """Five events in groups of two, two and one."""
    parts = [make_batch(1, event_count=2), make_batch(3, event_count=2), make_batch(5)]
    return Batch.joined(parts)


@pytest.mark.parametrize("start", range(6))
@pytest.mark.parametrize("stop", range(6))
def test_a_stretch_of_a_batch_has_its_events_and_its_position(start, stop):
    batch = grouped()

    part = batch.between(start, stop)

    assert numbers(part) == [1, 2, 3, 4, 5][start:stop]
    assert part.event_count == len(numbers(part))
    assert part.position == batch.position


def test_a_stretch_decodes_only_the_groups_that_it_cuts():
    batch = grouped()

    part = batch.between(1, 5)

    assert part.groups[0] is not batch.groups[0]
    assert list(part.groups[1:]) == list(batch.groups[1:])


@pytest.mark.parametrize("index", range(5))
def test_a_batch_without_one_event_has_all_others(index):
    assert numbers(grouped().without(index)) == [n for n in (1, 2, 3, 4, 5) if n != index + 1]
    assert make_batch(1).without(0).event_count == 0
