"""Events that hold a pipeline up, and those that an operator lets pass."""

import msgspec
import pytest

from deltaforge.checkpoint.skips import HeldEvent, Skips, digest_of
from deltaforge.core.errors import CheckpointError, ControlError, SpecError

AT = {"file": "binlog.000003", "pos": 812}
EVENT = HeldEvent(position=AT, server="s1", digest=digest_of(b"delete from t"), what="delete from t", tables=["d.t"])
BODY = {"position": AT, "reason": "done by hand"}


def test_exactly_the_event_is_let_pass_that_holds_the_source_up(tmp_path):
    skips = Skips(tmp_path)
    with pytest.raises(ControlError, match="no event holds"):
        skips.add(BODY)
    skips.hold(EVENT)
    assert skips.held() == EVENT
    with pytest.raises(ControlError, match="stands at"):
        skips.add({**BODY, "position": {**AT, "pos": 813}})
    assert skips.of(EVENT) is None
    assert skips.add(BODY).view() == skips.of(EVENT).view()
    assert skips.of(EVENT).reason == "done by hand"
    for change in ({"position": {**AT, "pos": 9}}, {"server": "s2"}, {"digest": digest_of(b"delete from u")}):
        assert skips.of(msgspec.structs.replace(EVENT, **change)) is None


def test_what_was_let_pass_stays_and_is_there_once(tmp_path):
    skips = Skips(tmp_path)
    skips.hold(EVENT)
    skips.add(BODY)
    skips.add(BODY)
    skips.go_on()
    assert skips.held() is None
    assert [skip.event for skip in Skips(tmp_path).all()] == [EVENT]


def test_a_torn_line_is_dropped(tmp_path):
    skips = Skips(tmp_path)
    skips.hold(EVENT)
    skips.add(BODY)
    path = tmp_path / "skips.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event"')
    assert len(skips.all()) == 1
    other = msgspec.structs.replace(EVENT, position={**AT, "pos": 900})
    skips.hold(other)
    skips.add({**BODY, "position": other.position})
    assert [skip.event for skip in skips.all()] == [EVENT, other]
    path.write_bytes(b"nonsense\n")
    with pytest.raises(CheckpointError, match="cannot be read"):
        skips.all()
    (tmp_path / "held.json").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be read"):
        skips.held()


@pytest.mark.parametrize(
    "body", [None, {}, {"position": AT}, {**BODY, "more": 1}, {**BODY, "position": "x"}, {**BODY, "reason": " "}]
)
def test_wrong_bodies(tmp_path, body):
    with pytest.raises(SpecError):
        Skips(tmp_path).add(body)
