"""XA transactions between their prepare, with which their rows are delivered, and their end."""

from __future__ import annotations

import logging

from deltaforge.kernel.captured import OpenTransaction
from deltaforge.sources.mysql.statement import Statement

log = logging.getLogger(__name__)

_MAX_PREPARED = 10_000


class XaTransactions:
    """Which of the prepared ones had rows of captured tables: a rollback of those takes back what was delivered.

    Attributes:
        provisional: The last of them that began here, by what the ids of their events begin with.
    """

    def __init__(self) -> None:
        self.provisional: dict[str, None] = {}
        self._ended = ""
        self._prepared: dict[str, bool] = {}

    def begun(self, transaction: OpenTransaction) -> None:
        """A transaction of XA begins."""
        if len(self.provisional) >= _MAX_PREPARED:
            del self.provisional[next(iter(self.provisional))]
        self.provisional[transaction.ids.prefix] = None

    def note(self, statement: Statement, transaction: OpenTransaction | None) -> None:
        """XA START begins a transaction, XA END names the one that is prepared next, and XA COMMIT ends one."""
        words, xid = statement.words, _xid(statement)
        if words[1:2] in (["start"], ["begin"]) and transaction is not None:
            self.begun(transaction)
        elif words[1:2] == ["end"]:
            self._ended = xid
        elif words[1:2] == ["commit"]:
            self._prepared.pop(xid, None)

    def prepared(self, *, has_rows: bool) -> None:
        """The transaction of the last XA END is prepared, with or without rows that are delivered."""
        if len(self._prepared) >= _MAX_PREPARED:
            self._prepared.pop(next(iter(self._prepared)))
        self._prepared[self._ended] = has_rows

    def rolled_back(self, statement: Statement) -> None:
        """Say so, if it had rows that were delivered, or if nobody knows: it was prepared before this connection."""
        has_rows = self._prepared.pop(_xid(statement), None)
        if has_rows:
            log.error("an XA transaction was rolled back after its rows were delivered with its prepare")
        elif has_rows is None:
            log.warning(
                "an XA transaction was rolled back that was prepared before this connection: "
                "if it had rows of captured tables, they were delivered with its prepare"
            )


def _xid(statement: Statement) -> str:
    return " ".join(token.text for token in statement.tokens[2:]).lower()
