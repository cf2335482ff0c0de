"""What an envelope is to the encodings."""

from __future__ import annotations

from typing import Any, Protocol

from deltaforge.core.event import ChangeEvent


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


class EnvelopeSpec(Protocol):
    """The tagged ``envelope`` part of a sink."""

    @property
    def type(self) -> str: ...

    def build(self) -> Envelope:
        """The envelope of these settings."""
