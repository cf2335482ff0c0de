"""What a document may say and this version cannot do yet."""

from __future__ import annotations

from collections.abc import Iterator

from deltaforge.config.steps import path_text
from deltaforge.core.errors import MissingDependencyError, SpecError
from deltaforge.plugins import UNBUILT_PROCESSORS, UNBUILT_SINKS
from deltaforge.sinks.base import EncodedSinkConfig, asked_by
from deltaforge.spec.faults import Fault, error_of
from deltaforge.spec.model import (
    MAX_LANES,
    SHARDING_MODES,
    SPLITTING_MODES,
    PipelineBody,
    PipelineSpec,
    ShardingSpec,
)


def check_supported(spec: PipelineSpec) -> None:
    """Refuse a document that asks for something which this version would silently not do.

    Raises:
        SpecError: With every such place and what to do about it.
    """
    faults = [*_unbuilt_plugins(spec.spec), *_unbuilt_blocks(spec.spec)]
    faults += _refused(spec.spec)
    faults += _unfit_encodings(spec.spec)
    if faults:
        raise error_of(faults)


def _unbuilt_plugins(spec: PipelineBody) -> Iterator[Fault]:
    for number, processor in enumerate(spec.processors):
        if processor.type in UNBUILT_PROCESSORS:
            message = f"processors of type `{processor.type}` are not available in this version; remove it"
            yield Fault(f"spec.processors[{number}].type", message)
    for number, sink in enumerate(spec.sinks):
        path = f"spec.sinks[{number}]"
        if sink.type in UNBUILT_SINKS:
            message = f"sinks of type `{sink.type}` are not available in this version; use kafka, redis, file or stdout"
            yield Fault(f"{path}.type", message)


def _refused(spec: PipelineBody) -> Iterator[Fault]:
    for number, sink in enumerate(spec.sinks):
        for steps, message in sink.config.refused():
            yield Fault(path_text(("spec", "sinks", number, "config", *steps)), message)


def _unfit_encodings(spec: PipelineBody) -> Iterator[Fault]:
    for number, sink in enumerate(spec.sinks):
        if isinstance(sink.config, EncodedSinkConfig):
            try:
                sink.config.check_encoding()
            except MissingDependencyError:
                continue  # of this machine: said where the sink is made
            except SpecError as error:
                remedy = f"; {error.hint}" if error.hint else ""
                yield Fault(f"spec.sinks[{number}].config.encoding", f"{error}{remedy}")


def _unbuilt_blocks(spec: PipelineBody) -> Iterator[Fault]:
    if spec.schema_sensing.enabled and spec.schema_sensing.output.emit_events:
        message = "schema change events are not available in this version; set it to false and poll the REST API"
        yield Fault("spec.schema_sensing.output.emit_events", message)
    if spec.sharding is not None:
        yield from _unbuilt_sharding(spec.sharding)
        if spec.sharding.lane_count() > 1 and "end" in asked_by(sink.config for sink in spec.sinks):
            message = "provide_transaction_metadata of a sink needs one lane in this version: lanes split transactions"
            yield Fault("spec.sharding", f"{message}; leave one of the two out")
        if spec.sharding.lane_count() > 1 and spec.sharding.mode == "key":
            yield from _split_key_changes(spec)
    policy = spec.connection_policy
    if policy is not None and policy.default_mode not in (None, "dedicated"):
        message = "connections are never shared in this version; use dedicated or leave it out"
        yield Fault("spec.connection_policy.default_mode", message)
    if policy is not None and policy.preferred_replica is not None:
        message = "is not available in this version; name the replica in the DSN"
        yield Fault("spec.connection_policy.preferred_replica", message)


def _split_key_changes(spec: PipelineBody) -> Iterator[Fault]:
    """The delete of the old key would come by the new key's lane, perhaps behind an insert that takes the old key."""
    for number, sink in enumerate(spec.sinks):
        if sink.config.splits_key_changes:
            message = "changes of keys are not split in lanes by key; use mode `table`, or split_key_changes: false"
            yield Fault(f"spec.sinks[{number}].config", message)


def _unbuilt_sharding(sharding: ShardingSpec) -> Iterator[Fault]:
    count, mode = sharding.count or 1, sharding.mode
    if mode not in SHARDING_MODES:
        message = f"mode `{mode}` is not available in this version; use one of {', '.join(SHARDING_MODES)}"
        yield Fault("spec.sharding.mode", message)
    elif mode not in SPLITTING_MODES and count > 1:
        message = f"mode `{mode}` has one lane for each log in this version; use {' or '.join(SPLITTING_MODES)}"
        yield Fault("spec.sharding.count", f"{message}, or leave count out")
    if count > MAX_LANES:
        yield Fault("spec.sharding.count", f"more than {MAX_LANES} lanes are not available in this version")
    if sharding.key is not None and mode != "key":
        yield Fault("spec.sharding.key", "a column is not available in this version but with mode `key`; leave it out")
