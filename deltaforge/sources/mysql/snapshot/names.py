"""Names and literals in statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deltaforge.schema.registry import TableName

Ask = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query over some connection, and gives all its rows."""


def quoted(name: str) -> str:
    """A name as a statement has it."""
    return "`" + name.replace("`", "``") + "`"


def quoted_table(table: TableName) -> str:
    """Database and table as a statement has them."""
    return f"{quoted(table[0])}.{quoted(table[1])}"


def text_literal(text: str) -> str:
    """A text as a statement has it, under any ``sql_mode``."""
    return f"_utf8mb4 x'{text.encode().hex()}'"
