"""Reading the tokens of a DDL statement one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.tokens import Kind, Token


class Cursor:
    """Reads tokens one after the other."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        return self._next >= len(self._tokens)

    def peek_word(self, ahead: int = 0) -> str:
        """The word ``ahead`` tokens from here, in lower case; empty if there is none or it is quoted."""
        at = self._next + ahead
        if at < len(self._tokens) and self._tokens[at].kind is Kind.WORD:
            return self._tokens[at].text.lower()
        return ""

    def peek_text(self) -> str:
        """The text of the next token."""
        return self._tokens[self._next].text

    def is_symbol(self, symbol: str, ahead: int = 0) -> bool:
        """Whether the token ``ahead`` from here is this symbol."""
        at = self._next + ahead
        return at < len(self._tokens) and self._tokens[at] == Token(Kind.OTHER, symbol)

    @property
    def is_string(self) -> bool:
        """Whether a string comes next."""
        return not self.is_at_end and self._tokens[self._next].kind is Kind.STRING

    def take(self) -> Token:
        """The next token.

        Raises:
            SchemaError: Nothing is left.
        """
        if self.is_at_end:
            raise SchemaError("a DDL statement ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def take_words(self, *words: str) -> bool:
        """Go past these words if they come next."""
        if any(self.peek_word(n) != word for n, word in enumerate(words)):
            return False
        self._next += len(words)
        return True

    def take_any(self, *words: str) -> str:
        """Go past one of these words, if one of them comes next; which one, or empty."""
        word = self.peek_word()
        return self.take().text.lower() if word and word in words else ""

    def take_symbol(self, symbol: str) -> bool:
        """Go past this symbol if it comes next."""
        if not self.is_symbol(symbol):
            return False
        self._next += 1
        return True

    def take_name(self) -> str:
        """A name, quoted or not.

        Raises:
            SchemaError: Something else stands here.
        """
        token = self.take()
        if token.kind is Kind.OTHER:
            raise SchemaError(f"a DDL statement has {token.text[:20]!r} where a name is expected")
        return token.text

    def take_table(self, db: str) -> tuple[str, str]:
        """A table name, with ``db`` where it names no database."""
        name = self.take_name()
        return (name, self.take_name()) if self.take_symbol(".") else (db, name)

    def take_parenthesized(self) -> list[Token]:
        """What stands in the parentheses that open here, without them."""
        if not self.take_symbol("("):
            raise SchemaError("a DDL statement has no '(' where one is expected")
        inner: list[Token] = []
        depth = 1
        while True:
            token = self.take()
            if token.kind is Kind.OTHER:
                depth += (token.text == "(") - (token.text == ")")
            if not depth:
                return inner
            inner.append(token)

    def rest(self) -> list[Token]:
        """Everything that is left."""
        rest, self._next = self._tokens[self._next :], len(self._tokens)
        return rest


def split_by_comma(tokens: list[Token]) -> Iterator[list[Token]]:
    """The parts between commas that stand in no parentheses."""
    depth = 0
    part: list[Token] = []
    for token in tokens:
        if token.kind is Kind.OTHER:
            depth += (token.text == "(") - (token.text == ")")
            if token.text == "," and not depth:
                yield part
                part = []
                continue
        part.append(token)
    if part:
        yield part
