import pytest

from deltaforge.core.errors import PositionLostError, SourceError
from deltaforge.core.retry import Retry, retry_of
from deltaforge.sources.mysql.errors import error_of

DOING = "the server ended the binary log dump"


@pytest.mark.parametrize(
    "text",
    [
        "Could not find first log file name in binary log index file",
        "Cannot replicate because the source purged required binary logs.",
    ],
)
def test_log_that_is_gone_is_a_lost_position(text):
    assert isinstance(error_of(1236, text, DOING), PositionLostError)


def test_dump_that_another_reader_took_over_is_no_lost_position():
    text = "A replica with the same server_uuid/server_id as this replica has connected to the source"
    error = error_of(1236, text, DOING)
    assert isinstance(error, SourceError)
    assert not isinstance(error, PositionLostError)
    assert retry_of(error) is Retry.BACKOFF
    assert "same source id" in error.hint


def test_event_too_large_for_the_server_is_left_to_the_operator():
    error = error_of(1236, "log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source", DOING)
    assert not isinstance(error, PositionLostError)
    assert retry_of(error) is Retry.OPERATOR
