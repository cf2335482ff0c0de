"""Processes that tests start, and those of pipelines as the system sees them."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

_ends = []


def ends_with_its_test(end):
    """``end()`` is called when the test that runs fails. What it would have ended itself must not run on: it disturbs
    other tests, and one of them fails in the place of this one.
    """
    _ends.append(end)


def child(command, **options):
    """A ``Popen`` that does not outlive a test that fails."""
    process = subprocess.Popen(command, **options)

    def end():
        with process:  # closes its pipes, and waits
            process.kill()

    ends_with_its_test(end)
    return process


@contextmanager
def ended_on_failure():
    """Ends what is started within, if it fails. What fixtures have started before is theirs."""
    _ends.clear()
    try:
        yield
    except BaseException:
        while _ends:
            _ends.pop()()
        raise


def pipeline_processes(state_dir):
    """The name of the pipeline of each launcher that runs from a state directory, by process id."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_gone = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if "deltaforge.runtime.launcher" in words and str(Path(state_dir).resolve()) in words and not is_gone:
            name = next(word for word in words if word.startswith("--name"))
            found[int(folder.name)] = name.partition("=")[2] or words[words.index(name) + 1]
    return found
