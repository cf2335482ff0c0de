"""What is answered for all processes of a pipeline."""

from types import SimpleNamespace

import pytest

from deltaforge.runtime.cluster_answers import ClusterAnswers


@pytest.mark.parametrize(("request_", "is_ok"), [({}, False), ({"shard": "s0"}, True)])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_pause_is_not_answered_as_done_while_a_process_has_not_heard_of_it(tmp_path, request_, is_ok, command):
    paths = SimpleNamespace(member_socket=lambda number: tmp_path / f"{number}.sock")  # nobody is there
    info = SimpleNamespace(paths=paths, cluster=SimpleNamespace(near=[1]))
    answers = ClusterAnswers(info, lambda _request: {"ok": True})
    assert answers.answer({"cmd": command, **request_})["ok"] is is_ok
