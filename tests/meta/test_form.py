"""Rules of form that no linter checks."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    p for folder in ("deltaforge", "api", "flows", "tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))
]
KERNEL = [p for p in sorted((ROOT / "deltaforge" / "kernel").rglob("*.p*")) if p.suffix in (".pxi", ".pyi", ".pyx")]
VAGUE = {"utils", "common", "helpers", "misc"}


def test_no_file_is_longer_than_400_lines():
    assert {str(p.relative_to(ROOT)): n for p in SOURCES + KERNEL if (n := len(p.read_text().splitlines())) > 400} == {}


def test_no_function_of_the_product_is_longer_than_60_lines():
    long = {}
    for path in SOURCES:
        if path.parts[len(ROOT.parts)] not in ("deltaforge", "api", "flows"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
                long[f"{path.relative_to(ROOT)}:{node.name}"] = node.end_lineno - node.lineno
    assert long == {}


def test_modules_are_named_after_an_idea():
    assert [p for p in SOURCES if p.stem in VAGUE] == []


@pytest.mark.parametrize("family", ["sinks", "processors"])
def test_plugin_file_is_named_as_its_type(family):
    for path in (ROOT / "deltaforge" / family).glob("*.py"):
        tags = re.findall(r'^    type: Literal\["(\w+)"\]', path.read_text(), re.MULTILINE)
        assert tags in ([], [path.stem]), path


def test_readme_names_only_make_verbs_that_exist():
    verbs = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text()))
    assert named <= verbs


def test_no_skip_without_a_reason():
    bare = re.compile(r"pytest\.skip\(\)|mark\.skip\b(?!\(reason)|mark\.skipif\((?!.*reason)")
    assert [str(p) for p in SOURCES if p != Path(__file__) and bare.search(p.read_text())] == []


def test_the_kernel_says_what_it_takes_and_gives():
    typed = [p for p in (ROOT / "deltaforge" / "kernel").rglob("*.py*") if p.suffix in (".py", ".pyi")]
    assert [p.name for p in typed if p.suffix == ".pyi"] == ["_compiled.pyi"]
    assert [str(p) for p in typed if re.search(r"\bAny\b|\btype: ignore", p.read_text())] == []
