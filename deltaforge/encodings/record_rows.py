"""Records of groups: of rows by the kernel, as far as it knows them, of all else by Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import EncodedMessage, EncodedMessages
from deltaforge.core.event import ChangeEvent
from deltaforge.kernel import compiled
from deltaforge.kernel.backend import EncodedEvents, RecordProgram, RowGroup

RecordValues: TypeAlias = "EncodedEvents | EncodedMessages"
ProgramOf: TypeAlias = "Callable[[RowGroup], RecordProgram | None]"
"""What the kernel goes by for the rows of a group; None leaves them to Python."""
MessagesOf = Callable[[ChangeEvent, int], Sequence[EncodedMessage]]
"""The messages of an event by Python; the number is its place in the batch."""


def no_records() -> RecordValues:
    """The messages of a batch before its first group."""
    return EncodedMessages() if compiled is None else compiled.EncodedEvents()


def add_records(  # noqa: PLR0913 - what the kernel and Python each go by
    values: RecordValues,
    groups: list[EventGroup],
    program_of: ProgramOf,
    messages_of: MessagesOf,
    now_ns: int,
    *,
    headers_of_rows: Callable[[], dict[str, bytes]],
) -> None:
    """Add the messages of groups that were received at ``now_ns``.

    Args:
        values: Where to.
        groups: Of a batch.
        program_of: See there.
        messages_of: See there.
        now_ns: Of the batch.
        headers_of_rows: The headers of all rows that there is a program for; asked once there is one.

    Raises:
        ProtocolError: The bytes of the log break their format.
        Exception: Whatever the two functions raise.
    """
    at = row = 0
    while at < len(groups):
        if not isinstance(values, EncodedMessages):
            begin = len(values)
            at, row = values.extend_records(groups, at, row, program_of, now_ns)
            if len(values) > begin and (headers := headers_of_rows()):
                values.add_headers(begin, headers)
            if at == len(groups):
                return
        group = groups[at]
        events: Sequence[ChangeEvent]
        if compiled is not None and isinstance(group, compiled.RowGroup) and program_of(group) is not None:
            events, row = [group.event(row)], row + 1
        else:
            events, at, row = group.events(), at + 1, 0
        for event in events:
            messages = messages_of(event, values.event_count)
            if isinstance(values, EncodedMessages):
                values.append(messages)
            else:
                values.append_messages(messages)
