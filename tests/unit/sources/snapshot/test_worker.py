"""A thread that reads chunks, and what becomes of its connection."""

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.sources.snapshot.worker import SnapshotWorker


class OneTask:
    """Employs a worker for one task that fails with ``fault``."""

    def __init__(self, fault):
        self.fault, self.tasks, self.errors = fault, [self], []

    def do(self, _reader):
        raise self.fault

    def next_task(self):
        return self.tasks.pop() if self.tasks else None

    def failed(self, _task, error):
        self.errors.append(error)

    def left(self, _worker):
        self.tasks = None


class Reader:
    def __init__(self):
        self.close_count = 0

    def close(self):
        self.close_count += 1


@pytest.mark.parametrize(("fault", "close_count"), [(SourceError("gone", kind="io"), 1), (IndexError("ours"), 2)])
def test_a_connection_is_not_used_again_after_a_fault_of_ours(fault, close_count):
    """Between a question and its answer nobody knows what comes next. After other errors its reader decides."""
    employer, reader = OneTask(fault), Reader()
    worker = SnapshotWorker("worker", employer, lambda: reader)
    worker.start()
    worker.join(10)
    (error,) = employer.errors
    assert isinstance(error, SourceError)
    assert error.context.get("crash", False) == (fault is not error)
    assert reader.close_count == close_count
    assert employer.tasks is None
