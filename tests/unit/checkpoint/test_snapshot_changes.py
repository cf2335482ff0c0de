"""What was asked for last of snapshots, on disk."""

import pytest

from deltaforge.checkpoint.snapshot_changes import (
    SnapshotChanges,
    new_change,
    read_snapshot_changes,
    write_snapshot_change,
)
from deltaforge.core.errors import CheckpointError
from deltaforge.core.snapshot import SnapshotJob, SnapshotState


def seen(*changes, is_over=False):
    """A state whose jobs have seen these."""
    jobs = tuple(SnapshotJob(change.id, "ad_hoc", (), change.status, change_id=change.change_id) for change in changes)
    return SnapshotState(0, (), jobs) if is_over else SnapshotState(0, jobs)


def test_the_last_change_of_a_job_stays_until_a_saved_job_has_seen_it(tmp_path):
    folder = tmp_path / "snapshot_changes"
    changes = SnapshotChanges(folder)
    first, last, other = new_change("1a", "paused"), new_change("1a", "paused"), new_change("2b", "cancelled")
    for change in (first, last, other):
        changes.note(change)
    assert folder.stat().st_mode & 0o77 == 0
    assert read_snapshot_changes(folder) == {"1a": last, "2b": other}
    changes.saved(seen(first))  # it is paused, and by the next save it may run in between
    changes.forget(first)
    assert {change.id for change in SnapshotChanges(folder).all()} == {"1a", "2b"}
    changes.saved(seen(last))
    assert read_snapshot_changes(folder) == {"2b": other}
    changes.saved(seen(new_change("2b", "completed"), is_over=True))
    assert not read_snapshot_changes(folder)
    assert not changes.all()


def test_what_cannot_be_written_changes_nothing(tmp_path):
    folder = tmp_path / "snapshot_changes"
    changes, before = SnapshotChanges(folder), new_change("1a", "paused")
    changes.note(before)
    (folder / "1a.json").unlink()
    (folder / "1a.json").mkdir()  # nothing can take its place
    with pytest.raises(CheckpointError, match="cannot be noted in snapshot_changes"):
        changes.note(new_change("1a", "running"))
    assert changes.of("1a") is before


def test_what_was_half_written_is_none_and_what_cannot_be_read_says_what_to_do(tmp_path):
    write_snapshot_change(tmp_path, new_change("1a", "paused"))
    (tmp_path / "1a.7-7.partial").write_text('{"id":"1a"')
    assert [change.status for change in read_snapshot_changes(tmp_path).values()] == ["paused"]
    (tmp_path / "c3.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"change c3\.json.*remove .*c3\.json and ask again"):
        SnapshotChanges(tmp_path)


def test_an_id_is_no_path(tmp_path):
    for name in ("../reset", "a/b", "", "a.b", "é"):
        with pytest.raises(CheckpointError, match="not the id"):
            write_snapshot_change(tmp_path / "snapshot_changes", new_change(name, "paused"))
    assert not list(tmp_path.rglob("*.json"))
