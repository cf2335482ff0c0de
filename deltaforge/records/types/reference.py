"""The tables of ``docs/types`` that say what columns are in records, made from the table of types.

``python -m deltaforge.records.types.reference docs/types/*.md`` rewrites each table that stands between
``<!-- records: CONNECTOR -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from deltaforge.core.table import Column
from deltaforge.records.schema import Schema, Type
from deltaforge.records.types.columns import cdc_column, record_column
from deltaforge.records.types.options import CdcModes, ConnectOptions
from deltaforge.records.types.table import ROWS

_TABLE = re.compile(r"(?P<head><!-- records: (?P<name>\w+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL)
_HEAD = "| Declared as | Field of the connect dialect | Avro of `deltaforge.cdc` |\n|---|---|---|\n"
_AVRO = {Type.INT8: "int", Type.INT16: "int", Type.INT32: "int", Type.INT64: "long"}


def refreshed(text: str) -> str:
    """The page with every table as the table of types has it now.

    Raises:
        KeyError: The page names a connector that there is not.
    """

    def table(match: re.Match[str]) -> str:
        rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows(match["name"]))
        return match["head"] + _HEAD + rows + match["tail"]

    return _TABLE.sub(table, text)


def _rows(connector: str) -> Iterator[tuple[str, str, str]]:
    named: dict[tuple[str, str], list[str]] = {}
    for row in dict.fromkeys(ROWS[connector].values()):
        for sample in (*row.names.split(","), *row.samples.split(";")):
            if sample:
                cells = _connect(connector, sample), _cdc(connector, sample)
                named.setdefault(cells, []).append(f"`{sample}`")
    yield from ((" ".join(names), *cells) for cells, names in named.items())


def _connect(connector: str, sample: str) -> str:
    """The schema unasked, and what options make of it."""

    def schema(options: ConnectOptions) -> str:
        column = record_column(connector, Column("x", sample), options)
        return "left out" if column is None else _said(column.schema)

    return _with_choices(ConnectOptions(), schema)


def _cdc(connector: str, sample: str) -> str:
    return _with_choices(
        CdcModes(),
        lambda modes: _avro(cdc_column(connector, Column("x", sample), modes).schema),
    )


def _with_choices(unasked: Any, schema: Any) -> str:
    plain = schema(unasked)
    choices: dict[str, list[str]] = {}
    for name, hint in get_type_hints(type(unasked)).items():
        for choice in _literals(hint):
            text = schema(msgspec.structs.replace(unasked, **{name: choice}))
            if text != plain:
                choices.setdefault(text, []).append(f"`{name}: {str(choice).lower()}`")
    return "; ".join([plain, *(f"{', '.join(names)}: {text}" for text, names in choices.items())])


def _literals(hint: Any) -> Iterator[Any]:
    if hint is bool:
        yield True
    for argument in get_args(hint):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _literals(argument)


def _said(schema: Schema) -> str:
    items = f" of {_said(schema.items)}" if schema.items else ""
    return f"{schema.type}{items}" + (f" `{schema.name}`" if schema.name else "")


def _avro(schema: Schema) -> str:
    items = f" of {_avro(schema.items)}" if schema.items else ""
    if schema.name == "enum":
        return "enum"
    return f"{_AVRO.get(schema.type, schema.type)}{items}" + (f" `{schema.name}`" if schema.name else "")


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(refreshed(page.read_text()))
