"""What a source saved of how a table is copied, as it was made."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from deltaforge.core.errors import SourceError
from deltaforge.sources.snapshot.base import TablePlan

P = TypeVar("P")


class SavedPlans(Generic[P]):
    """Decodes :attr:`TablePlan.detail`, once for the chunks of a table that follow each other.

    Args:
        decoder: Of the struct that the source made the plan of. It is made when its module is imported: a decoder that
            several threads make of one struct for the first time ends the process inside msgspec (0.22).
    """

    def __init__(self, decoder: msgspec.json.Decoder[P]) -> None:
        self._decoder = decoder
        self._last: tuple[str, P] | None = None

    def of(self, plan: TablePlan) -> P:
        """The plan of a table.

        Raises:
            SourceError: It is none that this version understands.
        """
        if self._last is None or self._last[0] != plan.detail:
            try:
                self._last = plan.detail, self._decoder.decode(plan.detail)
            except msgspec.MsgspecError as exc:
                name = ".".join(plan.table)
                raise SourceError(f"the saved plan of table {name} cannot be read: {exc}", kind="checkpoint") from exc
        return self._last[1]
