"""What a statement names: tables whose rows it may change, and routines that it calls.

It is read by its tokens. Where the grammar leaves a doubt, what is found is more than what the statement changes, never
less.
"""

from __future__ import annotations

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.ddl_tokens import Cursor, split_by_comma
from deltaforge.sources.mysql.definitions import Key
from deltaforge.sources.mysql.tokens import Kind, Token


class Named(msgspec.Struct):
    """Names in a statement, or in the body of a routine. Names of tables have their database.

    Attributes:
        changed: Tables or views whose rows it may insert, update or delete.
        referred: Those of them where rows of other tables may follow by a foreign key: not inserts.
        expressions: Names that WITH defines, as if they were tables.
        called: Names before a parenthesis, and of CALL; an empty database if none was given.
        words: Every name: some may be views that are read.
        has_dynamic: Whether it runs a text that is not known.
    """

    changed: set[Key] = msgspec.field(default_factory=set)
    referred: set[Key] = msgspec.field(default_factory=set)
    expressions: set[Key] = msgspec.field(default_factory=set)
    called: set[Key] = msgspec.field(default_factory=set)
    words: set[str] = msgspec.field(default_factory=set)
    has_dynamic: bool = False


_INSERTS = ("insert", "replace", "load", "truncate")
_VERBS = frozenset({*_INSERTS, "update", "delete", "call", "prepare", "execute"})
_NO_VERB_BEHIND = frozenset({"key", "for", "on", ".", "as"})
"""``on duplicate key update``, ``for update``, ``on delete``, ``t.delete``."""
_OPTIONS = ("low_priority", "high_priority", "delayed", "quick", "ignore")
_END_OF_TABLES = frozenset({"set", "where", "order", "limit", "returning", ";"})
_NO_TABLE = frozenset({"select", "with", "values", "table"})


def named_in(tokens: list[Token], db: str) -> Named:
    """The names in a statement or a body.

    Args:
        tokens: Of it.
        db: Its default database.

    Raises:
        SchemaError: A verb stands where no table could be found.
    """
    named = Named(expressions=_expressions(tokens, db))
    targets: set[int] = set()  # where names stand that may have a list of columns behind them
    for at, token in enumerate(tokens):
        if token.kind is not Kind.WORD or token.text.lower() not in _VERBS:
            continue
        verb, before, behind = token.text.lower(), _word(tokens, at - 1), _symbol(tokens, at + 1)
        if before in _NO_VERB_BEHIND or behind in ("=", ",", ")", ".") or (behind == "(" and verb != "update"):
            continue
        if verb == "replace" and _word(tokens, at + 2) == "table":
            continue  # LOAD DATA … REPLACE INTO TABLE
        rest = tokens[at + 1 :]
        _act(verb, rest, db, named)
        if verb in _INSERTS:
            targets.add(at + _name_end(rest, verb))
    for at, token in enumerate(tokens):
        if token.kind not in (Kind.WORD, Kind.QUOTED):
            continue
        named.words.add(token.text)
        if _symbol(tokens, at + 1) == "(" and at not in targets and _word(tokens, at - 1) not in ("as", "with"):
            owner = tokens[at - 2].text if _word(tokens, at - 1) == "." and at > 1 else ""
            named.called.add((owner, token.text))
    return named


def _act(verb: str, rest: list[Token], db: str, named: Named) -> None:
    if verb in ("prepare", "execute"):
        named.has_dynamic = True
    elif verb == "call":
        named.called.add(Cursor(rest).take_table(db))
    elif verb in _INSERTS:
        cursor = _at_target(rest, verb)
        if cursor is None:
            return
        table = cursor.take_table(db)
        named.changed.add(table)
        if verb != "insert" or any(token.kind is Kind.WORD and token.text.lower() == "duplicate" for token in rest):
            named.referred.add(table)
    else:
        joined = _until(rest, _END_OF_TABLES)
        found = set(_tables(joined, db)) if verb == "update" else _deleted(joined, db)
        named.changed |= found
        named.referred |= found


def _at_target(rest: list[Token], verb: str) -> Cursor | None:
    """Where the table of an INSERT or its like stands; None if it has none: ``load index into cache``."""
    cursor = Cursor(rest)
    if verb == "load":
        while not cursor.is_at_end:
            if cursor.take_words("into", "table"):
                return cursor
            cursor.take()
        return None
    while cursor.take_any(*_OPTIONS):
        continue
    cursor.take_any("into", "table")
    return cursor


def _name_end(rest: list[Token], verb: str) -> int:
    """How many tokens behind the verb its table's name ends."""
    cursor = _at_target(rest, verb)
    if cursor is None:
        return 0
    cursor.take_table("")
    return len(rest) - len(cursor.rest())


def _deleted(joined: list[Token], db: str) -> set[Key]:
    """The tables that a DELETE names before FROM, or else between FROM and USING; all of the join if it names none."""
    depths, places = _depths(joined), dict[str, int]()
    for at, token in enumerate(joined):
        if token.kind is Kind.WORD and not depths[at]:
            places.setdefault(token.text.lower(), at)
    start, using = places.get("from"), places.get("using", len(joined))
    if start is None:
        raise SchemaError("a DELETE does not say from which table")
    named = joined[:start]
    if using < places.get("join", places.get("straight_join", len(joined))):
        named, start = joined[start + 1 : using], using
    tables = _tables(joined[start + 1 :], db)
    found: set[Key] = set()
    for part in split_by_comma([token for token in named if _word([token], 0) not in _OPTIONS]):
        texts = [token.text for token in part if token.kind is not Kind.OTHER]
        matches = {table for table, aliases in tables.items() if texts and texts[-1].lower() in aliases}
        if not matches:
            return set(tables)
        found |= matches
    return found or set(tables)


def _tables(joined: list[Token], db: str) -> dict[Key, set[str]]:
    """The tables of a join, without those that are only read in a subquery of it, and what each may be called."""
    found: dict[Key, set[str]] = {}
    cursor = Cursor(joined)
    is_expected, before = True, ""
    while not cursor.is_at_end:
        if cursor.is_symbol("("):
            inner = cursor.take_parenthesized()
            if is_expected and _word(inner, 0) not in _NO_TABLE:
                for table, aliases in _tables(inner, db).items():
                    found.setdefault(table, set()).update(aliases)
            is_expected = False
        elif is_expected:
            if cursor.take_any(*_OPTIONS, "lateral"):
                continue
            name = cursor.take_table(db)
            cursor.take_any("as")
            is_function = cursor.is_symbol("(")  # one that makes a table
            alias = "" if cursor.is_at_end else cursor.peek_text()
            if not is_function:
                found.setdefault(name, set()).update((name[1].lower(), alias.lower()))
            is_expected = False
        else:
            token = cursor.take()
            word = token.text.lower() if token.kind is Kind.WORD else ""
            is_join = word in ("join", "straight_join") and before != "for"  # USE INDEX FOR JOIN
            is_expected, before = is_join or token == Token(Kind.OTHER, ","), word
    if not found:
        raise SchemaError("a statement changes tables, and names none")
    return found


def _expressions(tokens: list[Token], db: str) -> set[Key]:
    """The names that WITH defines."""
    cursor, names = Cursor(tokens), set[Key]()
    if not cursor.take_words("with"):
        return names
    cursor.take_words("recursive")
    while True:
        names.add((db, cursor.take_name()))
        if cursor.is_symbol("("):
            cursor.take_parenthesized()
        if not cursor.take_words("as"):
            raise SchemaError("a WITH has no AS")
        cursor.take_parenthesized()
        if cursor.take_words("cycle"):  # MariaDB: CYCLE a, b RESTRICT
            while not cursor.take_words("restrict"):
                cursor.take()
        if not cursor.take_symbol(","):
            return names


def _until(tokens: list[Token], ends: frozenset[str]) -> list[Token]:
    """What stands before one of these words, outside of parentheses."""
    depths = _depths(tokens)
    for at, depth in enumerate(depths):
        is_end = _word(tokens, at) in ends and _word(tokens, at - 1) != "."
        if depth < 0 or (is_end and not depth):
            return tokens[:at]
    return tokens


def _depths(tokens: list[Token]) -> list[int]:
    depths, depth = [], 0
    for token in tokens:
        if token.kind is Kind.OTHER:
            depth += (token.text == "(") - (token.text == ")")
        depths.append(depth)
    return depths


def _word(tokens: list[Token], at: int) -> str:
    """The word or symbol at a place, in lower case; empty for anything else."""
    if 0 <= at < len(tokens) and tokens[at].kind in (Kind.WORD, Kind.OTHER):
        return tokens[at].text.lower()
    return ""


def _symbol(tokens: list[Token], at: int) -> str:
    return tokens[at].text if 0 <= at < len(tokens) and tokens[at].kind is Kind.OTHER else ""
