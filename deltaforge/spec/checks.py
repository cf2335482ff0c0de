"""What must hold in a document beyond the type of each field."""

from __future__ import annotations

from collections.abc import Iterator

from deltaforge.sources.base import SourceConfig
from deltaforge.spec.faults import Fault
from deltaforge.spec.model import PipelineBody, PipelineSpec, QuorumPolicy


def faults_of(document: PipelineSpec) -> list[Fault]:
    """Everything in the document that contradicts something else in it."""
    spec = document.spec
    return [
        *_repeated_ids(spec),
        *_read_twice(spec.source.config),
        *_impossible_quorum(spec),
        *_unknown_producers(spec),
    ]


def _repeated_ids(spec: PipelineBody) -> Iterator[Fault]:
    named = {
        "source.config.shards[{}].id": [shard.id for shard in spec.source.config.shards or ()],
        "sinks[{}].config.id": [sink.config.id for sink in spec.sinks],
        "processors[{}].id": [processor.id for processor in spec.processors],
    }
    for path, ids in named.items():
        first_of: dict[str, int] = {}
        for number, found in enumerate(ids):
            if first_of.setdefault(found, number) < number:
                first = path.format(first_of[found])
                yield Fault(f"spec.{path.format(number)}", f"id `{found}` is already used by spec.{first}")


def _read_twice(config: SourceConfig) -> Iterator[Fault]:
    """Shards that would take something of a server from each other."""
    reader_of: dict[str, str] = {}
    for number, shard in enumerate(config.shards or ()):
        for found in config.of_shard(shard.id).reads_alone():
            if (other := reader_of.setdefault(found, shard.id)) != shard.id:
                yield Fault(f"spec.source.config.shards[{number}]", f"{found} is that of shard `{other}` already")


def _impossible_quorum(spec: PipelineBody) -> Iterator[Fault]:
    policy, count = spec.commit_policy, len(spec.sinks)
    if isinstance(policy, QuorumPolicy) and policy.quorum > count:
        yield Fault("spec.commit_policy.quorum", f"must be between 1 and the number of sinks, {count}")


def _unknown_producers(spec: PipelineBody) -> Iterator[Fault]:
    known = {processor.id for processor in spec.processors}
    for number, sink in enumerate(spec.sinks):
        for index, producer in enumerate(sink.config.filter.producers if sink.config.filter else []):
            if producer not in known:
                path = f"spec.sinks[{number}].config.filter.producers[{index}]"
                yield Fault(path, f"there is no processor with the id `{producer}`")
