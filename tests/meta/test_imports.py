"""Modules import each other in one direction, also where only a type checker looks."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def modules():
    """The files of our packages by the name of the module."""
    found = {}
    for package in ("deltaforge", "api", "flows"):
        for path in sorted((ROOT / package).rglob("*.py")):
            steps = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(steps[:-1] if steps[-1] == "__init__" else steps)] = path
    return found


def imported(path, names):
    """What a file imports of ``names``, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from [name for name in (inner, node.module) if name in names][:1]


def circles(graph):
    """The largest sets of modules that all reach each other."""
    reached = {}
    for start in graph:
        seen, ahead = set(), [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        reached[start] = seen
    found = {frozenset(other for other in reached[one] if one in reached[other]) for one in graph}
    return [set(circle) for circle in found if len(circle) > 1]


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a", "e"}}
    assert sorted(map(sorted, circles(graph))) == [["a", "b", "c"], ["d", "e"]]


def test_no_modules_import_each_other():
    names = modules()
    assert circles({name: set(imported(path, names)) - {name} for name, path in names.items()}) == []
