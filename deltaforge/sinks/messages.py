"""What is sent for the events of a batch: values, destinations, keys and headers, for every sink of messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import groupby

from deltaforge.core.batch import Batch, EncodedList, EncodedValues
from deltaforge.core.errors import RecordError
from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import Destination, MessageKey, headers_of, row_key
from deltaforge.encodings.base import Run, RunEncoder
from deltaforge.encodings.spec import build_encoder
from deltaforge.kernel import backend, pure
from deltaforge.kernel.backend import Targets
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import EncodedSinkConfig

log = logging.getLogger(__name__)


class Addressing:
    """The settings of a sink that say where an event goes and under which key.

    What a processor routed comes first, then the templates, then ``key``'s default.
    """

    def __init__(self, destination: Destination, key: MessageKey) -> None:
        self._destination, self._key = destination, key
        key_parts = None if key.template is None else key.template.parts
        self._templates = backend.TargetTemplates(destination.template.parts, key_parts, destination.is_allowed)

    def targets(self, batch: Batch) -> Targets:
        """The targets of all events of a batch.

        Raises:
            RecordError: An event has no destination or key, or headers that are no text; ``index`` is its place.
        """
        targets, groups, at = self._templates.targets(), list(batch.groups), 0
        while (at := targets.extend(groups, at)) < len(groups):
            for event in groups[at].events():  # what is left to Python
                targets.append(*self._target(event, len(targets)))
            at += 1
        for path in self._templates.missing_paths():
            self._key.note_missing(path)
        return targets

    def _target(self, event: ChangeEvent, index: int) -> tuple[str, bytes, dict[str, str]]:
        return self._destination.of(event, index), self._key.of(event, index), headers_of(event, index)


class Outgoing:
    """Messages of a batch, by the place of their events in it."""

    def __init__(self, values: EncodedValues, targets: Targets, default_key: Callable[[int], bytes]) -> None:
        self.values, self.targets = values, targets
        self._default_key = default_key

    def key(self, index: int) -> bytes:
        """The key of a message.

        Raises:
            RecordError: It has none; ``index`` is the event's place.
        """
        key = self.targets.key(index)
        return self._default_key(index) if key is None else key


class Messages:
    """Makes the messages of a sink.

    Args:
        config: With envelope and encoding.
        destination: Topics, streams or subjects.
        key: Template of the key; None for the default.
        default_key: The key without routing and template.

    Raises:
        SpecError: The encoding is not available in this version.
    """

    def __init__(
        self,
        config: EncodedSinkConfig,
        destination: Destination,
        key: str | None,
        default_key: Callable[[ChangeEvent], str] = row_key,
    ) -> None:
        self._encoder = build_encoder(config.envelope, config.encoding)
        self._key = MessageKey(key, default_key, lambda text: log.warning("%s", text, extra={"sink": config.id}))
        self._is_row_key = default_key is row_key
        self._addressing = Addressing(destination, self._key)

    @property
    def content_type(self) -> str:
        """Of the values, as in HTTP."""
        return self._encoder.content_type

    def open(self) -> None:
        """Connect to what the encoding asks, if anything.

        Raises:
            SinkError: It cannot.
        """
        if isinstance(self._encoder, RunEncoder):
            self._encoder.open()

    def close(self) -> None:
        """Disconnect. Never raises; may be called twice."""
        if isinstance(self._encoder, RunEncoder):
            self._encoder.close()

    def of(self, batch: Batch) -> Outgoing:
        """The messages of a batch: all of them, before the first is sent.

        Raises:
            RecordError: An event has no bytes, no destination, no key, or headers that are no text; ``index`` is its
                place.
            SinkError: What the encoding asks does not answer.
        """
        if isinstance(self._encoder, RunEncoder):
            outgoing = self._encoded_by_runs(self._encoder, batch)
        else:
            outgoing = self.around(batch.encoded(self._encoder), batch)
        reached("after_encode")
        return outgoing

    def around(self, values: EncodedValues, batch: Batch) -> Outgoing:
        """The messages of a batch that has been encoded."""
        default = values.key if self._is_row_key else lambda index: self._key.of(batch.events()[index], index)
        return Outgoing(values, self._addressing.targets(batch), default)

    def _encoded_by_runs(self, encoder: RunEncoder, batch: Batch) -> Outgoing:
        events, found = batch.events(), self._addressing.targets(batch)
        values, targets = list[bytes](), pure.Targets()
        for destination, run in _runs(events, found):
            start = len(values)
            keys = [key if (key := found.key(n)) is not None else self._key.of(events[n], n) for n in run]
            try:
                encoded = encoder.encode_run(Run(destination, [events[n] for n in run], keys))
            except RecordError as error:
                error.index += start
                raise
            for index, message in zip(run, encoded, strict=True):
                values.append(message.value)
                targets.append(destination, message.key, found.headers(index))
        encoded_values = EncodedList(values, events)
        return Outgoing(encoded_values, targets, encoded_values.key)


def _runs(events: Sequence[ChangeEvent], targets: Targets) -> list[tuple[str, list[int]]]:
    """The places of neighbours with one destination and of one table, with that destination."""

    def of(index: int) -> tuple[str, str, int]:
        event = events[index]
        return targets.destination(index), event.source.qualified_table, id(event.schema)

    return [(destination, list(run)) for (destination, *_), run in groupby(range(len(events)), of)]
