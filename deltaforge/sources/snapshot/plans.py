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
        kind: The struct that the source made the plan of.
    """

    def __init__(self, kind: type[P]) -> None:
        self._kind = kind
        self._last: tuple[str, P] | None = None

    def of(self, plan: TablePlan) -> P:
        """The plan of a table.

        Raises:
            SourceError: It is none that this version understands.
        """
        if self._last is None or self._last[0] != plan.detail:
            try:
                self._last = plan.detail, msgspec.json.decode(plan.detail, type=self._kind)
            except msgspec.MsgspecError as exc:
                name = ".".join(plan.table)
                raise SourceError(f"the saved plan of table {name} cannot be read: {exc}", kind="checkpoint") from exc
        return self._last[1]
