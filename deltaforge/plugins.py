"""The plug-ins: which types a document may name, and which of them this version runs.

A new plug-in is one import and one union member here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deltaforge.processors.filter import FilterProcessorSpec
from deltaforge.processors.flatten import FlattenProcessorSpec
from deltaforge.processors.javascript import JavascriptProcessorSpec
from deltaforge.processors.outbox import OutboxProcessorSpec
from deltaforge.processors.python import PythonProcessorSpec
from deltaforge.sinks.clickhouse import ClickhouseSinkSpec
from deltaforge.sinks.file import FileSinkSpec
from deltaforge.sinks.http import HttpSinkSpec
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.sinks.nats import NatsSinkSpec
from deltaforge.sinks.redis import RedisSinkSpec
from deltaforge.sinks.s3 import S3SinkSpec
from deltaforge.sinks.stdout import StdoutSinkSpec
from deltaforge.sources.mysql.spec import MysqlSourceSpec
from deltaforge.sources.postgres.spec import PostgresSourceSpec

AnySource = Annotated[MysqlSourceSpec | PostgresSourceSpec, Field(discriminator="type")]
"""The ``source`` of a document."""

AnyProcessor = Annotated[
    FilterProcessorSpec | FlattenProcessorSpec | OutboxProcessorSpec | JavascriptProcessorSpec | PythonProcessorSpec,
    Field(discriminator="type"),
]
"""One of the ``processors`` of a document."""

AnySink = Annotated[
    KafkaSinkSpec
    | RedisSinkSpec
    | StdoutSinkSpec
    | FileSinkSpec
    | NatsSinkSpec
    | HttpSinkSpec
    | S3SinkSpec
    | ClickhouseSinkSpec,
    Field(discriminator="type"),
]
"""One of the ``sinks`` of a document."""

UNBUILT_PROCESSORS = frozenset({"filter", "flatten", "outbox", "javascript", "python"})
UNBUILT_SINKS = frozenset({"nats", "http", "s3", "clickhouse"})
