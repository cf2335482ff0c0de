"""What a document compiles to, for people: ``deltaforge explain``."""

from __future__ import annotations

from deltaforge.checkpoint.reader import DELIVERY_STEP, ROUTE_STEP, SENSING_STEP, SOURCE_STEP
from deltaforge.kernel import compiled, description
from deltaforge.runtime.barrier import is_waited_for
from deltaforge.sensing.state import SHARDS
from deltaforge.sinks.base import SinkConfig
from deltaforge.spec import PipelineSpec, check_supported

MAX_SHOWN = 4
"""Logs, and lanes, in a picture."""


def explain(spec: PipelineSpec, *, mermaid: bool) -> str:
    """The dataflow of a document as a mermaid picture or as text.

    Raises:
        SpecError: The document asks for something that this version cannot do.
    """
    check_supported(spec)
    return _mermaid(spec) if mermaid else _text(spec)


def _text(spec: PipelineSpec) -> str:
    source, batch, limits = spec.spec.source, spec.spec.batch, spec.spec.batch.limits()
    tables = ", ".join(source.config.tables) or "all user tables"
    lines = [
        f"pipeline  {spec.metadata.name} (tenant {spec.metadata.tenant})",
        f"{SOURCE_STEP:9} {source.type} {source.config.id}: {tables}",
        *_reads_from(spec),
        f"decoder   {_decoder()}",
        f"batching  in the reader thread: {limits.max_events} events, {limits.max_bytes} bytes or {limits.max_ms} ms; "
        + ("transactions stay whole" if limits.respect_source_tx else "transactions may be split")
        + f"; {batch.max_inflight} in flight",
        *(f"processor {processor.type} {processor.id}" for processor in spec.spec.processors),
        *_sensing(spec),
        *_lanes(spec),
        f"{DELIVERY_STEP:9} barrier by commit policy {spec.spec.commit_policy.mode}",
        *_journal(spec),
    ]
    sinks = [f"  sink    {s.type} {s.config.id}, {_role(spec, s.config)}, {_form(s)}" for s in spec.spec.sinks]
    return "\n".join([*lines, *sinks])


def _reads_from(spec: PipelineSpec) -> list[str]:
    """What is read of each log."""
    lines = []
    for shard in spec.shards():
        source = spec.of_shard(shard).spec.source
        lines += [f"  shard     {shard}"] if len(spec.shards()) > 1 else []
        lines += [f"  {kind:11} {name}" for kind, name in source.reads_from().items()]
    return lines


def _lanes(spec: PipelineSpec) -> list[str]:
    """The step that splits what a log brings."""
    lanes, shards = spec.lanes(), spec.shards()
    if len(lanes) == 1:
        return []
    of_each = f" of each of {len(shards)} logs" if len(shards) > 1 else ""
    count = lanes[0].count
    how = f"{count} {_split(spec)}{of_each}" if count > 1 else f"1{of_each}"
    return [f"lanes     {how}; in each the order of the log, its own sinks, spools and positions; none between them"]


def _sensing(spec: PipelineSpec) -> list[str]:
    """The step that learns the shape of the data, if it is there."""
    settings = spec.spec.schema_sensing
    if not settings.enabled:
        return []
    sampling = settings.sampling
    rows = f"1 of {sampling.sample_rate} rows of a table, after its first {sampling.warmup_events}"
    return [f"{SENSING_STEP:9} {rows}: shape and drift, saved in {SHARDS} shards of tables"]


def _journal(spec: PipelineSpec) -> list[str]:
    journal = spec.spec.journal
    if journal is None or not journal.enabled:
        return ["  journal none: an event that cannot be delivered stops the pipeline"]
    dlq = journal.dlq
    return [f"  journal dead letters, at most {dlq.max_entries}, then {dlq.overflow_policy}"]


def _role(spec: PipelineSpec, config: SinkConfig) -> str:
    if is_waited_for(spec.spec.commit_policy, config):
        return "waited for"
    return f"not waited for (spool of {config.spool.max_bytes} bytes, then {config.spool.on_full})"


def _decoder() -> str:
    if compiled is None:
        return f"{description}, in the reader thread"
    return "compiled: from log bytes to JSON in the sink's thread; objects only where templates or sinks ask for them"


def steps_of(spec: PipelineSpec) -> list[str]:
    """The steps of the dataflow that a batch passes, as :mod:`deltaforge.runtime.dataflow` makes them."""
    sensing = [SENSING_STEP] if spec.spec.schema_sensing.enabled else []
    route = [ROUTE_STEP] if spec.lanes()[0].count > 1 else []
    return [SOURCE_STEP, *sensing, *route, DELIVERY_STEP]


def _mermaid(spec: PipelineSpec) -> str:
    limits, shards, lanes = spec.spec.batch.limits(), spec.shards(), spec.lanes()
    shown = {SENSING_STEP: f"{SENSING_STEP}[{SENSING_STEP}<br/>drift]", ROUTE_STEP: f"{ROUTE_STEP}{{{_split(spec)}}}"}
    processors = [f'processor{n}["{p.type}<br/>{p.id}"]' for n, p in enumerate(spec.spec.processors)]
    steps = [shown.get(step, step) for step in steps_of(spec)[:-1]]
    way = " --> ".join([steps[0], *processors, *steps[1:]])
    names = _few([lane.name for lane in lanes]) if len(lanes) > 1 else [""]
    deliveries = [f"{DELIVERY_STEP}{n if name else ''}" for n, name in enumerate(names)]
    boxes = [
        f'{node}["{DELIVERY_STEP}, barrier<br/>{name}"]' if name else f"{node}[{DELIVERY_STEP}<br/>barrier]"
        for node, name in zip(deliveries, names, strict=True)
    ]
    lines = [
        "flowchart LR",
        *_logs(spec),
        f"  subgraph reader[reader thread{' of each log' if len(shards) > 1 else ''}]",
        f"    reading --> batching[batching<br/>{limits.max_events} events]\n  end",
        f"  batching -->|queue| {SOURCE_STEP}",
        f"  subgraph worker[Bytewax worker{'s' if len(lanes) > 1 else ''}]",
        *(f"    {way if n == 0 else _last(steps)} --> {box}" for n, box in enumerate(boxes)),
        "  end",
    ]
    for number, sink in enumerate(spec.spec.sinks):
        node = f'sink{number}["{sink.type}<br/>{sink.config.id}"]'
        for delivery in deliveries:
            if is_waited_for(spec.spec.commit_policy, sink.config):
                lines.append(f"  {delivery} -->|{_form(sink)}| {node}")
            else:
                spool = f"spool{number}{delivery.removeprefix(DELIVERY_STEP)}"
                lines.append(f"  {delivery} -.-> {spool}[(spool)] -.->|{_form(sink)}| {node}")
    return "\n".join(lines)


def _logs(spec: PipelineSpec) -> list[str]:
    shards = spec.shards()
    lines = []
    for number, shard in enumerate(_few(list(shards))):
        node = f"log{number if len(shards) > 1 else ''}"
        if shard not in shards:
            lines.append(f'  {node}[("{shard}")] --> reading')
            continue
        source = spec.of_shard(shard).spec.source
        names = "<br/>".join(f"{kind} {name}" for kind, name in source.reads_from().items())
        lines.append(f'  {node}[("{source.type}<br/>{source.config.id}")] -->{f"|{names}|" if names else ""} reading')
    return lines


def _few(names: list[str]) -> list[str]:
    """As many as a picture has room for."""
    return names if len(names) <= MAX_SHOWN else [*names[: MAX_SHOWN - 1], f"{len(names) - MAX_SHOWN + 1} more"]


def _last(steps: list[str]) -> str:
    """The name of the last step, which stands in front of its form."""
    return steps[-1].partition("[")[0].partition("{")[0]


def _split(spec: PipelineSpec) -> str:
    """What lanes are split by."""
    sharding = spec.spec.sharding
    if sharding is None:
        return ""
    return f"by {sharding.mode}" if sharding.key is None else f"by column {sharding.key}"


def _form(sink: object) -> str:
    config = getattr(sink, "config", None)
    envelope, encoding = getattr(config, "envelope", None), getattr(config, "encoding", None)
    return f"{getattr(envelope, 'type', 'native')} {getattr(encoding, 'type', 'json')}"
