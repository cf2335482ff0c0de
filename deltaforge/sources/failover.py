"""Which server a connection has led to: the one that was read before or another, and whether reading may go on.
Contract 04 section 8.

A stream makes one :class:`FailoverCheck` in each ``open``, checks its position inside of ``reaching()``, lets the
tables be compared, and calls ``accept()`` before it reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deltaforge.checkpoint.identity import Delta, Known, ServerIdentity
from deltaforge.core.errors import PositionLostError, SourceError
from deltaforge.core.positions import Position
from deltaforge.core.table import TableSchema
from deltaforge.schema.registry import SchemaRegistry, TableName
from deltaforge.sources.base import SourceConfig, SourceContext
from deltaforge.sources.loader import Loaded

log = logging.getLogger(__name__)

LOST_HINT = (
    "delete the pipeline and create it again, or reset its checkpoint to earliest; rows in between are not in the log"
)
MAX_NAMED = 5


def lost(reason: str, *, is_failover: bool, hint: str = LOST_HINT) -> PositionLostError:
    """The error of a position that the server does not have (any more)."""
    when = "position lost after failover" if is_failover else "position lost"
    return PositionLostError(f"{when}: {reason}. Re-snapshot required.", hint=hint)


class FailoverCheck:
    """One connection to a server.

    Args:
        context: Of the pipeline.
        config: Of the source.
        current: The server that answered.
        position: Where reading is to go on; None at the first start.
        of_position: The server that the position is of; None if that is not known.
    """

    def __init__(
        self,
        context: SourceContext,
        config: SourceConfig,
        current: ServerIdentity,
        position: Position | None,
        of_position: ServerIdentity | None,
    ) -> None:
        self._context, self._config = context, config
        self.current, self._position = current, position
        self._known = context.failover.known()
        candidates = [of_position, self._known.identity if self._known else None]
        previous = next((known for known in candidates if known and not known.is_same(current)), None)
        if previous is not None:
            log.warning("server identity changed from %s to %s", previous, current, extra={"source_id": config.id})
            context.metrics.source_identity_changes.labels(context.pipeline, config.id).inc()
        self._previous = previous if position is not None else None

    @property
    def is_failover(self) -> bool:
        """Whether reading goes on at another server than before."""
        return self._previous is not None

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Around the check of the position: a loss is recorded."""
        try:
            yield
        except PositionLostError as error:
            self._record("position_lost", reason=error.message)
            raise

    def load(self, load: Callable[[], Loaded]) -> Loaded | None:
        """What the catalog says, so that it can be seen before the first row comes; None if it cannot be read.

        Raises:
            SourceError: It cannot be read, and ``on_schema_drift`` is ``halt`` at another server.
        """
        try:
            return load()
        except SourceError as error:  # rows bring their definitions with them
            if self.is_failover and self._config.on_schema_drift == "halt":
                raise
            log.warning("table definitions cannot be loaded at the start: %s", error)
            return None

    def reconcile(
        self, loaded: Loaded, captured: Callable[[str, str], bool], canonical: Callable[[str], str] = str
    ) -> None:
        """Compare the tables of another server with the registered ones; nothing to do at the same server.

        Args:
            loaded: What the server has.
            captured: Whether a table is captured.
            canonical: The form in which declared types are compared.

        Raises:
            SourceError: A primary key is another one, or ``on_schema_drift`` is ``halt`` and anything is.
        """
        if self._previous is None:
            return
        before = set(self._known.tables) if self._known and self._known.tables is not None else None
        names = [name for name in self._context.registry.tables if captured(*name)]
        deltas = deltas_of(self._context.registry, names, loaded, canonical, present_before=before)
        keys = [delta for delta in deltas if delta.kind == "primary_key_changed"]
        if keys:
            self._halt(deltas, f"primary keys differ: {_named(keys)}", _KEY_HINT)
        if deltas and self._config.on_schema_drift == "halt":
            self._halt(deltas, f"tables differ and on_schema_drift is halt: {_named(deltas)}", _DRIFT_HINT)
        if deltas:
            log.warning(
                "tables of the new server differ, going on with them: %s",
                _named(deltas),
                extra={"source_id": self._config.id},
            )
        self._record("resumed", deltas=tuple(deltas))

    def accept(self, loaded: Loaded | None) -> None:
        """Store who the server is. Call it when nothing can refuse any more."""
        tables = self._known.tables if self._known else None
        if loaded is not None:
            tables = tuple(sorted({*loaded.definitions, *loaded.errors}))
        self._context.failover.remember(Known(self.current, tables))

    def _halt(self, deltas: list[Delta], why: str, hint: str) -> None:
        reason = f"stopped after failover to {self.current}: {why}"
        self._record("halted", reason=reason, deltas=tuple(deltas))
        raise SourceError(reason, kind="incompatible", hint=hint)

    def _record(self, outcome: str, *, reason: str = "", deltas: tuple[Delta, ...] = ()) -> None:
        if self._previous is not None:
            view = self._position.view() if self._position is not None else {}
            self._context.failover.record(
                self._previous, self.current, outcome, position=view, reason=reason, deltas=deltas
            )


_KEY_HINT = "give the new server the old keys and resume, or delete the pipeline and create it again"
_DRIFT_HINT = "correct the tables and resume, or set on_schema_drift to adapt"


def deltas_of(
    registry: SchemaRegistry,
    names: list[TableName],
    loaded: Loaded,
    canonical: Callable[[str], str],
    *,
    present_before: set[TableName] | None,
) -> list[Delta]:
    """Where registered tables and those of a server differ. What could not be read counts as equal.

    Args:
        registry: Of the source.
        names: The tables to compare.
        loaded: What the server has.
        canonical: The form in which declared types are compared.
        present_before: The tables that the server before had; None: not known, all of them.
    """
    deltas: list[Delta] = []
    for name in names:
        known, live = registry.latest(name), loaded.definitions.get(name)
        if known is None or name in loaded.errors:
            continue
        if live is None:
            if present_before is None or name in present_before:
                deltas.append(Delta("table_dropped", known.schema.table.qualified))
        elif live.hash != known.hash:
            deltas += _column_deltas(known.schema, live.schema, canonical)
    return deltas


def _column_deltas(known: TableSchema, live: TableSchema, canonical: Callable[[str], str]) -> Iterator[Delta]:
    table = known.table.qualified
    before, after = ({column.name: column.type for column in schema.columns} for schema in (known, live))
    for name, text in before.items():
        if name not in after:
            yield Delta("column_dropped", table, name, text)
        elif canonical(text) != canonical(after[name]):
            yield Delta("type_changed", table, name, text, after[name])
    for name, text in after.items():
        if name not in before:
            yield Delta("column_added", table, name, after=text)
    if known.primary_key != live.primary_key:
        keys = [", ".join(schema.primary_key) or "none" for schema in (known, live)]
        yield Delta("primary_key_changed", table, before=keys[0], after=keys[1])


def _named(deltas: list[Delta]) -> str:
    rest = f"; and {len(deltas) - MAX_NAMED} more" if len(deltas) > MAX_NAMED else ""
    return "; ".join(map(str, deltas[:MAX_NAMED])) + rest
