"""What a SELECT has to say to get the values of columns as the log has them."""

from __future__ import annotations

import re
import uuid
from ipaddress import ip_address

from deltaforge.protocol.mysql.result_values import ResultValue

_WORD = re.compile(r"[a-z0-9]+")
_ADDRESSES = frozenset({"inet4", "inet6"})


def quoted_name(name: str) -> str:
    """An identifier in SQL."""
    return f"`{name.replace('`', '``')}`"


def selected(name: str, declared: str) -> str:
    """The expression for a column.

    Args:
        name: Of the column, without quotes.
        declared: Its type as the catalog prints it.
    """
    column, kind = quoted_name(name), _kind(declared)
    if kind in ("enum", "set"):
        return f"cast({column} as unsigned)"
    if kind == "uuid" or kind in _ADDRESSES:
        return f"cast({column} as binary)"
    return column


def parameter(value: ResultValue, declared: str) -> ResultValue:
    """A value of a row that was ``selected``, as a parameter that the server compares with its column."""
    kind = _kind(declared)
    if isinstance(value, bytes) and kind == "uuid":
        return str(uuid.UUID(bytes=value))
    if isinstance(value, bytes) and kind in _ADDRESSES:
        return str(ip_address(value))
    return value


def _kind(declared: str) -> str:
    match = _WORD.match(declared.lower())
    return match[0] if match else ""
