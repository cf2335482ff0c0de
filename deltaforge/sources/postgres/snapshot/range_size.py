"""How much of a table is read at a time."""

from __future__ import annotations

from deltaforge.sources.postgres.snapshot.plan import Leaf, Place

ROWS_PER_PAGE = 60.0
"""Until a table has statistics or was read."""
MAX_PAGES = 8192
GROWTH = 4
MAX_LINES = 2400
"""More than a page has, of any size."""
FIRST_LINES = 32


class RangeSize:
    """Finds ranges of pages that have about as many rows and bytes as a chunk may have. Where one page has too much, it
    is read in ranges of its lines.
    """

    def __init__(self, leaf: Leaf) -> None:
        self._rows_per_page = leaf.rows_per_page or ROWS_PER_PAGE
        self._bytes_per_page = leaf.bytes_per_page
        self._pages = MAX_PAGES
        self._lines = 0  # 0: whole pages

    def stop(self, low: Place, max_rows: int, max_bytes: int) -> Place:
        """Where the next chunk ends."""
        if self._lines or low.line:
            line = low.line + (self._lines or MAX_LINES)
            return Place(low.leaf, low.page + 1) if line >= MAX_LINES else Place(low.leaf, low.page, line)
        pages = max_rows / self._rows_per_page
        if self._bytes_per_page:
            pages = min(pages, max_bytes / self._bytes_per_page)
        return Place(low.leaf, low.page + max(1, min(self._pages, int(pages))))

    @property
    def is_least(self) -> bool:
        """Whether there is no smaller range: one line."""
        return self._lines == 1

    def cut(self, low: Place, stop: Place) -> None:
        """A chunk was too large."""
        pages = stop.page - low.page
        if pages > 1:
            self._pages = max(1, pages // 8)
        else:
            self._lines = max(1, self._lines // 8) if self._lines else FIRST_LINES

    def note(self, low: Place, stop: Place, row_count: int, byte_count: int, max_bytes: int) -> None:
        """What a chunk had. A larger one comes after it only step by step: the next pages may be fuller."""
        if self._lines:
            if byte_count < max_bytes // GROWTH:
                self._lines = self._lines * GROWTH if self._lines * GROWTH < MAX_LINES else 0
                self._pages = 1
            return
        pages = stop.page - low.page
        if pages < 1:
            return  # the table ends before
        self._rows_per_page = max(row_count / pages, self._rows_per_page / GROWTH)
        self._bytes_per_page = byte_count / pages
        self._pages = min(MAX_PAGES, pages * GROWTH)
