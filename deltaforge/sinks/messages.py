"""Where the events of a batch go, under which keys and with which headers: what every sink of messages asks."""

from __future__ import annotations

from deltaforge.core.batch import Batch
from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import Destination, MessageKey, headers_of
from deltaforge.kernel import backend
from deltaforge.kernel.backend import Targets


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
