"""A new source database is packages of its own and a member of two unions: nothing else asks which database it is."""

import ast
from pathlib import Path
from typing import get_args, get_type_hints

import deltaforge
from api.contract import Valid
from deltaforge.core.positions import POSITION_TYPES
from deltaforge.plugins import AnySource

ROOT = Path(deltaforge.__file__).parent
OWN = (
    "core/positions",
    "sources",
    "protocol",
    "kernel",
    "records",
    "debezium",
    "demo",
    "doctor/mysql",
    "doctor/postgres",
)
"""What is of one database, or is there for all of them, as records whose types and names are those of one."""
OTHER_MEANINGS = {
    "doctor/examination.py": "which module examines what a document names",
    "spec/starter.py": "the schemes of addresses, for which `init` writes a document",
    "storage/backends.py": "a storage backend",
    "cli/serve.py": "a storage backend",
    "envelopes/debezium.py": "a connector of Debezium, by whose name records go",
}


def words_of(path):
    """Every text that stands alone in code, and every name that is imported."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def test_nothing_above_the_sources_asks_which_database_it_is():
    asked = {*POSITION_TYPES, *(kind.__name__ for kind in POSITION_TYPES.values()), "mariadb"}
    found = {
        name: sorted(asked.intersection(words_of(path)))
        for path in sorted(ROOT.rglob("*.py"))
        if not (name := path.relative_to(ROOT).as_posix()).startswith(OWN)
        if asked.intersection(words_of(path))
    }
    allowed = {*OTHER_MEANINGS, "testing/fakes.py"}
    assert {name: words for name, words in found.items() if name not in allowed} == {}
    assert allowed <= set(found), "an exception that nobody needs"


def test_the_kinds_of_positions_are_the_sources_of_documents():
    union, *_ = get_args(AnySource)
    types = [get_args(spec.model_fields["type"].annotation)[0] for spec in get_args(union)]
    assert list(POSITION_TYPES) == types
    assert list(get_args(get_type_hints(Valid)["source_type"])) == types
