"""The ``schema_sensing`` part of a document. Contract 02 section 7."""

from __future__ import annotations

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import PatternLists


class ColumnLists(StrictModel):
    """JSON columns to take and to leave."""

    include: list[str] = Field(default_factory=list, description="Column names; empty: every JSON column.")
    exclude: list[str] = Field(default_factory=list, description="Column names; beats `include`.")


class DeepInspect(StrictModel):
    """Looking into JSON columns."""

    enabled: bool = Field(True, description="Whether to look into JSON columns.")
    max_depth: int = Field(10, ge=1, description="Levels of nesting.")
    max_sample_size: int = Field(
        1000, ge=0, description="Values of a column until it counts as stabilized and few are decoded; 0: never."
    )
    columns: ColumnLists = Field(default_factory=ColumnLists, description="Which columns.")


class Tracking(StrictModel):
    """What is counted per field."""

    field_statistics: bool = Field(
        False, description="Minimum, maximum, lengths and distinct values; decodes every sampled value."
    )
    null_rates: bool = Field(True, description="How often a field is null.")
    enum_detection: bool = Field(True, description="Collect the values of fields that have few.")
    enum_max_cardinality: int = Field(50, ge=1, description="How many values are few.")


class SensingOutput(StrictModel):
    """Where inferred schemas can be seen."""

    expose_api: bool = Field(True, description="Serve them over REST.")
    emit_events: bool = Field(False, description="Deliver `_schema_change` events to the sinks.")
    export_json_schema: bool = Field(True, description="Serve them as JSON Schema too.")


class Sampling(StrictModel):
    """How many events are looked at."""

    warmup_events: int = Field(1000, ge=0, description="Events of a table of which every one is looked at.")
    sample_rate: int = Field(10, ge=1, description="Afterwards one in so many.")
    structure_cache: bool = Field(True, description="Skip values whose structure was seen before.")
    structure_cache_size: int = Field(100, ge=1, description="Structures remembered per table.")


class HighCardinality(StrictModel):
    """Recognizing objects whose keys are data, such as maps from identity to value."""

    enabled: bool = Field(True, description="Whether to recognize them.")
    min_events: int = Field(100, ge=1, description="Events before a first judgement.")
    stable_threshold: float = Field(0.5, ge=0, le=1, description="Share of events that a stable field is in.")
    min_dynamic_fields: int = Field(5, ge=1, description="Other fields that make an object dynamic.")
    confidence_threshold: float = Field(0.7, ge=0, le=1, description="Confidence needed for a judgement.")
    reevaluate_interval: int = Field(10_000, ge=0, description="Events between judgements; 0: never again.")
    hll_precision: int = Field(12, ge=4, le=18, description="Precision of the distinct counter, in bits.")
    heavy_hitter_capacity: int = Field(50, ge=1, description="Frequent keys remembered.")
    sample_size: int = Field(50, ge=1, description="Keys kept as examples.")


class SchemaSensing(StrictModel):
    """Learning the shape of JSON data on the way, and noticing rows that break their table's declaration."""

    enabled: bool = Field(False, description="Whether to learn.")
    tables: PatternLists = Field(default_factory=PatternLists, description="Which tables.")
    deep_inspect: DeepInspect = Field(default_factory=DeepInspect, description="Looking into JSON columns.")
    tracking: Tracking = Field(default_factory=Tracking, description="What is counted per field.")
    output: SensingOutput = Field(default_factory=SensingOutput, description="Where results can be seen.")
    sampling: Sampling = Field(default_factory=Sampling, description="How many events are looked at.")
    high_cardinality: HighCardinality = Field(
        default_factory=HighCardinality, description="Recognizing objects whose keys are data."
    )
