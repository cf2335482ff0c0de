"""Memory that is free again, in a process of its own: what the C library was told cannot be taken back."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from deltaforge.runtime.memory import keep_freed_memory

def work():
    for _ in range(50):
        [bytes(7 << 20) for _ in range(3)]

if sys.argv[1] == "keep":
    assert keep_freed_memory()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults_of(mode):
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_that_is_free_again_is_used_again():
    assert faults_of("keep") < faults_of("leave") / 2


def test_the_garbage_collector_rests_while_modules_are_imported_and_not_longer():
    program = "import gc, deltaforge.runtime.launcher as _; print(gc.isenabled(), gc.get_stats()[2]['collections'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0"]
