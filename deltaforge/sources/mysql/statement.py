"""One statement of the log, and how its server reads it: tokens, by the settings of its session.

Which comments are code depends on the server, so they are taken out first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import msgspec

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.charsets import is_decoded
from deltaforge.protocol.mysql.events import Query
from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, NO_BACKSLASH_ESCAPES, NO_STATUS_VARS, StatusVars
from deltaforge.sources.mysql.tokens import Kind, Token


class Dialect(msgspec.Struct, frozen=True):
    """Whose statements they are: which comments are code to it. ``version`` is ``80036`` for 8.0.36."""

    is_mariadb: bool = False
    version: int = 999999


def dialect_of(version: str) -> Dialect:
    """The dialect of a server that says this of itself, ``9.1.0`` or ``11.8.3-MariaDB-log``."""
    numbers = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)", version)
    number = int(numbers[1]) * 10000 + int(numbers[2]) * 100 + int(numbers[3]) if numbers else Dialect().version
    return Dialect("mariadb" in version.lower(), number)


class Statement(msgspec.Struct, frozen=True, dict=True):
    """One statement as the log holds it.

    Attributes:
        text: All of it, comments too. A byte that is no character is a lone surrogate.
        db: Its default database, empty if there was none.
        session: The settings in which it is to be read.
        dialect: Of the server that wrote the log.
        error_code: What it ended with, 0 for success.
        thread: The connection that ran it.
    """

    text: str
    db: str = ""
    session: StatusVars = NO_STATUS_VARS
    dialect: Dialect = Dialect()
    error_code: int = 0
    thread: int = 0

    @cached_property
    def tokens(self) -> list[Token]:
        """Without comments, without a ``;`` at the end, and without MariaDB's ``SET STATEMENT … FOR`` before it.

        Raises:
            SchemaError: It cannot be read: a quote is not closed, or a name has bytes that are no text.
        """
        # Here: it loads sqlglot, which takes longer than connecting, and most starts find no statement in the log.
        from deltaforge.sources.mysql.tokenizer import tokens_of

        mode = self.session.sql_mode
        tokens = tokens_of(_code(self.text, mode, self.dialect), mode)
        while tokens and tokens[-1] == Token(Kind.OTHER, ";"):
            tokens.pop()
        if any(token.kind in (Kind.WORD, Kind.QUOTED) and not is_decoded(token.text) for token in tokens):
            raise SchemaError("a statement has a name whose bytes are no text in the character set of its session")
        return self._without_settings(tokens)

    @property
    def printable(self) -> str:
        """The text with a replacement character for each byte that is none."""
        return self.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    @property
    def bare(self) -> str:
        """The printable text without comments and ``;`` before and behind it; those inside are kept."""
        text, begin, end = self.printable, 0, len(self.printable)
        spans = list(_comments(text, self.session.sql_mode, self.dialect))
        for start, stop in spans:
            if text[start:stop].startswith(_CODE) or text[begin:start].strip(_AROUND):
                break
            begin = stop
        for start, stop in reversed(spans):
            is_code = text[start:stop] == "*/"  # the end of a comment that is code
            if is_code or start < begin or text[stop:end].strip(_AROUND):
                break
            end = start
        return text[begin:end].strip(_AROUND)

    @property
    def outline(self) -> str:
        """The beginning of it for a reader: literals, which may be values of rows, are question marks."""
        try:
            parts = [_shown(token) for token in self.tokens[:_OUTLINE]]
        except SchemaError:
            return "a statement that cannot be read"
        text = _TIGHT.sub(r"\1", " ".join(parts))
        return text if len(text) <= _OUTLINE else f"{text[:_OUTLINE]}…"

    @property
    def words(self) -> list[str]:
        """The first words in lower case, up to the first token that is none, four at most."""
        words: list[str] = []
        for token in self.tokens[:4]:
            if token.kind is not Kind.WORD:
                break
            words.append(token.text.lower())
        return words

    @property
    def first_word(self) -> str:
        """In lower case, also of a statement that cannot be read."""
        match = re.match(r"\W*(\w+)", _code(self.text, self.session.sql_mode, self.dialect))
        return match[1].lower() if match else ""

    def _without_settings(self, tokens: list[Token]) -> list[Token]:
        if [token.text.lower() for token in tokens[:2] if token.kind is Kind.WORD] != ["set", "statement"]:
            return tokens
        depth = 0
        for at, token in enumerate(tokens):
            if token.kind is Kind.OTHER:
                depth += (token.text == "(") - (token.text == ")")
            if token.kind is Kind.WORD and not depth:
                if token.text.lower() == "sql_mode" and ('"' in self.text or "\\" in self.text):
                    raise SchemaError("a statement cannot be read: the log does not say in which sql_mode it was")
                if token.text.lower() == "for":
                    return tokens[at + 1 :]
        return tokens


_OUTLINE = 200
_AROUND, _CODE = " \t\r\n;", ("/*!", "/*M!")
_TIGHT = re.compile(r" ?([.]) ?| (?=[,)])|(?<=\() ")


def _shown(token: Token) -> str:
    if token.kind is Kind.QUOTED:
        return "`" + token.text.replace("`", "``") + "`"
    is_literal = token.kind is Kind.STRING or (token.kind is Kind.OTHER and token.text[:1].isalnum())
    return "?" if is_literal else token.text


def statement_of(query: Query, dialect: Dialect) -> Statement:
    """The statement of a query event."""
    return Statement(query.sql, query.db, query.session, dialect, query.error_code, query.thread)


_QUOTED = r"`[^`]*`|"
_MARKS = {
    0: re.compile(_QUOTED + r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|/\*|\*/|--(?=[\s\x00-\x1f]|$)|\#""", re.DOTALL),
    ANSI_QUOTES: re.compile(_QUOTED + r"""'(?:[^'\\]|\\.)*'|"[^"]*"|/\*|\*/|--(?=[\s\x00-\x1f]|$)|\#""", re.DOTALL),
    NO_BACKSLASH_ESCAPES: re.compile(_QUOTED + r"""'[^']*'|"[^"]*"|/\*|\*/|--(?=[\s\x00-\x1f]|$)|\#"""),
}
"""What begins or ends a comment, and quoted text, which may hold the same. A doubled quote is two texts here."""
_CODE_MARK = re.compile(r"/\*(M?)!(\d{5,6})?")


def _code(text: str, sql_mode: int, dialect: Dialect) -> str:
    """The statement without what its server takes for comments."""
    parts: list[str] = []
    at = 0
    for begin, end in _comments(text, sql_mode, dialect):
        parts += (text[at:begin], " ")
        at = end
    return "".join((*parts, text[at:]))


def _comments(text: str, sql_mode: int, dialect: Dialect) -> Iterator[tuple[int, int]]:
    """Where comments stand, and what makes code of a comment."""
    marks = _MARKS[sql_mode & NO_BACKSLASH_ESCAPES or sql_mode & ANSI_QUOTES]
    at, is_in_comment = 0, False
    while (mark := marks.search(text, at)) is not None:
        begun, end = _CODE_MARK.match(text, mark.start()), mark.end()
        is_comment = True
        if begun is not None and _is_code(begun, dialect):
            end, is_in_comment = begun.end(), True
        elif mark[0] == "/*":
            end = _end_of_comment(text, end, may_nest=begun is not None)
        elif mark[0] in ("--", "#"):
            line_end = text.find("\n", end)
            end = len(text) if line_end < 0 else line_end
        elif mark[0] == "*/" and is_in_comment:
            is_in_comment = False
        else:
            is_comment, end = False, mark.start() + 1 if mark[0] == "*/" else end
        if is_comment:
            yield mark.start(), end
        at = end


def _is_code(mark: re.Match[str], dialect: Dialect) -> bool:
    """Whether ``/*!`` or ``/*M!``, with or without a version, begins code.

    Source: ``sql_lex.cc`` of both servers. MariaDB leaves out what is for MySQL 5.7 and later.
    """
    is_mariadb_only, version = bool(mark[1]), int(mark[2] or 0)
    if is_mariadb_only and not dialect.is_mariadb:
        return False
    is_of_mysql = dialect.is_mariadb and 50700 <= version <= 99999 and not is_mariadb_only
    return version <= dialect.version and not is_of_mysql


def _end_of_comment(text: str, at: int, *, may_nest: bool) -> int:
    """Behind the ``*/`` of a comment; one that would be code to another version may hold another comment."""
    while True:
        end = text.find("*/", at)
        if end < 0:
            return len(text)
        inner = text.find("/*", at, end) if may_nest else -1
        if inner < 0:
            return end + 2
        at = _end_of_comment(text, inner + 2, may_nest=False)
