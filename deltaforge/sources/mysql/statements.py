"""What a statement in the log means for reading: transaction control, DDL, or rows we cannot see."""

from __future__ import annotations

import logging
import unicodedata
from enum import Enum

from deltaforge.core.errors import SchemaError, SourceError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.positions import MysqlPosition
from deltaforge.sources.mysql.ddl_tokens import Cursor
from deltaforge.sources.mysql.event_mapper import EventMapper, StatementPlace
from deltaforge.sources.mysql.gate import Gate
from deltaforge.sources.mysql.history import SchemaHistory
from deltaforge.sources.mysql.reach import Reach, fills_table
from deltaforge.sources.mysql.schema_changes import SchemaChanges
from deltaforge.sources.mysql.snapshot.log import DefinitionCounts
from deltaforge.sources.mysql.statement import Statement
from deltaforge.sources.mysql.tables import Tables
from deltaforge.sources.mysql.tokens import Kind, Token
from deltaforge.sources.mysql.xa import XaTransactions

log = logging.getLogger(__name__)


class Meaning(Enum):
    """Kinds of statements."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    ROLLBACK_TO = "rollback to"
    TRUNCATE = "truncate"
    ROWS = "rows"
    XA_BEGIN = "xa begin"
    XA_ROLLBACK = "xa rollback"
    XA = "xa"
    UNKNOWN = "unknown"
    OTHER = "other"


EXACT = {"BEGIN": Meaning.BEGIN, "COMMIT": Meaning.COMMIT, "ROLLBACK": Meaning.ROLLBACK}
"""Texts that servers write by themselves and that need no tokens."""


def meaning_of(statement: Statement) -> Meaning:
    """What kind of statement this is."""
    try:
        words = statement.words
    except SchemaError:
        is_harmless = statement.first_word in _OF_DEFINITIONS and "select" not in statement.text.lower()
        return Meaning.OTHER if is_harmless else Meaning.UNKNOWN
    if not statement.tokens:
        return Meaning.OTHER
    if not words:
        return Meaning.ROWS if statement.tokens[0] == Token(Kind.OTHER, "(") else Meaning.UNKNOWN
    if words[0] == "rollback" and "to" in words[1:3]:
        return Meaning.ROLLBACK_TO
    return _MEANINGS.get(" ".join(words[:2])) or _MEANINGS.get(words[0], Meaning.UNKNOWN)


_OF_DEFINITIONS = frozenset({"alter", "create", "drop", "rename"})
_HARMLESS = """
    alter analyze backup cache change check checksum clone create deallocate desc describe drop explain flush grant help
    import install kill lock optimize purge release rename repair reset restart revoke set show shutdown start stop
    uninstall unlock use
"""
"""What changes definitions, rights or the server, and no rows. What is neither here nor below is refused."""
_MEANINGS = {
    **dict.fromkeys(_HARMLESS.split(), Meaning.OTHER),
    "begin": Meaning.BEGIN,
    "start transaction": Meaning.BEGIN,
    "commit": Meaning.COMMIT,
    "rollback": Meaning.ROLLBACK,
    "savepoint": Meaning.SAVEPOINT,
    "truncate": Meaning.TRUNCATE,
    "xa": Meaning.XA,
    "xa start": Meaning.XA_BEGIN,
    "xa begin": Meaning.XA_BEGIN,
    "xa rollback": Meaning.XA_ROLLBACK,
    **dict.fromkeys(
        ["insert", "replace", "update", "delete", "load", "with", "select", "do", "call", "values", "table", "handler"],
        Meaning.ROWS,
    ),
}


def truncated_table(statement: Statement) -> tuple[str, str]:
    """Database and table of a TRUNCATE.

    Raises:
        SchemaError: It cannot be read.
    """
    cursor = Cursor(statement.tokens)
    cursor.take_words("truncate")
    cursor.take_words("table")
    return cursor.take_table(statement.db)


def tables_of_partitions(statement: Statement) -> list[tuple[str, str]]:
    """The tables whose rows an ALTER TABLE removes or moves with a partition; none for any other statement."""
    try:
        cursor = Cursor(statement.tokens)
        if not cursor.take_words("alter"):
            return []
        cursor.take_any("online", "offline", "ignore")
        if not cursor.take_words("table"):
            return []
        cursor.take_words("if", "exists")
        tables = [cursor.take_table(statement.db)]
        verb = cursor.take_any("truncate", "drop", "exchange")
        if not verb or not cursor.take_words("partition"):
            return []
        while verb == "exchange" and not cursor.take_words("with", "table"):
            cursor.take()
        return [*tables, cursor.take_table(statement.db)] if verb == "exchange" else tables
    except SchemaError:
        return []


def savepoint_name(statement: Statement) -> str:
    """The name in SAVEPOINT or ROLLBACK TO, which stands at the end; case does not matter.

    Raises:
        SchemaError: There is none.
    """
    last = statement.tokens[-1]
    if last.kind not in (Kind.WORD, Kind.QUOTED):
        raise SchemaError("a savepoint without a name")
    return last.text.lower()


def kept_by(statement: Statement, savepoints: dict[str, int]) -> int:
    """How many events of its transaction a ROLLBACK TO keeps.

    To MariaDB 10, and not to newer servers, names that differ in accents only are the same. Nobody can tell which one
    it was where both are there.

    Args:
        statement: The ROLLBACK TO.
        savepoints: How many events each savepoint of the transaction has before it.

    Raises:
        SchemaError: Which savepoint it means is not known.
    """
    name = savepoint_name(statement)
    alike = [known for known in savepoints if _without_accents(known) == _without_accents(name)]
    if len(alike) != 1:
        how_many = (
            "a savepoint that is not in the log" if not alike else "one of two savepoints with names that are alike"
        )
        raise SchemaError(f"a transaction was rolled back to {how_many}")
    return savepoints[alike[0]]


def _without_accents(name: str) -> str:
    letters = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).replace("ß", "s")


class Statements:
    """Acts on the statements of a log that are no transaction control.

    Attributes:
        xa: The XA transactions that are prepared.
        definitions: What may be defined anew of tables that are copied.
    """

    def __init__(  # noqa: PLR0913 - what a statement may be about, and what its events are made of
        self,
        tables: Tables,
        history: SchemaHistory,
        mapper: EventMapper,
        gate: Gate,
        reach: Reach,
        changes: SchemaChanges | None = None,
    ) -> None:
        self._changes = changes
        self._tables = tables
        self._history = history
        self._mapper = mapper
        self._gate = gate
        self._reach = reach
        self.xa = XaTransactions()
        self.definitions = DefinitionCounts()

    def act(self, meaning: Meaning, statement: Statement, place: StatementPlace) -> list[ChangeEvent]:
        """The events of a statement: that of a TRUNCATE of a captured table, and the notices of DDL.

        Raises:
            SourceError, SchemaError: It may change rows that are not in the log, or definitions in a way that is not
                understood, and no operator let it pass.
        """
        position = MysqlPosition(place.file, place.pos)
        self.definitions.note(statement)
        try:
            return self._events(meaning, statement, place, position)
        except (SourceError, SchemaError) as error:
            if isinstance(error, SourceError) and error.kind != "incompatible":
                raise  # the catalog could not be read
            content = f"{statement.db}\0{statement.text}".encode("utf-8", "surrogateescape")
            self._gate.refuse(error, position, content, statement.outline)
            return []

    def _events(
        self, meaning: Meaning, statement: Statement, place: StatementPlace, position: MysqlPosition
    ) -> list[ChangeEvent]:
        if meaning is Meaning.XA_ROLLBACK:
            self.xa.rolled_back(statement)
        elif meaning is Meaning.ROWS:
            self._reach.check(statement)
        elif meaning is Meaning.UNKNOWN:
            raise SchemaError(f"a statement that begins with {statement.first_word!r} is not known: it may change rows")
        elif meaning is Meaning.TRUNCATE and statement.error_code == 0:
            named = truncated_table(statement)
            table = self._tables.name(*named)
            if self._tables.is_captured(*table) and not self._reach.is_temporary(named, statement.thread):
                event = self._mapper.truncate(place, *table, statement.printable)
                event.schema = self._tables.schema_at(table, position)
                return [event]
        elif meaning is Meaning.OTHER:
            self._define(statement, position)
            changes = self._changes.of(statement, position) if self._changes is not None else ()
            return [self._mapper.definition(place, change, number) for number, change in enumerate(changes)]
        return []

    def _define(self, statement: Statement, position: MysqlPosition) -> None:
        self._warn_of_partitions(statement)
        self._tables.forget_completed()
        self._reach.note(statement)
        if not self._history.is_empty:
            self._history.apply(statement, position)
        if "select" in statement.text.lower() and fills_table(statement):
            self._reach.check(statement)

    def _warn_of_partitions(self, statement: Statement) -> None:
        """Rows that come and go with a partition are not in the log."""
        tables = tables_of_partitions(statement) if "partition" in statement.text.lower() else []
        if any(self._tables.is_captured(*table) for table in tables):
            names = " and ".join(".".join(table) for table in tables)
            log.warning("rows of %s were moved or removed with a partition: there are no events of them", names)
