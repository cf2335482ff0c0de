"""What operators asked for of snapshots, in files that bring it to the process that copies: one for each job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from deltaforge.checkpoint.durable import sync_folder, write_durably
from deltaforge.core.errors import CheckpointError


class _Asked(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def v(self) -> int: ...


Asked = TypeVar("Asked", bound=_Asked)


class JobFiles(Generic[Asked]):
    """Writes, reads and removes those of one kind.

    Args:
        kind: A struct with ``id``, of the job, and ``v``, which is 1.
        noun: What one of them is called.
    """

    def __init__(self, kind: type[Asked], noun: str) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._noun = noun

    def write(self, folder: Path, asked: Asked) -> None:
        """Put one where the next start finds it; it replaces an earlier one of its job. Durable when this returns.

        Args:
            folder: Made if it is not there.
            asked: What to write.

        Raises:
            CheckpointError: It cannot be written.
        """
        path = _path(folder, asked.id)
        try:
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                sync_folder(folder.parent)
            write_durably(path, msgspec.json.encode(asked))
        except OSError as exc:
            raise CheckpointError(
                f"the {self._noun} of a snapshot cannot be noted in {folder.name}: {os.strerror(exc.errno or 0)}"
            ) from exc

    def read(self, folder: Path) -> Iterator[Asked]:
        """All of them, in no order.

        Raises:
            CheckpointError: A file cannot be read.
        """
        for path in folder.glob("*.json"):
            try:
                asked = self._decoder.decode(path.read_bytes())
            except FileNotFoundError:
                continue  # it was saved meanwhile
            except (OSError, msgspec.MsgspecError) as exc:
                raise CheckpointError(
                    f"the {self._noun} {path.name} of a snapshot cannot be read: {exc}",
                    hint=f"remove {path} and ask again",
                ) from exc
            if asked.v != 1:
                raise CheckpointError(f"the {self._noun} {path.name} of a snapshot has another version than 1")
            yield asked

    def remove(self, folder: Path, job_id: str) -> bool:
        """What is in it is saved, or not wanted any more: forget it. Whether there was one."""
        try:
            _path(folder, job_id).unlink()
        except FileNotFoundError:
            return False
        sync_folder(folder)
        return True


def _path(folder: Path, job_id: str) -> Path:
    if not job_id.isalnum() or not job_id.isascii():
        raise CheckpointError(f"{job_id[:64]!r} is not the id of a snapshot")
    return folder / f"{job_id}.json"
