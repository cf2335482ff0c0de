"""The examples of the contributors' page, carried out on a copy of the code."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpus.expected import PLAIN, expected_of
from tests.corpus.recording import load
from tests.corpus.replay import replayed
from tests.pipelines import PipelineProcess, wait_for

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"
_PART = re.compile(r"^\*\*`(?P<path>[\w/.]+)`\*\*\n|^```(?P<kind>\w+)\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)


def examples():
    """By heading the parts of each example: path, whether it is a new file, and text."""
    found = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        path = None
        for part in _PART.finditer(body):
            path = part["path"] or path
            if part["kind"]:
                found.setdefault(heading, []).append((path, part["kind"] == "python", part["text"]))
    return found


def changed(text, diff):
    """A file after a diff without line numbers: what it says of the file before is there once."""
    lines = diff.splitlines(keepends=True)
    before = "".join(line[1:] or line for line in lines if line[0] != "+")
    after = "".join(line[1:] or line for line in lines if line[0] != "-")
    assert text.count(before) == 1, f"not there once:\n{before}"
    return text.replace(before, after)


@pytest.fixture
def with_example(tmp_path):
    """``with_example(heading)``: a copy of the code with that example in it."""

    def make(heading):
        copy = tmp_path / "copy"
        for name in ("deltaforge", "api", "docs/types", "tests/docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.cpp"))
        for path, is_new, text in examples()[heading]:
            file = copy / path
            assert is_new != file.exists(), path
            file.write_text(text if is_new else changed(file.read_text(), text))
        shutil.copy(ROOT / "pyproject.toml", copy)
        files = {path for path, _, _ in examples()[heading] if path.endswith(".py")}
        for check in (["check", "-q"], ["format", "-q", "--check"]):
            subprocess.run([Path(sys.executable).with_name("ruff"), *check, *sorted(files)], cwd=copy, check=True)
        return copy

    return make


def run(copy, code):
    """What Python prints there."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_addition_of_the_page_has_a_test():
    named = re.findall(r"\(#([\w-]+)\) \|", PAGE.read_text().split("\n## ")[0])
    assert (
        [heading.lower().replace(" ", "-") for heading in examples()]
        == named
        == ["a-sink", "a-processor", "a-column-type", "a-rest-resource"]
    )


def test_a_sink_is_one_file_and_two_lines(with_example, tmp_path):
    parts = examples()["A sink"]
    assert [is_new for _, is_new, _ in parts] == [True, False, False]
    assert sum(line.startswith("+") for _, is_new, text in parts if not is_new for line in text.splitlines()) == 2
    copy, recording, out = with_example("A sink"), load("mysql-minimal"), tmp_path / "out"
    expected = expected_of("mysql-minimal")["native"]
    with replayed(recording) as server:
        dsn = f"mysql://root:root@127.0.0.1:{server.port}/corpus?{PLAIN['mysql']}"
        source = {"type": "mysql", "config": {**recording.source["config"], "dsn": dsn}}
        sink = {"type": "folder", "config": {"id": "folder", "path": str(out)}}
        pipeline = PipelineProcess(tmp_path, source, [sink], name="corpus")
        try:
            pipeline.start(environment={"PYTHONPATH": str(copy)})
            wait_for(lambda: len(lines_below(out)) == len(expected))
            assert pipeline.stop() == 0, pipeline.log()
        finally:
            pipeline.end()
    assert sorted(lines_below(out)) == sorted(expected)


def lines_below(folder):
    version = re.compile(r'"version":"deltaforge-[^"]*"')
    texts = [path.read_text() for path in folder.glob("*.jsonl")]
    return [version.sub('"version":"deltaforge-VERSION"', line) for text in texts for line in text.split("\n")[:-1]]


def test_a_processor_is_known_to_the_document(with_example):
    document = {
        "metadata": {"name": "p", "tenant": "t"},
        "spec": {
            "source": {"type": "mysql", "config": {"id": "s", "dsn": "mysql://u:p@h/d", "tables": ["d.*"]}},
            "processors": [{"type": "mask", "columns": ["card"]}],
            "sinks": [{"type": "stdout", "config": {"id": "out"}}],
        },
    }
    code = f"""
from deltaforge.spec import check_supported, parse_document
spec = parse_document({document!r}).spec
print(spec.spec.processors[0].columns)
try:
    check_supported(spec)
except Exception as error:
    print(error)
"""
    columns, refusal = run(with_example("A processor"), code).splitlines()[:2]
    assert columns == "['card']"
    assert "type `mask` are not available" in refusal


def test_a_column_type_is_decoded_and_on_its_page(with_example):
    copy = with_example("A column type")
    code = """
from deltaforge.protocol.postgres.values import TypeInfo, resolve_decoder
print(resolve_decoder(20000, {20000: TypeInfo(20000, "ltree", extension="ltree")})("top.science"))
"""
    assert run(copy, code) == "['top', 'science']\n"
    run(copy, "from tests.docs import test_types as page; page.test_every_postgres_type_of_the_table_is_on_its_page()")


def test_a_resource_answers_and_is_in_the_openapi_document(with_example, tmp_path):
    code = f"""
import asyncio, json
from pathlib import Path
from api.app import create_app
from deltaforge.control.options import ServeOptions
from deltaforge.control.service import PipelineService
from deltaforge.storage.memory import MemoryStorage

async def main():
    options = ServeOptions(storage_backend="memory", state_dir=Path({str(tmp_path)!r}))
    client = create_app(PipelineService(MemoryStorage(), options)).test_client()
    answer, document = await client.get("/version"), await client.get("/openapi.json")
    print(json.dumps([answer.status_code, await answer.json, list((await document.json)["paths"])]))

asyncio.run(main())
"""
    status, body, paths = json.loads(run(with_example("A REST resource"), code))
    assert (status, list(body)) == (200, ["version"])
    assert "/version" in paths
