"""Where an event goes and under which key: what a processor routed, else the template, else the default."""

from __future__ import annotations

import re
from collections.abc import Callable

from deltaforge.core.errors import RecordError
from deltaforge.core.event import UNCHANGED_TOAST, ChangeEvent, RowImage
from deltaforge.core.json_text import encode_json
from deltaforge.core.template import Template


def idempotency_key(event: ChangeEvent) -> str:
    """``{tenant or _}|{db}.{table}|{transaction id or empty}|{event id or _}``: equal for every replay of an event."""
    source = event.source
    transaction = event.transaction.id if event.transaction else ""
    return f"{event.tenant_id or '_'}|{source.db}.{source.table}|{transaction}|{event.event_id or '_'}"


def row_key(event: ChangeEvent) -> str:
    """The primary key of the row as a JSON object; the idempotency key for rows without one.

    An update that changed the key goes by the new key.

    Raises:
        ValueError: The key has no JSON text, or the log of PostgreSQL does not hold it.
    """
    key = event.key()
    return idempotency_key(event) if key is None else key_text(event, key)


def key_text(event: ChangeEvent, key: RowImage) -> str:
    """A key of the row of an event as a JSON object.

    Raises:
        ValueError: As :func:`row_key`.
    """
    if event.source.connector == "postgresql":
        for name, value in key.items():
            if value is None or value == UNCHANGED_TOAST:
                raise ValueError(f"the log does not hold key column {name}: see the table's REPLICA IDENTITY")
    return encode_json(key).decode()


def row_key_bytes(event: ChangeEvent, index: int) -> bytes:
    """The row key of the event at ``index`` of its batch, in UTF-8.

    Raises:
        RecordError: As :func:`row_key`.
    """
    try:
        return row_key(event).encode()
    except ValueError as exc:
        raise _no_key(event, index, exc) from exc


def _no_key(event: ChangeEvent, index: int, cause: ValueError) -> RecordError:
    text = f"cannot make the key of an event of {event.source.qualified_table}: {cause}"
    return RecordError(text, index=index, event_id=event.event_id)


class Destination:
    """The topic, stream or subject of events. A template that leads nowhere is an error of the event.

    Args:
        template: Text of the settings, already checked.
        name: What the destination is called in messages.
        allowed: What a destination that depends on the event must match as a whole; None: any text.
    """

    def __init__(self, template: str, name: str, *, allowed: re.Pattern[str] | None = None) -> None:
        self.template = Template.parse(template)
        self._name = name
        self._allowed = allowed
        self._static = template if self.template.is_static else None

    def of(self, event: ChangeEvent, index: int) -> str:
        """The destination of the event at ``index`` of its batch; never empty.

        Raises:
            RecordError: Kind ``routing``: a path of the template is missing in the event.
        """
        if self._static is not None and (event.routing is None or not event.routing.topic):
            return self._static
        try:
            return self._checked(_unicode(self._text(event)))
        except ValueError as exc:
            raise RecordError(
                f"no {self._name} for an event of {event.source.qualified_table}: {exc}",
                index=index,
                kind="routing",
                event_id=event.event_id,
            ) from exc

    def is_of_event(self, event: ChangeEvent) -> bool:
        """Whether the event decides where it goes, so that a wrong destination is its own fault."""
        return self._static is None or bool(event.routing is not None and event.routing.topic)

    @property
    def fixed(self) -> str | None:
        """The destination of every event that is not routed elsewhere; None if it depends on the event."""
        return self._static

    @property
    def is_allowed(self) -> Callable[[str], bool] | None:
        """Says of a text of the template whether it is a name that a destination can have; None: any is."""
        return self._is_name if self._allowed is not None and self._static is None else None

    def _is_name(self, text: str) -> bool:
        return self._allowed is None or self._allowed.fullmatch(text) is not None

    def _checked(self, text: str) -> str:
        if not self._is_name(text):
            raise ValueError(f"not a name that a {self._name} can have")
        return text

    def _text(self, event: ChangeEvent) -> str:
        if event.routing is not None and event.routing.topic:
            return event.routing.topic
        return self.template.render(event, _required) or _required(self.template.text)


class MessageKey:
    """The keys of events: what was routed, else the template, else ``default``.

    A path that leads nowhere is empty text, reported once.

    Args:
        template: Text of the settings, already checked; None for the default.
        default: The key without routing and template.
        warn: Called with a message for each path that was missing for the first time.
    """

    def __init__(
        self, template: str | None, default: Callable[[ChangeEvent], str], warn: Callable[[str], None]
    ) -> None:
        self.template = Template.parse(template) if template is not None else None
        self._default = default
        self._warn = warn
        self._reported: set[str] = set()

    def of(self, event: ChangeEvent, index: int) -> bytes:
        """The key of the event at ``index`` of its batch, in UTF-8.

        Raises:
            RecordError: The key has no JSON text or is not Unicode.
        """
        try:
            key = self._given(event)
            return (self._default(event) if key is None else key).encode()
        except ValueError as exc:
            raise _no_key(event, index, exc) from exc

    def given(self, event: ChangeEvent, index: int) -> bytes | None:
        """The key that was routed, or that of the template; None where the default is the key.

        Raises:
            RecordError: It is not Unicode.
        """
        try:
            key = self._given(event)
            return None if key is None else key.encode()
        except ValueError as exc:
            raise _no_key(event, index, exc) from exc

    def _given(self, event: ChangeEvent) -> str | None:
        if event.routing is not None and event.routing.key is not None:
            return event.routing.key
        return None if self.template is None else self.template.render(event, self._empty)

    def _empty(self, path: str) -> str:
        self.note_missing(path)
        return ""

    def note_missing(self, path: str) -> None:
        """A path of the template led to nothing in an event."""
        if path not in self._reported:
            self._reported.add(path)
            self._warn(f"key template: `{path}` is missing or null in an event; written as empty text")


def headers_of(event: ChangeEvent, index: int) -> dict[str, str]:
    """The headers that a processor routed the event with; usually none.

    Raises:
        RecordError: A name or value is not Unicode.
    """
    if event.routing is None or not event.routing.headers:
        return {}
    try:
        for name, value in event.routing.headers.items():
            _unicode(name + value)
    except ValueError as exc:
        raise RecordError(
            f"cannot make the headers of an event of {event.source.qualified_table}: {exc}",
            index=index,
            event_id=event.event_id,
        ) from exc
    return event.routing.headers


def _unicode(text: str) -> str:
    """The text itself.

    Raises:
        ValueError: It holds lone surrogates and cannot be written as UTF-8.
    """
    text.encode()
    return text


def _required(path: str) -> str:
    raise ValueError(f"`{path}` is missing, null or empty")
