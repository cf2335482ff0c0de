"""Pages and examples say what the code does."""

import re
from pathlib import Path

import pytest
import yaml

from deltaforge.spec import check_supported, json_schema, load_file, parse_document
from deltaforge.spec.reference import refreshed, tables_in

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "document.md"
EXAMPLES = sorted((DOCS / "examples").glob("*.yaml"))
ENV = {"MYSQL_PASSWORD": "x", "PGPASSWORD": "x"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_and_runs_in_this_version(path):
    parsed = load_file(path, ENV, strict=True)
    assert parsed.warnings == []
    check_supported(parsed.spec)


def test_there_is_an_example_for_every_source_and_sink_that_runs():
    used = {load_file(path, ENV).spec.spec.source.type for path in EXAMPLES}
    used |= {sink.type for path in EXAMPLES for sink in load_file(path, ENV).spec.spec.sinks}
    assert used == {"mysql", "postgres", "kafka", "redis", "file", "stdout"}


def test_the_document_in_the_page_is_valid():
    found = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for text in found:
        check_supported(parse_document(yaml.safe_load(text), strict=True).spec)


def test_the_documents_of_the_page_of_snapshots_are_valid():
    found = re.findall(r"<<'END'\n(.*?)^END$", (DOCS / "snapshots.md").read_text(), re.DOTALL | re.MULTILINE)
    assert [parse_document(yaml.safe_load(text), strict=True).spec.spec.source.type for text in found] == [
        "postgres",
        "mysql",
    ]


def test_the_tables_of_the_page_are_those_of_the_models():
    text = PAGE.read_text(encoding="utf-8")
    assert refreshed(text) == text, "run: python -m deltaforge.spec.reference docs/document.md"


def test_every_sink_and_source_has_a_table():
    named = {name for name in json_schema()["$defs"] if re.search(r"(Sink|Source)Config$", name)}
    assert named <= set(tables_in(PAGE.read_text(encoding="utf-8")))


def test_every_field_of_a_document_is_described():
    missing = [
        f"{name}.{key}"
        for name, model in json_schema()["$defs"].items()
        for key, field in model.get("properties", {}).items()
        if not field.get("description") and "$ref" not in field and key not in ("type", "mode")
    ]
    assert missing == []
