"""Row events: from the raw images to dictionaries of values.

Source: MySQL ``Rows_event`` in ``rows_event.h``; partial updates in ``log_event.cc``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from deltaforge.core.errors import ProtocolError, TruncatedMessageError, UnsupportedValueError, unforeseen
from deltaforge.protocol.buffer import read_packed, read_uint, take
from deltaforge.protocol.mysql.json_diff import apply_json_diffs
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.protocol.mysql.values import Decoder, resolve_decoder, resolve_zero_date

RowImage = dict[str, Any]
Kind = Literal["write", "update", "delete", "partial_update"]
_ENDLESS = frozenset({"2038-01-19T03:14:07.999999Z", "2106-02-07T06:28:15.999999Z"})
"""When the current rows of a system-versioned table end: with the last timestamp of MariaDB before and since 11.5."""


class Rows(msgspec.Struct, frozen=True):
    """A row event, not yet decoded.

    ``before`` and ``after`` are bit sets of the columns in each image (bit n: column n); ``data``
    holds the images from ``start`` on. Which of the two a ``write`` or ``delete`` has says its kind.
    """

    kind: Kind
    table_id: int
    column_count: int
    before: int
    after: int
    data: bytes
    start: int


class RowDecoder:
    """Decodes the rows of one table definition.

    Columns that an image does not hold (``binlog_row_image`` MINIMAL or NOBLOB) are absent from
    its dictionary, as are hidden ones. Where the image after an update holds some columns of the one
    before and no others (MariaDB's FULL_NODUP), it gets the rest from there.

    Args:
        table: For messages.
        columns: Name and resolved type of every column, in table order.
        key: Names of the columns that tell rows apart.

    Attributes:
        null_date_count: Dates with a zero part so far.
        zero_dates: Such dates as text in the key of the row that came last; ``old_zero_dates`` those before an update.
    """

    def __init__(self, table: str, columns: Sequence[tuple[str, ColumnType]], key: Sequence[str] = ()) -> None:
        self.table = table
        self.null_date_count = 0
        self.zero_dates: dict[str, str] = {}
        self.old_zero_dates: dict[str, str] | None = None
        self._columns = columns
        self._decoders = [self._decoder(name, column, is_key=name in key) for name, column in columns]
        self._hidden = [name for name, column in columns if column.is_hidden]
        self._row_end = next((name for name, column in columns if column.ends_row), None)
        self._json = [n for n, (_, column) in enumerate(columns) if column.code == Code.JSON]
        self._plans: dict[int, list[tuple[int, str, Decoder]]] = {}
        self._undated: set[str] = set()  # columns of the row so far whose date has a zero part

    def rows(self, event: Rows) -> Iterator[tuple[RowImage | None, RowImage | None]]:
        """Each row's image before and after; None where the kind has none.

        Of a system-versioned table an image is that of the current row, and None if it is one of its history.

        Raises:
            ProtocolError: The bytes break the format; names the table.
        """
        if event.column_count != len(self._columns):
            raise ProtocolError(f"row of {self.table} has {event.column_count} columns, expected {len(self._columns)}")
        at, data = event.start, event.data
        try:
            while True:
                self.zero_dates, self.old_zero_dates = {}, None
                self._undated.clear()
                before, after, at = self._row(event, at)
                if self._row_end is not None:
                    before, after = _of_current_row(self._row_end, before, after)
                if self._hidden:
                    self._hide(before, after)
                yield before, after
                if at >= len(data):
                    return
        except struct.error:
            raise TruncatedMessageError(f"row of {self.table} is cut short", offset=at) from None
        except ProtocolError as error:
            if not error.context.get("table"):
                error.message, error.context["table"] = f"row of {self.table}: {error.message}", self.table
            raise
        except Exception as exc:  # whatever a decoder has not foreseen: where it is counts more than what it is
            raise ProtocolError(f"row of {self.table} cannot be decoded: {unforeseen(exc)}", table=self.table) from exc

    def _row(self, event: Rows, at: int) -> tuple[RowImage | None, RowImage | None, int]:
        before = after = None
        begin = at
        if event.kind != "write":
            before, at = self._image(event.data, at, self._plan(event.before))
            if self.zero_dates:
                self.old_zero_dates = dict(self.zero_dates)
        if event.kind == "partial_update":
            after, at = self._partial_image(event.data, at, event.after, before or {})
        elif event.kind != "delete":
            after, at = self._image(event.data, at, self._plan(event.after))
        if before is not None and after is not None and _is_less(event.after, event.before):
            after = self._completed(before, after)
        if at == begin:
            raise UnsupportedValueError("row without any column", hint="set binlog_row_image=FULL")
        return before, after, at

    def _completed(self, before: RowImage, after: RowImage) -> RowImage:
        """What the image before has besides is as it was, in the order of the table."""
        self.null_date_count += len(self._undated.difference(after))
        return {name: after.get(name, value) for name, value in before.items()}

    def _hide(self, *images: RowImage | None) -> None:
        for image in images:
            if image is not None:
                for name in self._hidden:
                    image.pop(name, None)

    def _image(self, data: bytes, at: int, plan: list[tuple[int, str, Decoder]]) -> tuple[RowImage, int]:
        size = (len(plan) + 7) >> 3
        nulls = read_uint(data, at, size)
        at += size
        image: RowImage = {}
        for _, name, decode in plan:
            if nulls & 1:
                image[name] = None
            else:
                image[name], at = decode(data, at)
            nulls >>= 1
        return image, at

    def _partial_image(self, data: bytes, at: int, present: int, before: RowImage) -> tuple[RowImage, int]:
        """An after image in which JSON columns may hold differences to the image before."""
        options, at = read_packed(data, at)
        partial = 0
        if options & 1:
            size = (len(self._json) + 7) >> 3
            partial, at = read_uint(data, at, size), at + size
        differing = {n for place, n in enumerate(self._json) if partial >> place & 1}
        plan = self._plan(present)
        size = (len(plan) + 7) >> 3
        nulls, at = read_uint(data, at, size), at + size
        image: RowImage = {}
        for bit, (index, name, decode) in enumerate(plan):
            if nulls >> bit & 1:
                image[name] = None
            elif index in differing:
                length = read_uint(data, at, 4)
                image[name] = self._patched(name, before, take(data, at + 4, length))
                at += 4 + length
            else:
                image[name], at = decode(data, at)
        return image, at

    def _patched(self, name: str, before: RowImage, diffs: bytes) -> Any:
        if name not in before:
            raise UnsupportedValueError(
                f"column {name} holds only the difference to an image that the log does not have",
                hint="set binlog_row_image=FULL, or binlog_row_value_options=''",
            )
        return apply_json_diffs(before[name], diffs)

    def _plan(self, present: int) -> list[tuple[int, str, Decoder]]:
        plan = self._plans.get(present)
        if plan is None:
            plan = self._plans[present] = [
                (n, name, self._decoders[n]) for n, (name, _) in enumerate(self._columns) if present >> n & 1
            ]
        return plan

    def _decoder(self, name: str, column: ColumnType, *, is_key: bool) -> Decoder:
        decode, zero_date = resolve_decoder(column, name), resolve_zero_date(column)
        if zero_date is None:
            return decode

        def counted(data: bytes, at: int) -> tuple[Any, int]:
            value, end = decode(data, at)
            if value is None:
                self.null_date_count += 1
                self._undated.add(name)
                if is_key:
                    self.zero_dates[name] = zero_date(data, at)[0]
            return value, end

        return counted


def _is_less(after: int, before: int) -> bool:
    """Whether one bit set has some bits of another, and no others."""
    return after != before and after | before == before


def _of_current_row(
    row_end: str, before: RowImage | None, after: RowImage | None
) -> tuple[RowImage | None, RowImage | None]:
    """What an event of a system-versioned table means for the current row: the server logs a DELETE as an update of
    the row's end, and what an UPDATE puts into the history as an insert.
    """
    ends = before or {}
    found = []
    for image in (before, after):
        if image is not None:
            ends = image if row_end in image else ends  # an end that an update leaves alone may not be logged again
            if row_end not in ends:
                raise UnsupportedValueError(
                    "the log does not say when the row ended: system-versioned tables need whole images",
                    hint="set binlog_row_image=FULL",
                )
        found.append(image if image is not None and ends[row_end] in _ENDLESS else None)
    return found[0], found[1]
