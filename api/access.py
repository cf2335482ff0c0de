"""Which role each route needs. A route that is not here is refused to everybody, and fails a test."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.routing import Rule

from deltaforge.control.tokens import Role

PUBLIC = "GET /health"
"""Answered to everybody, without details to those who have no token."""

_PIPELINE = "/pipelines/{name}"

ROLES: Mapping[str, Role] = {
    PUBLIC: Role.READ,
    "GET /ready": Role.READ,
    "GET /metrics": Role.READ,
    "GET /openapi.json": Role.READ,
    "GET /docs": Role.READ,
    "POST /validate": Role.READ,
    "GET /log-level": Role.READ,
    "PUT /log-level": Role.ADMIN,
    "PATCH /log-level": Role.ADMIN,
    "GET /pipelines": Role.READ,
    "POST /pipelines": Role.ADMIN,
    f"GET {_PIPELINE}": Role.READ,
    f"PATCH {_PIPELINE}": Role.ADMIN,
    f"DELETE {_PIPELINE}": Role.ADMIN,
    f"POST {_PIPELINE}/pause": Role.OPERATE,
    f"POST {_PIPELINE}/resume": Role.OPERATE,
    f"POST {_PIPELINE}/stop": Role.OPERATE,
    f"GET {_PIPELINE}/events": Role.OPERATE,  # as logs and dead letters it shows values of rows
    f"GET {_PIPELINE}/logs": Role.OPERATE,
    f"GET {_PIPELINE}/checkpoints": Role.READ,
    f"POST {_PIPELINE}/checkpoints/reset": Role.OPERATE,
    f"GET {_PIPELINE}/skips": Role.READ,
    f"POST {_PIPELINE}/skips": Role.OPERATE,
    f"GET {_PIPELINE}/snapshots": Role.READ,
    f"POST {_PIPELINE}/snapshots": Role.OPERATE,  # with SQL in its body: admin
    f"GET {_PIPELINE}/snapshots/{{snapshot}}": Role.READ,
    f"DELETE {_PIPELINE}/snapshots/{{snapshot}}": Role.OPERATE,
    f"POST {_PIPELINE}/snapshots/{{snapshot}}/pause": Role.OPERATE,
    f"POST {_PIPELINE}/snapshots/{{snapshot}}/resume": Role.OPERATE,
    f"GET {_PIPELINE}/schemas": Role.READ,
    f"POST {_PIPELINE}/schemas/reload": Role.OPERATE,
    f"GET {_PIPELINE}/schemas/{{database}}/{{table}}": Role.READ,
    f"POST {_PIPELINE}/schemas/{{database}}/{{table}}/reload": Role.OPERATE,
    f"GET {_PIPELINE}/schemas/{{database}}/{{table}}/versions": Role.READ,
    f"GET {_PIPELINE}/sensing/schemas": Role.READ,
    f"GET {_PIPELINE}/sensing/schemas/{{table}}": Role.READ,
    f"GET {_PIPELINE}/sensing/schemas/{{table}}/json-schema": Role.READ,
    f"GET {_PIPELINE}/sensing/schemas/{{table}}/classifications": Role.READ,
    f"GET {_PIPELINE}/sensing/stats": Role.READ,
    f"GET {_PIPELINE}/drift": Role.READ,
    f"GET {_PIPELINE}/drift/{{table}}": Role.READ,
    f"GET {_PIPELINE}/journal/dlq": Role.OPERATE,
    f"DELETE {_PIPELINE}/journal/dlq": Role.OPERATE,
    f"GET {_PIPELINE}/journal/dlq/count": Role.READ,
    f"POST {_PIPELINE}/journal/dlq/ack": Role.OPERATE,
    f"POST {_PIPELINE}/journal/dlq/retry": Role.OPERATE,
}
"""By method and path, as the OpenAPI document writes them."""


def route_of(method: str, rule: Rule | None) -> str:
    """``METHOD /path`` of a request, as the tables of routes write it; ``""`` if no route takes it."""
    return "" if rule is None else f"{'GET' if method == 'HEAD' else method} {path_of(rule)}"


def path_of(rule: Rule) -> str:
    """The path of a route as the OpenAPI document writes it."""
    return rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
