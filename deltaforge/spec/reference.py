"""The tables of ``docs/document.md``, made from the descriptions of the models.

``python -m deltaforge.spec.reference docs/document.md`` rewrites each table that stands between
``<!-- fields: NAME -->`` and ``<!-- end -->``, where NAME is a model in the JSON Schema of documents.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deltaforge.spec.document import json_schema

_TABLE = re.compile(r"(?P<head><!-- fields: (?P<name>\w+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)
_HEAD = "| Field | Type | Default | Meaning |\n|---|---|---|---|\n"


def refreshed(text: str) -> str:
    """The page with every table as the models have it now.

    Raises:
        KeyError: The page names a model that documents do not have.
    """
    models = json_schema()["$defs"]

    def table(match: re.Match[str]) -> str:
        rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows(models, match["name"], ""))
        return match["head"] + _HEAD + rows + match["tail"]

    return _TABLE.sub(table, text)


def tables_in(text: str) -> list[str]:
    """The models whose tables a page has."""
    return [match["name"] for match in _TABLE.finditer(text)]


def main(argv: list[str]) -> int:
    """Rewrite the tables of the pages that are named. Returns the exit code."""
    for name in argv:
        page = Path(name)
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def _rows(models: dict[str, Any], name: str, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    model = models[name]
    required = model.get("required", [])
    for key, field in model["properties"].items():
        inner = _only_model(field)
        meaning = field.get("description") or (models[inner]["description"] if inner else None)
        if meaning is None:
            continue  # the tag of a union member: the heading of its table says it
        default = _default(field, is_required=key in required)
        if inner and "properties" in models[inner]:
            yield f"`{prefix}{key}`", "object", default, meaning
            yield from _rows(models, inner, f"{prefix}{key}.")
        else:
            yield f"`{prefix}{key}`", _type(field).replace("|", "\\|"), default, meaning


def _default(field: dict[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "required"
    value = field.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _only_model(field: dict[str, Any]) -> str | None:
    """The model of a field that is one object, optional or not; None for everything else."""
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    return options[0]["$ref"].rpartition("/")[2] if len(options) == 1 and "$ref" in options[0] else None


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " | ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " | ".join(_type(option) for option in field["anyOf"] if option.get("type") != "null")
    if "oneOf" in field or "$ref" in field:
        return "object"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map to {_type(field['additionalProperties'])}"
    low, high = field.get("minimum"), field.get("maximum")
    bounds = f" ≥ {low}" if low is not None and high is None else f" {low} to {high}" if high is not None else ""
    return f"{field.get('type', 'any')}{bounds}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
