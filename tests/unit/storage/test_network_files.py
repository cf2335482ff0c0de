"""Which file systems several machines may have, and what SQLite does there."""

import threading

import pytest

from deltaforge.storage import sqlite
from deltaforge.storage.network_files import may_be_shared
from deltaforge.storage.sqlite import SqliteStorage

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:40 / /srv/state rw,relatime shared:1 - nfs4 files:/state rw
41 40 254:1 / /srv/state/local rw - xfs /dev/vdb rw
42 27 0:41 / /srv/with\040blank rw - fuse.glusterfs gluster rw
43 27 0:42 / /over rw - ext4 /dev/vdc rw
44 27 0:43 / /over rw - ceph 10.0.0.1:/ rw
"""


@pytest.mark.parametrize(
    ("path", "is_shared"),
    [
        ("/var/lib/deltaforge/learned.db", False),
        ("/srv/state/pipelines/p/learned.db", True),
        ("/srv/statement/learned.db", False),
        ("/srv/state/local/learned.db", False),
        ("/srv/with blank/learned.db", True),
        ("/over/learned.db", True),
    ],
)
def test_the_innermost_mount_says_what_it_is(path, is_shared, tmp_path):
    assert may_be_shared(tmp_path.__class__(path), MOUNTS) is is_shared


def test_files_of_this_machine_are_not_shared(tmp_path):
    assert not may_be_shared(tmp_path / "learned.db")


def _append(path, name):
    storage = SqliteStorage(path)
    for number in range(50):
        storage.kv.put(name, str(number), b"v")
    storage.close()


def journal_mode(path):
    storage = SqliteStorage(path)
    ((mode,),), _ = storage.kv._run("pragma journal_mode")
    storage.close()
    return mode


@pytest.fixture
def shared(monkeypatch):
    monkeypatch.setattr(sqlite, "may_be_shared", lambda _path: True)


def test_where_others_may_have_the_file_there_is_no_write_ahead_log(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    assert journal_mode(path) == "wal"
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "may_be_shared", lambda _path: True)
        assert journal_mode(path) == "delete"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["s.db"]
    assert journal_mode(path) == "wal"


def test_several_write_one_file_without_a_write_ahead_log(tmp_path, shared):
    path = tmp_path / "s.db"
    writers = [threading.Thread(target=_append, args=(path, name)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    storage = SqliteStorage(path)
    assert [len(storage.kv.list(name)) for name in ("one", "two")] == [50, 50]
    storage.close()
