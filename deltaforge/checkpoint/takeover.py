"""Tables whose definition an operator wants taken from the catalog, where the log does not say it.

Asked for in ``take-over.json`` in the pipeline's folder. The source uses it up: for the next rows of such a table whose
definition is not known, or does not fit them, and for none behind.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.core.errors import CheckpointError

_FILE = "take-over.json"
_decoder = msgspec.json.Decoder(list[tuple[str, str]])


class TakeOvers:
    """The file of one pipeline.

    Args:
        folder: Of the pipeline.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def asked(self) -> list[tuple[str, str]]:
        """Database and table of what was asked for and not used.

        Raises:
            CheckpointError: The file cannot be read.
        """
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as exc:
            raise CheckpointError(f"{_FILE} cannot be read: {exc}", hint="delete it and ask again") from exc

    def ask(self, db: str, table: str) -> None:
        """Ask for a table. Durable when this returns."""
        self._write([*(asked for asked in self.asked() if asked != (db, table)), (db, table)])

    def use_up(self, db: str, table: str) -> None:
        """It was taken. Durable when this returns."""
        self._write([asked for asked in self.asked() if asked != (db, table)])

    def _write(self, asked: list[tuple[str, str]]) -> None:
        write_durably(self._path, msgspec.json.encode(asked))
