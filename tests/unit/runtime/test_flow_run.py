"""The store of saved positions, made by the first start."""

import bytewax.recovery
import pytest

from deltaforge.checkpoint.reader import read_source_states
from deltaforge.core.errors import StorageError
from deltaforge.runtime.flow_run import _recovery
from deltaforge.runtime.paths import PipelinePaths


class KilledError(BaseException):
    pass


@pytest.fixture
def paths(tmp_path):
    paths = PipelinePaths(tmp_path, "p")
    paths.create()
    return paths


def files(paths):
    return [path.name for path in paths.recovery.iterdir()]


def test_a_crash_while_the_store_is_made_leaves_none(paths, monkeypatch):
    def half_made(folder, _count):
        (folder / "part-0.sqlite3").touch()
        assert read_source_states(paths.recovery) == {}  # whoever looks just now
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(bytewax.recovery, "init_db_dir", half_made)
        with pytest.raises(KilledError):
            _recovery(paths)
    assert not files(paths)
    _recovery(paths)
    assert files(paths) == ["part-0.sqlite3"]
    assert not [path for path in (paths.recovery, *paths.recovery.iterdir()) if path.stat().st_mode & 0o77]
    assert read_source_states(paths.recovery) == {}


def test_of_two_processes_that_make_the_store_one_is_first(paths, monkeypatch):
    make, inodes = bytewax.recovery.init_db_dir, []

    def make_behind_another(folder, count):
        make(folder, count)
        if not inodes:
            inodes.append(0)
            _recovery(paths)
            inodes[0] = (paths.recovery / "part-0.sqlite3").stat().st_ino

    monkeypatch.setattr(bytewax.recovery, "init_db_dir", make_behind_another)
    _recovery(paths)
    assert [(paths.recovery / "part-0.sqlite3").stat().st_ino] == inodes
    assert [path.name for path in paths.root.iterdir() if path.name.startswith("recovery")] == ["recovery"]


def test_a_store_that_cannot_be_made_is_a_fault_of_the_disk(paths):
    paths.recovery.rmdir()
    paths.root.rmdir()
    with pytest.raises(StorageError, match="recovery store"):
        _recovery(paths)
