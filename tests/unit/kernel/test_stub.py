"""The types of the compiled kernel are those of the module that was built: names, and signatures."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from mypy import stubtest

from deltaforge.kernel import compiled, description

pytestmark = pytest.mark.skipif(compiled is None, reason=description)

FOLDER = Path(inspect.getfile(compiled)).parent if compiled else Path()
# Inside the module; what Cython adds; the type of reports; what Python cannot see of a compiled class (see below).
ALLOWED = r"""
.*\.(BlockReader|LaneFinder|TableProgram|DATETIME_BYTES|TIME_BYTES|KafkaReport)
.*\.__(reduce|setstate)_cython__
.*\.__test__
.*\.__init__
.*\.__getitem__
"""


def test_names_and_signatures_are_those_of_the_module(tmp_path, capsys):
    (tmp_path / "allowed").write_text(ALLOWED)
    options = ["deltaforge.kernel._compiled", "--concise", "--ignore-disjoint-bases", "--ignore-unused-allowlist"]
    done = stubtest.test_stubs(stubtest.parse_options([*options, "--allowlist", str(tmp_path / "allowed")]))
    assert (done, capsys.readouterr().out) == (0, "")


def constructors_of_sources():
    """Classes to the names of what makes them, as the sources have it."""
    found = {}
    for path in FOLDER.rglob("*.pxi"):
        for part in re.split(r"^cdef class ", path.read_text(), flags=re.MULTILINE)[1:]:
            init = re.search(r"\n    def __c?init__\(\s*self,?(.*?)\):\n", part, re.DOTALL)
            arguments = [] if init is None else re.split(r",\s*", init[1].strip(" ,\n"))
            names = [re.sub(r"( not None)?(=.*)?$", "", argument).split()[-1] for argument in arguments]
            found[re.match(r"\w+", part)[0]] = names
    return found


def test_what_makes_an_object_is_said_as_in_the_sources():
    stub = ast.parse((FOLDER / "_compiled.pyi").read_text())
    said = {
        node.name: [argument.arg for argument in method.args.args[1:]]
        for node in stub.body
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
    }
    sources = constructors_of_sources()
    assert said == {name: sources[name] for name in said}
    assert {name for name, arguments in sources.items() if arguments} == {name for name in said if said[name]}
