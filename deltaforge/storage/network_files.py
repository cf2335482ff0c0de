"""Whether a file is on a file system that several machines may have.

SQLite's write-ahead log has an index in memory that the processes of one machine share. Of another machine's index they
know nothing, and both would write over each other (sqlite.org/wal.html, "WAL does not work over a network filesystem").
"""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_SHARED = {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "afs", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2"}
_ESCAPED = re.compile(r"\\([0-7]{3})")


def may_be_shared(path: Path, mounts: str | None = None) -> bool:
    """Whether other machines may have the file, too.

    Args:
        path: May not exist yet.
        mounts: What is mounted where, as ``/proc/self/mountinfo`` says; absent: that. Where there is none, no file is.

    Source: ``proc_pid_mountinfo(5)``.
    """
    try:
        text = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape") if mounts is None else mounts
    except OSError:
        return False
    where, found = path.resolve(), (-1, "")
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.partition(" ")[0]
        if len(fields) < 5 or not where.is_relative_to(point := _unescaped(fields[4])):
            continue
        if len(point) >= found[0]:  # of two at one place the later one covers the earlier one
            found = len(point), kind
    return found[1] in _SHARED or found[1].startswith("fuse.")


def _unescaped(point: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), point)
