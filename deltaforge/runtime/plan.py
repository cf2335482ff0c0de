"""What a document compiles to, for people: ``deltaforge explain``."""

from __future__ import annotations

from deltaforge.checkpoint.reader import DELIVERY_STEP, SENSING_STEP, SOURCE_STEP
from deltaforge.kernel import compiled, description
from deltaforge.runtime.barrier import is_waited_for
from deltaforge.sensing.state import SHARDS
from deltaforge.sinks.base import SinkConfig
from deltaforge.spec import PipelineSpec, check_supported


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
        *(f"  {kind:11} {name}" for kind, name in source.reads_from().items()),
        f"decoder   {_decoder()}",
        f"batching  in the reader thread: {limits.max_events} events, {limits.max_bytes} bytes or {limits.max_ms} ms; "
        + ("transactions stay whole" if limits.respect_source_tx else "transactions may be split")
        + f"; {batch.max_inflight} in flight",
        *(f"processor {processor.type} {processor.id}" for processor in spec.spec.processors),
        *_sensing(spec),
        f"{DELIVERY_STEP:9} barrier by commit policy {spec.spec.commit_policy.mode}",
        *_journal(spec),
    ]
    sinks = [f"  sink    {s.type} {s.config.id}, {_role(spec, s.config)}, {_form(s)}" for s in spec.spec.sinks]
    return "\n".join([*lines, *sinks])


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


def _mermaid(spec: PipelineSpec) -> str:
    source, limits = spec.spec.source, spec.spec.batch.limits()
    names = "<br/>".join(f"{kind} {name}" for kind, name in source.reads_from().items())
    sensing = [f"{SENSING_STEP}[{SENSING_STEP}<br/>drift]"] if spec.spec.schema_sensing.enabled else []
    processors = [f'processor{n}["{p.type}<br/>{p.id}"]' for n, p in enumerate(spec.spec.processors)]
    steps = [SOURCE_STEP, *processors, *sensing, f"{DELIVERY_STEP}[{DELIVERY_STEP}<br/>barrier]"]
    lines = [
        "flowchart LR",
        f'  log[("{source.type}<br/>{source.config.id}")] -->{f"|{names}|" if names else ""} reading',
        f"  subgraph reader[reader thread]\n    reading --> batching[batching<br/>{limits.max_events} events]\n  end",
        f"  batching -->|queue| {SOURCE_STEP}",
        f"  subgraph worker[Bytewax worker]\n    {' --> '.join(steps)}\n  end",
    ]
    for number, sink in enumerate(spec.spec.sinks):
        node = f'sink{number}["{sink.type}<br/>{sink.config.id}"]'
        if is_waited_for(spec.spec.commit_policy, sink.config):
            lines.append(f"  {DELIVERY_STEP} -->|{_form(sink)}| {node}")
        else:
            lines.append(f"  {DELIVERY_STEP} -.-> spool{number}[(spool)] -.->|{_form(sink)}| {node}")
    return "\n".join(lines)


def _form(sink: object) -> str:
    config = getattr(sink, "config", None)
    envelope, encoding = getattr(config, "envelope", None), getattr(config, "encoding", None)
    return f"{getattr(envelope, 'type', 'native')} {getattr(encoding, 'type', 'json')}"
