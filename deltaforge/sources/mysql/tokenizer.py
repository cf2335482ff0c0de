"""Tokens of statements by sqlglot: its tokenizer knows MySQL's quoting, its parser not enough of MySQL's statements:
ADR 0003.
"""

from __future__ import annotations

from typing import ClassVar

from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType  # type: ignore[attr-defined] # re-exported without saying so

from deltaforge.core.errors import SchemaError
from deltaforge.protocol.mysql.status_vars import ANSI_QUOTES, NO_BACKSLASH_ESCAPES
from deltaforge.sources.mysql.tokens import Kind, Token


class _Tokenizer(MySQL.Tokenizer):
    COMMANDS: ClassVar[set[TokenType]] = set()  # else what follows RENAME comes as one string


class _AnsiQuotes(_Tokenizer):
    QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'"]
    IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"']


class _NoBackslash(_Tokenizer):
    STRING_ESCAPES: ClassVar[list[str]] = ["'", '"']


class _AnsiQuotesNoBackslash(_AnsiQuotes):
    STRING_ESCAPES: ClassVar[list[str]] = ["'", '"']


_TOKENIZERS = {
    0: _Tokenizer,
    ANSI_QUOTES: _AnsiQuotes,
    NO_BACKSLASH_ESCAPES: _NoBackslash,
    ANSI_QUOTES | NO_BACKSLASH_ESCAPES: _AnsiQuotesNoBackslash,
}
_KINDS = {
    TokenType.IDENTIFIER: Kind.QUOTED,
    TokenType.STRING: Kind.STRING,
    TokenType.NATIONAL_STRING: Kind.STRING,
    TokenType.NUMBER: Kind.OTHER,
    TokenType.HEX_STRING: Kind.OTHER,
    TokenType.BIT_STRING: Kind.OTHER,
}


def tokens_of(code: str, sql_mode: int) -> list[Token]:
    """The tokens of a statement without comments, written under ``sql_mode``.

    Raises:
        SchemaError: A quote is not closed, or sqlglot would read it otherwise than MySQL.
    """
    tokenizer = _TOKENIZERS[sql_mode & (ANSI_QUOTES | NO_BACKSLASH_ESCAPES)]
    try:
        found = tokenizer(dialect=MySQL()).tokenize(code)
    except SqlglotError as exc:
        raise SchemaError("a statement cannot be read: a quote is not closed") from exc
    tokens: list[Token] = []
    end = 0
    for token in found:
        if code[end : token.start].strip(" \t\n\v\f\r\0"):
            raise SchemaError("a statement cannot be read: it has characters that mean something else to MySQL")
        end = token.end + 1
        kind = _KINDS.get(token.token_type)
        if kind is None and (token.text[:1].isalnum() or token.text[:1] in "_$" or token.text[:1] > "\x7f"):
            # "PRIMARY KEY" and its like are one token there, and two words here.
            tokens += [Token(Kind.WORD, word) for word in token.text.split()]
        else:
            tokens.append(Token(kind or Kind.OTHER, token.text))
    if code[end:].strip(" \t\n\v\f\r\0"):
        raise SchemaError("a statement cannot be read: it has characters that mean something else to MySQL")
    return tokens
