"""What is sent for the events of a batch: values, destinations, keys and headers, for every sink of messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from deltaforge.core.batch import Batch, DecodedGroup, EventGroup
from deltaforge.core.encoded import NO_RULES, EncodedList, EncodedValues, MessageRules
from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import Destination, MessageKey, headers_of, row_key
from deltaforge.encodings.base import DestinationEncoder, EncoderContext, Run
from deltaforge.encodings.spec import build_encoder
from deltaforge.kernel import backend
from deltaforge.kernel.backend import Targets
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import EncodedSinkConfig, SinkContext

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

    def _target(self, event: ChangeEvent, index: int) -> tuple[str, bytes | None, dict[str, str]]:
        return self._destination.of(event, index), self._key.given(event, index), headers_of(event, index)


class Outgoing:
    """Messages of a batch: ``values`` by their own places, ``targets`` by those of their events."""

    def __init__(self, values: EncodedValues, targets: Targets, default_key: Callable[[int], bytes | None]) -> None:
        self.values, self.targets = values, targets
        self._default_key = default_key

    def key(self, index: int) -> bytes | None:
        """The key of a message; None: it has none.

        Raises:
            RecordError: It cannot be made; ``index`` is the event's place.
        """
        key = self.targets.key(self.values.event_of(index))
        return self._default_key(index) if key is None else key


class Messages:
    """Makes the messages of a sink.

    Args:
        config: With envelope and encoding.
        destination: Topics, streams or subjects.
        key: Template of the key; None for the default.
        default_key: The key without routing and template.
        rules: Which messages the sink wants besides those of the events.

    Raises:
        SpecError: The encoding is not available in this version.
    """

    def __init__(
        self,
        config: EncodedSinkConfig,
        destination: Destination,
        key: str | None,
        default_key: Callable[[ChangeEvent], str] = row_key,
        rules: MessageRules = NO_RULES,
    ) -> None:
        self._encoder = build_encoder(config.envelope, config.encoding, rules)
        self._key = MessageKey(key, default_key, lambda text: log.warning("%s", text, extra={"sink": config.id}))
        self._is_row_key = default_key is row_key
        self._addressing = Addressing(destination, self._key)
        self._sink = config.id

    @property
    def content_type(self) -> str:
        """Of the values, as in HTTP."""
        return self._encoder.content_type

    def open(self, context: SinkContext) -> None:
        """Connect to what the encoding asks, if anything.

        Raises:
            SinkError: It cannot.
        """
        if isinstance(self._encoder, DestinationEncoder):
            self._encoder.open(EncoderContext(context.pipeline, self._sink, context.metrics, context.waiting))

    def close(self) -> None:
        """Disconnect. Never raises; may be called twice."""
        if isinstance(self._encoder, DestinationEncoder):
            self._encoder.close()

    def of(self, batch: Batch) -> Outgoing:
        """The messages of a batch: all of them, before the first is sent.

        Raises:
            RecordError: An event has no bytes, no destination, no key, or headers that are no text; ``index`` is its
                place.
            SinkError: What the encoding asks does not answer.
        """
        if isinstance(self._encoder, DestinationEncoder):
            targets = self._addressing.targets(batch)
            values = self._encoder.encode(list(_runs(batch.groups, targets)), batch.now_ns)
            outgoing = self._addressed(values, targets, batch)
        else:
            outgoing = self.around(batch.encoded(self._encoder), batch)
        reached("after_encode")
        return outgoing

    def around(self, values: EncodedValues, batch: Batch) -> Outgoing:
        """The messages of a batch that has been encoded."""
        return self._addressed(values, self._addressing.targets(batch), batch)

    def _addressed(self, values: EncodedValues, targets: Targets, batch: Batch) -> Outgoing:
        def default_key(index: int) -> bytes | None:
            event = values.event_of(index)
            return self._key.of(batch.events()[event], event)

        outgoing = Outgoing(values, targets, values.key if self._is_row_key else default_key)
        if isinstance(values, EncodedList):  # its keys are made when they are asked for, and some cannot be
            for index in range(len(values)):
                outgoing.key(index)
        return outgoing


def _runs(groups: Sequence[EventGroup], targets: Targets) -> Iterator[Run]:
    """The events of a batch as neighbours with one destination and of one table, by one definition of it."""
    run: Run | None = None
    last: object = None
    for group, at in _alike(groups, targets):
        event, destination = group.head(), targets.destination(at)
        table = (destination, event.source.qualified_table, id(event.schema))
        if run is not None and table == last:
            run.groups.append(group)
            continue
        if run is not None:
            yield run
        run, last = Run(destination, [group], at), table
    if run is not None:
        yield run


def _alike(groups: Sequence[EventGroup], targets: Targets) -> Iterator[tuple[EventGroup, int]]:
    """Groups in which all events have one destination and one table, each with the place of its first event."""
    at = 0
    for group in groups:
        stop = at + group.event_count
        if group.table is not None and targets.run_end(at, stop) == stop:
            yield group, at
        else:
            for place, event in enumerate(group.events(), at):
                yield DecodedGroup([event]), place
        at = stop
