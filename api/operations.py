"""What each route takes and answers, for the OpenAPI document. A route that is not here fails a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api import contract as c
from api import snapshot_contract as s
from api import stream_contract as lines
from api.body import MERGE_PATCH, YAML_TYPES
from deltaforge.spec import PipelineSpec

JSON = "application/json"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"


@dataclass(frozen=True)
class Parameter:
    """A query parameter; ``schema`` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Operation:
    """One method of one route.

    Attributes:
        answer: Type of the body that a success has; None: it has none.
        or_answer: Another type that it may have.
        status: Of a success.
        media_type: Of that body.
        errors: Statuses with the usual error body, beside those that every operation may have.
        others: Statuses with a body of their own.
        query: Query parameters.
        body: Type of the request body; None: none is read.
        body_types: Its media types.
        is_body_needed: Whether it may be left out.
    """

    answer: Any = None
    or_answer: Any = None
    status: int = 200
    media_type: str = JSON
    errors: tuple[int, ...] = ()
    others: Mapping[int, Any] = field(default_factory=dict)
    query: tuple[Parameter, ...] = ()
    body: Any = None
    body_types: tuple[str, ...] = (JSON,)
    is_body_needed: bool = True

    @property
    def types(self) -> list[Any]:
        """Every type that it names."""
        named = (self.answer, self.or_answer, self.body, *self.others.values())
        return [found for found in named if found is not None]


def _flag(name: str, description: str) -> Parameter:
    return Parameter(name, description, {"type": "string", "enum": ["true", "false"], "default": "false"})


def _number(name: str, description: str, default: int, highest: int) -> Parameter:
    return Parameter(
        name, description, {"type": "integer", "minimum": 1, "maximum": highest, "default": default, "format": "int64"}
    )


_LABEL = Parameter(
    "label",
    "`key:value`, or `key` with any value; repeated: all of them.",
    {"type": "array", "items": {"type": "string"}},
)
_SINK = Parameter("sink_id", "Only entries of this sink.", {"type": "string"})
_KIND = Parameter("error_kind", "Only entries of this kind, such as `serialization`.", {"type": "string"})
_MAX_SEQ = (1 << 63) - 1

_STATE = Operation(c.PipeInfo, errors=(404, 409))
_SHARD = Parameter("shard", "Only this shard of the source; the pipeline runs.", {"type": "string"})
_OF_SHARD = Parameter(
    "shard", "As this shard of the source has it; else: as the first that has it.", {"type": "string"}
)
_ONE_SHARD = Parameter("shard", "Only of this shard of the source; else of all as one.", {"type": "string"})
_MOVE = Operation(c.PipeInfo, errors=(400, 404, 409), query=(_SHARD,))
_SNAPSHOT = Operation(s.Snapshot, errors=(404, 409, 503))
_LEVEL = Operation(c.LogLevel, body=c.LogLevel, errors=(400, 415))

OPERATIONS: Mapping[str, Operation] = {
    "GET /health": Operation(c.Healthy, others={503: c.Unhealthy}),
    "GET /ready": Operation(c.Ready),
    "GET /metrics": Operation(str, media_type=TEXT),
    "GET /openapi.json": Operation(dict[str, Any]),
    "GET /docs": Operation(str, media_type="text/html"),
    "GET /log-level": Operation(c.LogLevel),
    "PUT /log-level": _LEVEL,
    "PATCH /log-level": _LEVEL,
    "POST /validate": Operation(c.Valid, body=PipelineSpec, body_types=(JSON, *YAML_TYPES), others={400: c.Invalid}),
    "GET /pipelines": Operation(list[c.PipeInfo], query=(_LABEL,)),
    "POST /pipelines": Operation(c.PipeInfo, body=PipelineSpec, body_types=(JSON, *YAML_TYPES), errors=(400, 409)),
    "GET /pipelines/{name}": Operation(c.PipeDetail, errors=(404,)),
    "PATCH /pipelines/{name}": Operation(
        c.PipeInfo, body=dict[str, Any], body_types=(JSON, MERGE_PATCH, *YAML_TYPES), errors=(400, 404)
    ),
    "DELETE /pipelines/{name}": Operation(
        status=204,
        errors=(400, 404, 409),
        query=(_flag("drop_slot", "Drop the replication slot of the source, too."),),
    ),
    "POST /pipelines/{name}/pause": _MOVE,
    "POST /pipelines/{name}/resume": _MOVE,
    "POST /pipelines/{name}/stop": _STATE,
    "GET /pipelines/{name}/events": Operation(
        lines.Event,
        or_answer=lines.Tail,
        media_type=NDJSON,
        errors=(400, 404, 409),
        query=(
            Parameter("limit", "End after so many events.", {"type": "integer", "minimum": 1, "format": "int64"}),
            _number("seconds", "End after so long.", 60, 3600),
            Parameter("table", "Only of these tables, a pattern such as `shop.order*`.", {"type": "string"}),
        ),
    ),
    "GET /pipelines/{name}/logs": Operation(
        lines.LogLine,
        media_type=NDJSON,
        errors=(400, 404, 409),
        query=(
            _number("lines", "The last lines.", 100, 10_000),
            _flag("follow", "Also what is added."),
            _number("seconds", "How long it follows.", 60, 3600),
        ),
    ),
    "GET /pipelines/{name}/checkpoints": Operation(list[c.Checkpoint], errors=(404,)),
    "POST /pipelines/{name}/checkpoints/reset": Operation(c.ResetNoted, body=c.ResetRequest, errors=(400, 404, 409)),
    "GET /pipelines/{name}/skips": Operation(c.Skips, errors=(404,)),
    "POST /pipelines/{name}/skips": Operation(c.SkipNoted, body=c.SkipRequest, errors=(400, 404, 409)),
    "GET /pipelines/{name}/snapshots": Operation(list[s.Snapshot], errors=(404, 503)),
    "POST /pipelines/{name}/snapshots": Operation(
        s.Snapshot, status=202, body=s.SnapshotAsked, errors=(400, 403, 404, 409, 503)
    ),
    "GET /pipelines/{name}/snapshots/{snapshot}": Operation(s.Snapshot, errors=(404, 503)),
    "DELETE /pipelines/{name}/snapshots/{snapshot}": _SNAPSHOT,
    "POST /pipelines/{name}/snapshots/{snapshot}/pause": _SNAPSHOT,
    "POST /pipelines/{name}/snapshots/{snapshot}/resume": _SNAPSHOT,
    "GET /pipelines/{name}/schemas": Operation(list[c.SchemaSummary], errors=(400, 404), query=(_OF_SHARD,)),
    "POST /pipelines/{name}/schemas/reload": Operation(c.Reloaded, errors=(404, 409)),
    "GET /pipelines/{name}/schemas/{database}/{table}": Operation(
        c.SchemaDetail, errors=(400, 404), query=(_OF_SHARD,)
    ),
    "POST /pipelines/{name}/schemas/{database}/{table}/reload": Operation(
        c.SchemaDetail,
        or_answer=c.TakeOverNoted,
        body=c.TakeOver,
        is_body_needed=False,
        errors=(400, 404, 409),
        query=(Parameter("shard", "Of `take_over`: the shard that needs it.", {"type": "string"}),),
    ),
    "GET /pipelines/{name}/schemas/{database}/{table}/versions": Operation(
        list[c.SchemaVersionInfo], errors=(400, 404), query=(_OF_SHARD,)
    ),
    "GET /pipelines/{name}/sensing/schemas": Operation(
        list[c.SensedSummary], errors=(400, 404, 409), query=(_ONE_SHARD,)
    ),
    "GET /pipelines/{name}/sensing/schemas/{table}": Operation(
        c.SensedSchema,
        errors=(400, 404, 409),
        query=(
            _number("depth", "Levels of field names.", 1, 100),
            _flag("stats", "What was counted of each field."),
            _ONE_SHARD,
        ),
    ),
    "GET /pipelines/{name}/sensing/schemas/{table}/json-schema": Operation(
        dict[str, Any], errors=(400, 404, 409), query=(_ONE_SHARD,)
    ),
    "GET /pipelines/{name}/sensing/schemas/{table}/classifications": Operation(
        c.Classifications,
        errors=(400, 404, 409),
        query=(_flag("examples", "Some of the keys that are data."), _ONE_SHARD),
    ),
    "GET /pipelines/{name}/sensing/stats": Operation(c.SensingStats, errors=(400, 404, 409), query=(_ONE_SHARD,)),
    "GET /pipelines/{name}/drift": Operation(
        list[c.Drift], errors=(400, 404), query=(_flag("kinds", "The kind of each drift, and null rates."), _ONE_SHARD)
    ),
    "GET /pipelines/{name}/drift/{table}": Operation(
        c.Drift, errors=(400, 404), query=(_flag("kinds", "The kind of each drift, and null rates."), _ONE_SHARD)
    ),
    "GET /pipelines/{name}/journal/dlq": Operation(
        list[c.DeadLetter],
        errors=(400, 404, 409),
        query=(_number("limit", "Entries, at most 1000.", 50, _MAX_SEQ), _SINK, _KIND),
    ),
    "DELETE /pipelines/{name}/journal/dlq": Operation(c.Purged, errors=(404, 409)),
    "GET /pipelines/{name}/journal/dlq/count": Operation(c.Count, errors=(404, 409)),
    "POST /pipelines/{name}/journal/dlq/ack": Operation(c.Acked, body=c.AckRequest, errors=(400, 404, 409)),
    "POST /pipelines/{name}/journal/dlq/retry": Operation(
        c.Retried, body=c.RetryRequest, is_body_needed=False, errors=(400, 404, 409)
    ),
}
"""By method and path, as the OpenAPI document writes them."""
