"""``/openapi.json``: the REST API described by the types that it is made of, and ``/docs``: the same to read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from quart import Blueprint, Quart, Response, current_app, jsonify
from werkzeug.routing import Rule

from api.access import path_of, route_of
from api.contract import Error
from api.docs_page import page
from api.operations import JSON, OPERATIONS, Operation
from deltaforge import __version__
from deltaforge.spec import PipelineSpec

OPENAPI = "3.1.0"
_REF = "#/components/schemas/{name}"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PARAMETERS = {
    "name": "Name of the pipeline: `metadata.name` of its document.",
    "database": "Database; on PostgreSQL the schema.",
    "snapshot": "Id of the snapshot.",
    "table": "Table, or `table:column` for a sensed JSON column.",
}

blueprint = Blueprint("openapi", __name__)


@blueprint.get("/openapi.json")
async def openapi() -> Response:
    """This description of the API, OpenAPI 3.1."""
    return jsonify(openapi_document(current_app))


@blueprint.get("/docs")
async def docs() -> Response:
    """This description of the API, as a page."""
    response = Response(page(openapi_document(current_app)), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def openapi_document(app: Quart) -> dict[str, Any]:
    """The OpenAPI document of an application: its routes with what :data:`OPERATIONS` says of them.

    Raises:
        KeyError: A route is not described.
    """
    paths: dict[str, dict[str, Any]] = {}
    for method, path, rule in routes(app):
        view = app.view_functions[rule.endpoint]
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, rule, inspect.getdoc(view) or "")
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "DeltaForge",
            "version": __version__,
            "description": "Control plane of a change data capture engine: pipelines, their state and their shape.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _components(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed by everything but `GET /health` when the server has tokens.",
                }
            },
        },
    }


def routes(app: Quart) -> Iterator[tuple[str, str, Rule]]:
    """Method, path as OpenAPI writes it, and rule of each route, in the order of :data:`OPERATIONS`."""
    found = {
        route_of(method, rule): (method, path_of(rule), rule)
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method in _METHODS and not rule.endpoint.endswith("static")
    }
    known = [found[key] for key in OPERATIONS if key in found]
    yield from known + [found[key] for key in found if key not in OPERATIONS]


def _operation(method: str, path: str, rule: Rule, doc: str) -> dict[str, Any]:
    operation = OPERATIONS[f"{method} {path}"]
    first, _, rest = " ".join(doc.replace("``", "`").split()).partition(". ")
    described: dict[str, Any] = {
        "operationId": "_".join(re.findall(r"\w+", f"{method.lower()} {path}")),
        "summary": first.rstrip("."),
        "tags": [rule.endpoint.partition(".")[0]],
        "parameters": [*map(_path_parameter, sorted(rule.arguments)), *_query(operation)],
        "responses": _responses(operation),
    }
    if rest:
        described["description"] = rest
    if operation.body is not None:
        schema = _schemas()[0][operation.body]
        content = {media_type: {"schema": schema} for media_type in operation.body_types}
        described["requestBody"] = {"required": operation.is_body_needed, "content": content}
    if path == "/health":
        described["security"] = []
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": _PARAMETERS[name], "schema": schema}


def _query(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": p.name, "in": "query", "required": False, "description": p.description, "schema": dict(p.schema)}
        for p in operation.query
    ]


def _responses(operation: Operation) -> dict[str, Any]:
    schemas, error = _schemas()[0], _schemas()[0][Error]
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        schema = schemas[operation.answer]
        if operation.or_answer is not None:
            schema = {"anyOf": [schema, schemas[operation.or_answer]]}
        success["content"] = {operation.media_type: {"schema": schema}}
    found = {operation.status: success}
    others = {status: schemas[body] for status, body in operation.others.items()}
    for status, schema in (dict.fromkeys(operation.errors, error) | others).items():
        found[status] = {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}
    rest = {"description": "Any other error", "content": {JSON: {"schema": error}}}
    return {str(status): found[status] for status in sorted(found)} | {"default": rest}


class _Types(dict[Any, dict[str, Any]]):
    """Schemas by type; of a pipeline document, which is no type of msgspec, a reference to pydantic's."""

    def __missing__(self, key: Any) -> dict[str, Any]:
        if key is PipelineSpec:
            return {"$ref": _REF.format(name="PipelineSpec")}
        raise KeyError(key)


@cache
def _schemas() -> tuple[_Types, dict[str, Any]]:
    """The schema of each type that operations name, and the components that these refer to."""
    named: list[Any] = [Error]
    for operation in OPERATIONS.values():
        named += operation.types
    types = [t for n, t in enumerate(named) if t is not PipelineSpec and t not in named[:n]]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    return _Types(zip(types, schemas, strict=True)), components


@cache
def _components() -> dict[str, Any]:
    document = PipelineSpec.model_json_schema(ref_template=_REF.replace("{name}", "{model}"))
    parts = document.pop("$defs")
    components = {**_schemas()[1], **parts, "PipelineSpec": document}
    return dict(sorted(components.items()))
