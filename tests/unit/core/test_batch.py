from deltaforge.core.batch import EncodedList
from deltaforge.testing.fakes import make_batch


class CountingEncoder:
    identity = "counting"

    def __init__(self):
        self.count = 0

    def encode(self, event):  # noqa: ARG002 - as an encoder is called
        return b"x"

    def encode_groups(self, groups):
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
