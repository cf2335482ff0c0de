"""Which decoders run, and who is told."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deltaforge import kernel
from deltaforge.core.errors import MissingDependencyError
from deltaforge.runtime import dataflow

ROOT = Path(__file__).parents[3]


def deltaforge(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from deltaforge.cli import main; main()", *arguments],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_python_that_was_asked_for_is_no_missing_kernel():
    done = deltaforge("--version", DELTAFORGE_PURE="1", DELTAFORGE_REQUIRE_KERNEL="1")
    assert done.stdout.strip().endswith("decoders: python (DELTAFORGE_PURE is set)")


def test_a_missing_kernel_is_a_warning_at_the_start_or_an_error_where_it_is_required(monkeypatch, caplog):
    for module in (kernel, dataflow):
        monkeypatch.setattr(module, "is_missing", True)
        monkeypatch.setattr(module, "description", "python (no compiled kernel: no module)")
    caplog.set_level(logging.INFO)
    dataflow._say_decoders()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "rows are decoded by python (no compiled kernel: no module): several times slower than by the compiled kernel")
    ]  # fmt: skip
    monkeypatch.setenv(kernel.REQUIRE_VARIABLE, "1")
    with pytest.raises(MissingDependencyError, match=r"REQUIRE_KERNEL is set, and rows would be decoded by python"):
        dataflow._say_decoders()


def test_the_start_says_which_decoders_run(caplog):
    caplog.set_level(logging.INFO)
    dataflow._say_decoders()
    assert [record.message for record in caplog.records] == [f"decoders: {kernel.description}"]


@pytest.mark.parametrize("is_required", [False, True])
def test_a_kernel_that_cannot_be_built_is_loud_and_an_error_where_it_is_required(tmp_path, is_required):
    (tmp_path / "compiler").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "compiler").chmod(0o755)
    source = ROOT / "deltaforge" / "kernel" / "_compiled.cpp"
    assert source.exists()
    compiler = str(tmp_path / "compiler")
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--force", "--build-lib", tmp_path, "--build-temp", tmp_path],
        cwd=ROOT,
        env={**os.environ, "CC": compiler, "CXX": compiler, "DELTAFORGE_REQUIRE_KERNEL": "1" if is_required else "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) is is_required
    assert ("the compiled kernel of DeltaForge could not be built" in done.stderr) is not is_required
