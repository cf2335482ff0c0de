"""Rows that the Python decoders decode instead of the compiled kernel, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

PythonReason: TypeAlias = Literal["no_kernel", "column_type", "partial_json", "versioned_table", "first_row", "value"]
"""There is no kernel; a column's type or character set; an update that holds parts of documents; a system-versioned
table of MariaDB; the first row of a definition on PostgreSQL; a value of this row.
"""

CountPythonRows: TypeAlias = Callable[[PythonReason, int], object]
"""Is told the reason and how many rows. May be called by any thread."""


def uncounted(reason: PythonReason, count: int) -> None:
    """Nobody wants to know."""
    del reason, count
