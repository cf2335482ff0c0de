"""The kernel's entry points take anything from Python: what is wrong is refused, and the process lives on."""

import subprocess
import sys
from pathlib import Path

import pytest

from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description

pytestmark = pytest.mark.skipif(kernel is None, reason=description)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_argument_ends_the_process(tmp_path, seed):
    note = tmp_path / "call"
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.misuse", "--calls", "20000", "--seed", str(seed), "--note", str(note)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, f"{note.read_text()[:2000]}\n{done.stderr[-2000:]}"


def scanner():
    return kernel.TransactionScanner(True, False, "server", {})


@pytest.mark.parametrize("index", [-1, 5, 2**62])
def test_a_scan_begins_inside_its_events(index):
    with pytest.raises(IndexError):
        scanner().scan([b"x"], index, "f", 4, 1, 1)


@pytest.mark.parametrize("index", [-10_000_000, -1, 2, 2**62])
def test_rows_begin_inside_their_block(index):
    transaction = kernel.Transaction("postgresql", "sys", "0/1", "", None)
    with pytest.raises(IndexError):
        kernel.copy_data([b"w" * 40]).rows(index, {}, transaction, 1, 1, b"0/1")


def targets():
    return kernel.TargetTemplates(("t",), None, None).targets()


def test_what_nothing_has_filled_is_refused():
    group = kernel.RowGroup()
    with pytest.raises(ValueError, match="without rows"):
        group.events()
    for call in (
        lambda: kernel.EncodedEvents().extend([group], 0, 0, kernel.JsonForm("native")),
        lambda: kernel.pack_groups([group], 0),
        lambda: kernel.row_sample([group], [], 0, 1, 1, 1),
        lambda: kernel.xadd_commands(group, kernel.EncodedEvents(), targets(), 0),
        lambda: targets().extend([group], 0),
    ):
        with pytest.raises(ValueError, match="without rows"):
            call()


def test_what_groups_point_into_is_made_once():
    transaction = kernel.Transaction("mysql", "s", "f:4", "g", None)
    with pytest.raises(ValueError, match="has its identity"):
        transaction.__init__("mysql", "s", "f:5", "h", None)
    texts = kernel.TableTexts(*[b"x"] * 6)
    plan = kernel.RowPlan(object(), ["a"], ["a"], texts, texts)
    with pytest.raises(ValueError, match="2 types for 1 columns"):
        plan.set_postgres([("int4", False, ",")] * 2)
    plan.set_postgres([("int4", False, ",")])
    with pytest.raises(ValueError, match="have their types"):
        plan.set_postgres([("text", False, ",")])
