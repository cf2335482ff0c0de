"""Topics that an envelope has for its messages, where a sink names none."""

from __future__ import annotations

import re

from deltaforge.core.event import ChangeEvent
from deltaforge.core.routing import Destination
from deltaforge.records.debezium import DebeziumOptions, topic_name
from deltaforge.records.debezium_extra import extra_message


class DebeziumTopics(Destination):
    """``<prefix>.<schema or database>.<table>``: letters that a topic cannot have become ``_``.

    Args:
        options: With the prefix.
        allowed: What a topic must match as a whole.
    """

    def __init__(self, options: DebeziumOptions, allowed: re.Pattern[str]) -> None:
        prefix = options.topic_prefix or "${source.name}"
        super().__init__(prefix + ".${source.qualified_table}", "topic", allowed=allowed)
        self._options = options

    def _text(self, event: ChangeEvent) -> str:
        if event.routing is not None and event.routing.topic:
            return event.routing.topic
        extra = extra_message(event, self._options, 0)
        if extra is not None:
            return extra.topic
        return topic_name(self._options.prefix_of(event.source), event.source)
