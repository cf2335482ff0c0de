"""Where a pipeline keeps its files. The same for the process that runs it and for its supervisor."""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from deltaforge.core.errors import StorageError
from deltaforge.core.lanes import ONE_LANE, Lane
from deltaforge.storage.private_files import (
    close_state_folder,
    close_tree,
    make_folders,
    make_private,
    socket_folder_fault,
)

CONTROL_PLANE_LOCK = "serve.lock"
"""In the state directory: locked by the control plane that runs pipelines from there."""
MAX_SOCKET_BYTES = 107
"""Of the path of a Unix socket on Linux."""


@dataclass(frozen=True)
class PipelinePaths:
    """The files of one pipeline below the state directory. All of them are readable by the owner only.

    Args:
        state_dir: The engine's state directory; may not exist yet.
        name: ``metadata.name``.
        lane: Whose files :attr:`started`, :attr:`first_position`, :attr:`reset`, :attr:`snapshot_requests` and
            :attr:`snapshot_changes` are, those of its log, and :attr:`first_delivery`, :attr:`spools`.
    """

    state_dir: Path
    name: str
    lane: Lane = ONE_LANE

    @property
    def root(self) -> Path:
        """Directory of this pipeline, mode 0700."""
        return self.state_dir.resolve() / "pipelines" / quote(self.name, safe="")

    def of_log(self, shard: str) -> PipelinePaths:
        """Those of one log."""
        return replace(self, lane=Lane(shard)) if shard else self

    @property
    def log_root(self) -> Path:
        """Directory of one log of this pipeline: a shard has its own."""
        return self.root / "shards" / quote(self.lane.shard, safe="") if self.lane.shard else self.root

    def make_log_root(self) -> None:
        """Make the directory of a shard; that of the only log is there.

        Raises:
            StorageError: It cannot be made or written.
        """
        if self.lane.shard:
            _made(make_private, self.log_root)

    @property
    def document(self) -> Path:
        """The pipeline document, as given, secrets included."""
        return self.root / "document.json"

    @property
    def rules(self) -> Path:
        """What the document may do, if it came over the network."""
        return self.root / "rules.json"

    @property
    def recovery(self) -> Path:
        """Bytewax's recovery store: the saved positions."""
        return self.root / "recovery"

    @property
    def learned(self) -> Path:
        """What was learned of the source, unless the control plane's storage holds it."""
        return self.root / "learned.db"

    @property
    def lanes(self) -> Path:
        """Into which lanes the pipeline is split, if it ever was."""
        return self.root / "lanes.json"

    @property
    def outcome(self) -> Path:
        """How the last process of this pipeline ended."""
        return self.root / "outcome.json"

    def member_outcome(self, number: int) -> Path:
        """How the last process of this number ended; 0: the leader, which is :attr:`outcome`."""
        return self.root / f"outcome-{number}.json" if number else self.outcome

    @property
    def reset(self) -> Path:
        """A reset of the checkpoint that the next start has to carry out; gone once it is saved."""
        return self.log_root / "reset.json"

    @property
    def paused(self) -> Path:
        """There while a shard is paused by itself: it is so after a restart, too."""
        return self.log_root / "paused"

    @property
    def snapshot_requests(self) -> Path:
        """Snapshots that were asked for and are in no saved state so far; made when there is one."""
        return self.log_root / "snapshot_requests"

    @property
    def snapshot_changes(self) -> Path:
        """What was asked for last of snapshots, and is in no saved state so far; made when there is something."""
        return self.log_root / "snapshot_changes"

    @property
    def unmarked(self) -> Path:
        """Which files of sinks were made before files had markers."""
        return self.root / "unmarked.json"

    @property
    def started(self) -> Path:
        """There once a position was saved: a start without one is no first start then."""
        return self.log_root / "started"

    @property
    def first_position(self) -> Path:
        """Where the first start of a log began; there until a position is saved."""
        return self.log_root / "first_position.json"

    @property
    def lane_root(self) -> Path:
        """Directory of one lane: the only lane of a log has that of the log."""
        return self.log_root / "lanes" / str(self.lane.number) if self.lane.count > 1 else self.log_root

    @property
    def first_delivery(self) -> Path:
        """As what the first start of a lane delivered; there until that is saved."""
        return self.lane_root / "first_delivery.json"

    @property
    def spools(self) -> Path:
        """What waits for sinks, a directory for each; made when there is something."""
        return self.lane_root / "spool"

    def spool(self, sink_id: str) -> Path:
        """What waits for one sink. An id of dots alone would name another folder."""
        name = quote(sink_id, safe="")
        return self.spools / (name.replace(".", "%2E") if not name.strip(".") else name)

    @property
    def lock(self) -> Path:
        """Locked by the running process for its whole life: one pipeline, one process."""
        return self.root / "lock"

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.root / "pipeline.log"

    @property
    def socket(self) -> Path:
        """The control socket. Its path may have only so many bytes, so it is not below ``root``."""
        return self.member_socket(0)

    def member_socket(self, number: int) -> Path:
        """The control socket of one process of the pipeline; 0: of the leader, which is :attr:`socket`."""
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:24]
        name = Path(f"deltaforge-{os.getuid()}", f"{digest}.{number}.sock" if number else f"{digest}.sock")
        usual = tempfile.gettempdir() / name
        return usual if len(os.fsencode(usual)) <= MAX_SOCKET_BYTES else "/tmp" / name  # noqa: S108 - checked before use

    def create(self) -> None:
        """Make the directories, for the owner only; what was left open in them is closed.

        Raises:
            StorageError: One of them cannot be made or written, or the one for sockets is not ours alone.
        """
        self.check_socket_folder()
        _made(_make_state_folder, self.state_dir.resolve())
        for directory in (self.root.parent, self.root, self.recovery, self.socket.parent):
            _made(make_private, directory)
        _made(close_tree, self.root)
        self.check_socket_folder()

    def trusted_socket(self) -> Path:
        """The control socket, to be connected to.

        Raises:
            StorageError: See :meth:`check_socket_folder`.
        """
        self.check_socket_folder()
        return self.socket

    def check_socket_folder(self) -> None:
        """Refuse a folder for sockets in which somebody else could answer in our place.

        Raises:
            StorageError: It is one.
        """
        folder = self.socket.parent
        if (fault := socket_folder_fault(folder)) is not None:
            raise StorageError(
                f"the folder for sockets {folder} cannot be trusted: {fault}",
                kind="permission",
                hint="remove it, or set TMPDIR to a folder of your own",
            )


def _make_state_folder(folder: Path) -> None:
    make_folders(folder)
    close_state_folder(folder)


def _made(action: Callable[[Path], None], directory: Path) -> None:
    try:
        action(directory)
    except OSError as exc:
        raise unwritable(directory, exc) from exc
    if not os.access(directory, os.W_OK | os.X_OK):
        raise unwritable(directory, OSError(errno.EACCES, os.strerror(errno.EACCES)))


def unwritable(path: Path, error: OSError) -> StorageError:
    """The error of a file or folder of ours that cannot be made or written."""
    kind = "storage" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else "permission"
    hint = "free space there" if kind == "storage" else f"let {_user()} write there, or give another --state-dir"
    return StorageError(f"state folder {path} cannot be written: {error.strerror}", kind=kind, hint=hint)


def _user() -> str:
    try:
        return f"user {pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"user {os.getuid()}"
