import os
import signal
import subprocess
import sys

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.observability import kill_points
from deltaforge.observability.kill_points import VARIABLE, armed


def test_nothing_is_armed_without_the_variable():
    assert kill_points.reached is armed({}, lambda: None)


def test_the_nth_passing_of_the_named_point_kills_once():
    kills = []
    reached = armed({VARIABLE: "after_read:3"}, lambda: kills.append(1))
    for _ in range(2):
        reached("after_read")
        reached("after_encode")
    assert kills == []
    reached("after_read")
    reached("after_read")
    assert kills == [1]


@pytest.mark.parametrize("value", ["nowhere:1", "after_read", "after_read:0", "after_read:x"])
def test_an_unknown_point_is_refused(value):
    with pytest.raises(SpecError, match="after_encode"):
        armed({VARIABLE: value}, lambda: None)


def test_the_process_ends_by_sigkill():
    program = "from deltaforge.observability.kill_points import reached; reached('after_commit')"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {VARIABLE: "after_commit:1"}, check=False)
    assert done.returncode == -signal.SIGKILL
