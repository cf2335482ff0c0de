"""What is answered for all processes of a pipeline."""

from types import SimpleNamespace

import pytest

from deltaforge.runtime.cluster_answers import ClusterAnswers


def answers_beside_a_silent_process(folder, own):
    paths = SimpleNamespace(member_socket=lambda number: folder / f"{number}.sock")  # nobody is there
    return ClusterAnswers(SimpleNamespace(paths=paths, cluster=SimpleNamespace(near=[1])), lambda _request: own)


@pytest.mark.parametrize(("request_", "is_ok"), [({}, False), ({"shard": "s0"}, True)])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_pause_is_not_answered_as_done_while_a_process_has_not_heard_of_it(tmp_path, request_, is_ok, command):
    answers = answers_beside_a_silent_process(tmp_path, {"ok": True})
    assert answers.answer({"cmd": command, **request_})["ok"] is is_ok


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"ok": False, "kind": "not_found", "error": "no snapshot"}, "gone"),  # it may be that of the silent one
        ({"ok": False, "kind": "refused", "error": "is over"}, "refused"),
        ({"ok": True, "job": {}}, None),
    ],
)
@pytest.mark.parametrize("command", ["snapshot", "snapshot_cancel"])
def test_a_snapshot_is_not_said_to_be_unknown_while_a_process_does_not_answer(tmp_path, own, expected, command):
    assert answers_beside_a_silent_process(tmp_path, own).answer({"cmd": command, "id": "1a"}).get("kind") == expected
