"""Requests of snapshots on disk."""

import pytest

from deltaforge.checkpoint.snapshot_requests import (
    SnapshotRequest,
    read_snapshot_requests,
    remove_snapshot_request,
    write_snapshot_request,
)
from deltaforge.core.errors import CheckpointError


def test_requests_come_back_in_order_until_they_are_removed(tmp_path):
    folder = tmp_path / "snapshot_requests"
    late = SnapshotRequest(id="a1", tables=("shop.*",), requested_ms=2)
    early = SnapshotRequest(
        id="b2",
        tables=("shop.orders", "users"),
        where="id > 5",
        sinks=("out",),
        max_rows_per_second=10,
        truncate_first=True,
        requested_ms=1,
    )
    assert read_snapshot_requests(folder) == []
    for request in (late, early, late):
        write_snapshot_request(folder, request)
    assert read_snapshot_requests(folder) == [early, late]
    assert folder.stat().st_mode & 0o77 == 0
    assert remove_snapshot_request(folder, "b2")
    assert not remove_snapshot_request(folder, "b2")
    assert read_snapshot_requests(folder) == [late]


def test_a_request_that_cannot_be_read_says_what_to_do(tmp_path):
    (tmp_path / "c3.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"c3\.json.*remove .*c3\.json and ask again"):
        read_snapshot_requests(tmp_path)


def test_an_id_is_no_path(tmp_path):
    (tmp_path / "reset.json").write_text("{}")
    for name in ("../reset", "a/b", "", "a.b", "é"):
        with pytest.raises(CheckpointError, match="not the id"):
            remove_snapshot_request(tmp_path / "snapshot_requests", name)
    assert (tmp_path / "reset.json").exists()
