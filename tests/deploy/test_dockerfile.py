"""The Dockerfile: linted, pinned, without root. That its steps work is tests/packaging."""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.fix_package import DOCKERFILE, ROOT, dockerfile_steps, source_files

STEPS = dockerfile_steps(DOCKERFILE.read_text())
LAST = max(step.stage for step in STEPS)
FINAL = [step for step in STEPS if step.stage == LAST]


def hadolint(path):
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run(
        [program, "--config", ROOT / "deploy/.hadolint.yaml", path], capture_output=True, text=True, check=False
    )


def test_a_linter_finds_nothing():
    done = hadolint(DOCKERFILE)
    assert done.returncode == 0, done.stdout


def test_the_linter_would_find_something(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python:latest\nRUN pip install deltaforge\n")
    done = hadolint(bad)
    assert done.returncode == 1
    assert "DL3007" in done.stdout


def test_both_stages_begin_with_one_release_of_one_image():
    images = {step.text.removesuffix(" AS build") for step in STEPS if step.verb == "FROM"}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-\w+", images.pop())


def test_the_image_runs_as_nobody_in_particular_and_by_number():
    users = [step.text for step in FINAL if step.verb == "USER"]
    assert users == ["10001:10001"]  # by number: runAsNonRoot of Kubernetes cannot look up a name
    (made,) = [step.text for step in FINAL if step.verb == "RUN"]
    assert {"10001"} == set(re.findall(r"--[gu]id (\d+)", made)) | set(re.findall(r"-[og] (\d+)", made))


def test_no_compiler_and_no_source_come_into_the_image():
    copied = [step.text for step in FINAL if step.verb == "COPY"]
    assert copied == ["--from=build /opt/deltaforge /opt/deltaforge"]
    assert not [step for step in FINAL if step.verb == "RUN" and re.search(r"apt-get|pip|curl|wget", step.text)]


def test_the_image_has_a_health_check_and_starts_the_program_itself():
    by_verb = {step.verb: step.text for step in FINAL}
    check = json.loads(by_verb["HEALTHCHECK"].partition("CMD ")[2])
    compile(check[2], "health check", "exec")
    assert "/health" in check[2]
    assert json.loads(by_verb["ENTRYPOINT"]) == ["deltaforge"]  # no shell: signals reach it
    assert json.loads(by_verb["CMD"])[0] == "serve"
    assert by_verb["VOLUME"] == '["/var/lib/deltaforge"]'


def test_nothing_secret_is_baked_in():
    named = [step.text for step in STEPS if step.verb in ("ENV", "ARG", "LABEL")]
    assert not [text for text in named if re.search(r"token|password|secret", text, re.IGNORECASE)]


def test_the_context_holds_what_is_copied_and_little_else():
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    assert "*" in rules
    files = source_files()
    for step in STEPS:
        if step.verb == "COPY" and not step.text.startswith("--from"):
            for source in step.text.split()[:-1]:
                assert any(source == rule or source.startswith(f"{rule}/") for rule in kept), source
                assert [name for name in files if name == source or name.startswith(f"{source}/")], source
    assert not [rule for rule in kept if not any(fnmatch.fnmatch(name, f"{rule}*") for name in files)]


@pytest.mark.parametrize("name", ["deploy/requirements.lock", "deploy/build.lock"])
def test_everything_that_is_installed_is_pinned_by_hash(name):
    steps = [step.text for step in STEPS if step.verb == "RUN" and name in step.text]
    assert steps
    assert all("--require-hashes" in text for text in steps)
