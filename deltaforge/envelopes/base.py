"""What an envelope is to the encodings."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol, runtime_checkable

from deltaforge.config.model import StrictModel
from deltaforge.core.event import Asked, ChangeEvent
from deltaforge.records.compiled import Compiled, ExtraMessage
from deltaforge.records.plan import Writer


class Envelope(Protocol):
    """Puts an event into the document that readers see. Stateless, shared by sinks."""

    @property
    def identity(self) -> tuple[str, ...]:
        """Name and options: equal identities make equal documents."""

    def document(self, event: ChangeEvent) -> Any:
        """The document: JSON values and ``msgspec`` structs, keys in wire order. Shares the row images.

        Raises:
            ValueError: A field of the event does not fit the form.
        """


@runtime_checkable
class RecordForm(Protocol):
    """An envelope whose documents are records: typed trees, of which encodings make bytes and schemas."""

    @property
    def identity(self) -> tuple[Hashable, ...]:
        """Name and options: equal identities make equal records."""

    def compiled(self, event: ChangeEvent, writer: Writer, *, defaults_for_null: bool = False) -> Compiled:
        """The plan and the schemas of the table that an event is of.

        Args:
            event: Any one of it, with its definition.
            writer: Of the values.
            defaults_for_null: Whether NULL is written as the default of its column.

        Raises:
            ValueError: The event is no row of a table.
        """

    def skips(self, event: ChangeEvent) -> bool:
        """Whether there are no messages of an event, whatever its table is."""

    def extra_message(self, event: ChangeEvent, now_ns: int) -> ExtraMessage | None:
        """The message of an event that is about no row; None: it is about one.

        Args:
            event: Without a definition.
            now_ns: When its batch was received.
        """


class EnvelopeSettings(StrictModel):
    """What the ``envelope`` parts of all sinks have."""

    @property
    def asks(self) -> frozenset[Asked]:
        """What the envelope has of a source beside rows."""
        return frozenset()


class EnvelopeSpec(Protocol):
    """The tagged ``envelope`` part of a sink."""

    @property
    def type(self) -> str: ...

    def build(self) -> Envelope | RecordForm:
        """The envelope of these settings."""
