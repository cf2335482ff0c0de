"""What others may do with our files. The tests that need another user run as root only, who may be anybody."""

import os
import socket
import sqlite3
import stat
import tempfile

import pytest

from deltaforge.core.errors import StorageError
from deltaforge.runtime.paths import MAX_SOCKET_BYTES, PipelinePaths
from deltaforge.storage.file_lock import FileLock
from deltaforge.storage.private_files import close_state_folder, close_to_others, make_private, socket_folder_fault
from deltaforge.storage.sqlite import SqliteStorage

NOBODY = 65534


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def modes(folder):
    return {str(path.relative_to(folder)): mode(path) for path in sorted(folder.rglob("*"))}


@pytest.fixture(autouse=True)
def open_mask():
    """A mask that keeps nobody out: whoever is kept out is so by us."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as sockets:  # the names that pytest gives are too long for sockets
        monkeypatch.setattr(tempfile, "tempdir", sockets)
        yield PipelinePaths(tmp_path / "above" / "state", "p")


def test_folders_of_a_pipeline_are_for_the_owner_alone(paths, tmp_path):
    paths.create()
    assert set(modes(tmp_path / "above").values()) == {0o700}
    assert mode(tmp_path / "above") == 0o700
    assert mode(paths.socket.parent) == 0o700


def test_what_an_older_version_left_open_is_closed(paths):
    paths.recovery.mkdir(parents=True)
    spool = paths.spool("s")
    spool.mkdir(parents=True)
    for path in (paths.document, paths.log, paths.recovery / "part-0.sqlite3", spool / "1.seg"):
        path.write_text("x")
    outside = paths.state_dir.parent / "outside"
    outside.write_text("x")
    (paths.root / "link").symlink_to(outside)
    paths.create()
    found = modes(paths.state_dir)
    assert mode(paths.state_dir) == 0o700
    assert mode(outside) == 0o666
    for name, bits in found.items():
        path = paths.state_dir / name
        assert path.is_symlink() or bits == (0o700 if path.is_dir() else 0o600), name


def test_a_state_folder_with_files_of_others_is_left_as_it_is_and_spoken_of(tmp_path, caplog):
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    (folder / "serve.lock").touch()
    (folder / "letter.txt").touch()
    close_state_folder(folder)
    assert mode(folder) == 0o755
    assert "others may look into the state folder" in caplog.text
    (folder / "letter.txt").unlink()
    close_state_folder(folder)
    assert mode(folder) == 0o700


def test_a_database_and_what_stands_beside_it_is_for_the_owner_alone(tmp_path):
    path = tmp_path / "a" / "b" / "df.db"
    storage = SqliteStorage(path)
    storage.kv.put("n", "k", b"v")
    assert modes(tmp_path) == {
        "a": 0o700, "a/b": 0o700, "a/b/df.db": 0o600, "a/b/df.db-shm": 0o600, "a/b/df.db-wal": 0o600
    }  # fmt: skip
    for file in path.parent.iterdir():
        file.chmod(0o644)
    again = SqliteStorage(path)
    assert set(modes(path.parent).values()) == {0o600}
    again.close()
    storage.close()
    assert sqlite3.connect(path).execute("select val from df_kv").fetchone() == (b"v",)


def test_a_lock_makes_private_folders(tmp_path):
    FileLock(tmp_path / "a" / "lock").close()
    assert modes(tmp_path) == {"a": 0o700, "a/lock": 0o600}


@pytest.mark.parametrize("bits", [0o770, 0o722, 0o777])
def test_a_folder_for_sockets_that_others_can_write_is_refused(paths, bits):
    paths.socket.parent.mkdir(mode=bits)
    for use in (paths.create, paths.trusted_socket):
        with pytest.raises(StorageError, match="others may write there"):
            use()
    assert mode(paths.socket.parent) == bits
    assert not paths.root.exists()


def test_a_folder_for_sockets_that_others_can_only_read_is_closed(paths):
    paths.socket.parent.mkdir(mode=0o755)
    paths.create()
    assert mode(paths.socket.parent) == 0o700


def test_a_folder_for_sockets_that_leads_elsewhere_is_refused(paths, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    paths.socket.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="it is not a folder"):
        paths.create()


def test_a_folder_for_sockets_that_everybody_can_rename_is_refused(paths):
    folder = paths.socket.parent
    folder.mkdir(mode=0o700)
    folder.parent.chmod(0o777)
    assert "may rename it" in socket_folder_fault(folder)
    folder.parent.chmod(0o1777)
    assert socket_folder_fault(folder) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_belongs_to_somebody_else_is_refused_or_spoken_of(paths, tmp_path, caplog):
    paths.socket.parent.mkdir(mode=0o700)
    os.chown(paths.socket.parent, NOBODY, NOBODY)
    for use in (paths.create, paths.trusted_socket):
        with pytest.raises(StorageError, match=f"it belongs to user {NOBODY}"):
            use()
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, NOBODY, NOBODY)
    close_to_others(theirs)
    assert mode(theirs) == 0o755
    assert f"belongs to user {NOBODY}" in caplog.text


def test_a_file_where_a_folder_has_to_be_is_an_error(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(OSError, match="Not a directory"):
        make_private(tmp_path / "x")


def test_a_folder_for_temporary_files_may_have_a_long_name(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 100)))
    assert len(os.fsencode(paths.socket)) <= MAX_SOCKET_BYTES
    paths.create()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.trusted_socket()))
    paths.socket.unlink()
