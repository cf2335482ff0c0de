"""XA transactions between their prepare, with which their rows are delivered, and their end."""

from __future__ import annotations

import logging

from deltaforge.sources.mysql.statement import Statement

log = logging.getLogger(__name__)

_MAX_PREPARED = 10_000


class XaTransactions:
    """Which of the prepared ones had rows of captured tables: a rollback of those takes back what was delivered."""

    def __init__(self) -> None:
        self._ended = ""
        self._prepared: dict[str, bool] = {}

    def note(self, statement: Statement) -> None:
        """XA END names the transaction that is prepared next; XA COMMIT ends one."""
        words, xid = statement.words, _xid(statement)
        if words[1:2] == ["end"]:
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
