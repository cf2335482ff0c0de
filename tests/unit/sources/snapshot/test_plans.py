"""Saved plans, decoded by several threads that copy side by side."""

import subprocess
import sys

import pytest

RACE = """
import sys, threading
from deltaforge.sources.mysql.snapshot import reader as mysql
from deltaforge.sources.postgres.snapshot import reader as postgres
sys.setswitchinterval(1e-6)
begins = threading.Barrier(8)
def decode():
    begins.wait()
    mysql._plan_decoder.decode('{"digest": "d", "key": null}')
    postgres._plan_decoder
threads = [threading.Thread(target=decode) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_threads_decode_plans_side_by_side_from_the_first_one_on():
    """Where several threads have msgspec look into one struct for the first time, the process ends inside it."""
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", RACE], check=False).returncode == 0


LOADED = """
import sys

import pytest
from deltaforge.sources.{kind}.spec import {kind_name}SourceSpec as Spec
Spec.table_codec(None, "p", "acme")
sys.exit(not all(f"deltaforge.sources.{kind}.{{name}}" in sys.modules for name in ("client", "snapshot.reader")))
"""


@pytest.mark.parametrize(("kind", "kind_name"), [("mysql", "Mysql"), ("postgres", "Postgres")])
def test_what_connects_is_loaded_before_there_are_threads(kind, kind_name):
    """Two threads that import a client library at a time may see it half loaded, which failed the pipeline."""
    program = LOADED.format(kind=kind, kind_name=kind_name)
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
