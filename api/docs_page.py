"""The OpenAPI document as one page without scripts and without anything from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; text-transform: capitalize; }
details { border: 1px solid #ddd; border-radius: 4px; margin: .4rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: #f6f6f6; padding: .6rem; overflow-x: auto; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
.GET { color: #1a6; } .POST { color: #15b; } .PATCH, .PUT { color: #a60; } .DELETE { color: #b22; }
td, th { text-align: left; padding: .15rem .8rem .15rem 0; vertical-align: top; }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #ddd; } pre { background: #22252b; } details, h2 { border-color: #3a3e46; }
}
"""


def page(document: dict[str, Any]) -> str:
    """HTML for an OpenAPI document that :mod:`api.openapi` made."""
    info = document["info"]
    body = "\n".join([*_operations(document), "<h2>Schemas</h2>", *_schemas(document["components"]["schemas"])])
    title = f"{info['title']} {info['version']}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>'
        f"<h1>{escape(title)}</h1><p>{escape(info['description'])} "
        f'For programs: <a href="openapi.json">openapi.json</a>.</p>\n{body}\n</body></html>\n'
    )


def _operations(document: dict[str, Any]) -> Iterator[str]:
    tag = ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"<h2>{escape(tag)}</h2>"
            yield _operation(path, method.upper(), operation)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>{_text(operation['description'])}</p>" if "description" in operation else ""]
    rows = [(p["name"], p["in"], p["description"], _short(p["schema"])) for p in operation["parameters"]]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        need = "needed" if operation["requestBody"]["required"] else "may be left out"
        rows.append(("body", ", ".join(content), need, _short(next(iter(content.values()))["schema"])))
    parts.append(_table(rows))
    answers = [
        (status, answer["description"], ", ".join(answer.get("content", {})), _answer(answer))
        for status, answer in operation["responses"].items()
    ]
    parts.append(_table(answers))
    return (
        f'<details id="{escape(operation["operationId"])}"><summary><span class="method {method}">{method}</span> '
        f"<code>{escape(path)}</code> {_text(operation['summary'])}</summary>{''.join(parts)}</details>"
    )


def _answer(answer: dict[str, Any]) -> str:
    content = answer.get("content")
    return _short(next(iter(content.values()))["schema"]) if content else ""


def _short(schema: dict[str, Any]) -> str:
    """A schema in a cell: a link to a named one, or what it says."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_short(inner) for inner in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_short(schema['items'])}"
    return f"<code>{escape(json.dumps(schema))}</code>"


def _text(text: str) -> str:
    """Words with code in backticks."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    """Three columns of text and one of HTML."""
    cells = (
        f"<tr><th>{escape(a)}</th><td>{escape(b)}</td><td>{escape(c)}</td><td>{d}</td></tr>" for a, b, c, d in rows
    )
    return f"<table>{''.join(cells)}</table>" if rows else ""


def _schemas(schemas: dict[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        text = escape(json.dumps(schema, indent=2))
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'
