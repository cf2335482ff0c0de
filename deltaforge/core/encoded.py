"""What is sent of a batch: the messages of its events, as bytes. Usually one for each event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import row_key_bytes


class MessageRules(NamedTuple):
    """Which messages a sink wants besides those of the events themselves. None: as the envelope has it.

    Attributes:
        tombstones: Behind a delete, a message with its key and no value.
        splits_key_changes: Of an update that changes the key, a delete of the old row and an insert of the new one.
    """

    tombstones: bool | None = None
    splits_key_changes: bool | None = None


NO_RULES = MessageRules()
NO_TOMBSTONES = MessageRules(tombstones=False)
"""Of sinks that have no messages without a value."""


class EncodedMessage(NamedTuple):
    """A message. ``key`` None: it has none; ``value`` None: it is a tombstone. ``headers`` are its own."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes] | None = None


class EncodedValues(Protocol):
    """The messages of a batch in order, those of an event together. As a sequence, their values; None: a tombstone."""

    @property
    def byte_count(self) -> int:
        """Bytes of all values."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> bytes | None: ...

    def __iter__(self) -> Iterator[bytes | None]: ...

    def key(self, index: int, /) -> bytes | None:
        """The key of a message; None: it has none.

        Raises:
            RecordError: It cannot be made; ``index`` is the event's place.
        """

    def headers(self, index: int, /) -> dict[str, bytes]:
        """Headers that are the message's own; usually none."""

    def event_of(self, index: int, /) -> int:
        """The place in the batch of the event that a message is of."""

    def lines(self) -> bytes:
        """All values, each followed by a line end; nothing for a tombstone."""


class EncodedList:
    """Values that were encoded one by one, with the row keys of their events.

    Args:
        values: Of the messages.
        events: For each message the event whose row key it has.
        places: For each message the place of its event in the batch; None: its own.
    """

    def __init__(
        self, values: list[bytes | None], events: Sequence[ChangeEvent], places: Sequence[int] | None = None
    ) -> None:
        self._values = values
        self._events = events
        self._places: Sequence[int] = range(len(values)) if places is None else places

    @property
    def byte_count(self) -> int:
        return sum(len(value) for value in self._values if value is not None)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> bytes | None:
        return self._values[index]

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self._values)

    def key(self, index: int) -> bytes | None:
        return row_key_bytes(self._events[index], self._places[index])

    def headers(self, index: int) -> dict[str, bytes]:
        del index
        return {}

    def event_of(self, index: int) -> int:
        return self._places[index]

    def lines(self) -> bytes:
        return b"".join(value + b"\n" for value in self._values if value is not None)


class EncodedMessages:
    """Messages that were made whole, event by event."""

    def __init__(self) -> None:
        self._messages: list[EncodedMessage] = []
        self._places: list[int] = []
        self.event_count = 0

    def append(self, messages: Sequence[EncodedMessage]) -> None:
        """Add the messages of the next event, if it has any."""
        self._messages += messages
        self._places += [self.event_count] * len(messages)
        self.event_count += 1

    @property
    def byte_count(self) -> int:
        return sum(len(message.value) for message in self._messages if message.value is not None)

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: int) -> bytes | None:
        return self._messages[index].value

    def __iter__(self) -> Iterator[bytes | None]:
        return (message.value for message in self._messages)

    def key(self, index: int) -> bytes | None:
        return self._messages[index].key

    def headers(self, index: int) -> dict[str, bytes]:
        return self._messages[index].headers or {}

    def event_of(self, index: int) -> int:
        return self._places[index]

    def lines(self) -> bytes:
        return b"".join(message.value + b"\n" for message in self._messages if message.value is not None)
