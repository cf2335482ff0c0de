"""The document part of the ``kafka`` sink."""

from __future__ import annotations

from typing import Literal

from deltaforge.config.model import StrictModel
from deltaforge.core.errors import SpecError
from deltaforge.sinks.base import Sink, SinkContext
from deltaforge.sinks.kafka.config import KafkaSinkConfig
from deltaforge.sinks.kafka.settings import faults_of
from deltaforge.sinks.kafka.writer import KafkaSink


class KafkaSinkSpec(StrictModel):
    """Messages on Kafka topics."""

    type: Literal["kafka"]
    config: KafkaSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """A sink on those brokers, unopened.

        Raises:
            SpecError: The encoding is not available in this version, or a client setting must not be made.
        """
        for name, reason in faults_of(self.config.client_conf):
            raise SpecError(reason, path=f"client_conf.{name}")
        if self.config.exactly_once:
            from deltaforge.sinks.kafka.exactly_once import ExactlyOnceKafkaSink

            return ExactlyOnceKafkaSink(self.config, context)
        return KafkaSink(self.config, context)
