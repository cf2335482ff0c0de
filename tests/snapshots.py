"""Tables that are there before their pipeline, and how far it is with copying them."""

import json
import socket

from deltaforge.checkpoint.reader import read_source_state
from tests.copies import copied
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import source_of


def assert_nothing_twice(events):
    """No event comes twice. A row that is changed while its table is copied may be read in both its places, and is
    another one then.
    """
    seen = set()
    for event in events:
        found = event["event_id"], event["op"] == "r" and event["after"]["seq"]
        assert found not in seen, f"{event['op']} {json.dumps(event['after'])} came twice"
        seen.add(found)


TEXT = "x" * 300
"""Some twenty such rows are a page of PostgreSQL, and so a chunk."""


def create_items(database, count, *, text=TEXT):
    """A table of so many rows, all of version 0, and its publication."""
    database.execute("create table items (id bigint primary key, seq bigint not null, name varchar(400))")
    add_items(database, range(1, count + 1), text=text)
    if database.server.scheme != "mysql":
        database.execute("create publication pub for all tables")


def add_items(database, ids, *, text=TEXT):
    """More rows of that table."""
    for start in range(0, len(ids), 5000):
        database.execute(f"insert into items values {','.join(f'({n},0,{text!r})' for n in ids[start : start + 5000])}")


def pipeline_with_snapshot(folder, database, sinks, *, snapshot=None, **spec):
    """A pipeline that copies the tables of a database first; ``snapshot``: more of that part of the document."""
    copy = {"mode": "initial", "chunk_size": 10, **(snapshot or {})}
    return PipelineProcess(folder, source_of(database, snapshot=copy), sinks, **spec)


def copied_ids(events):
    """The ids of copied rows, in order of their delivery."""
    return [event["after"]["id"] for event in copied(events)]


def saved_snapshots(pipeline):
    """The jobs of the saved state, those that are over behind the others."""
    state = read_source_state(pipeline.paths.recovery)
    return [*state.snapshot.jobs, *state.snapshot.ended] if state is not None and state.snapshot is not None else []


def wait_until_copied(pipeline, count=1):
    """Return when so many jobs are completed and saved."""

    def is_done():
        pipeline.assert_runs()
        jobs = saved_snapshots(pipeline)
        assert not [job for job in jobs if job.status == "failed"], pipeline.log()
        return len([job for job in jobs if job.status == "completed"]) >= count

    wait_for(is_done)


def saved_rows(pipeline):
    """How many rows the saved state says are copied."""
    return sum(table.row_count for job in saved_snapshots(pipeline) for table in job.tables)


def ask(pipeline, **request):
    """What the control socket answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(pipeline.paths.socket))
        client.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(client.makefile("rb").readline())


def job(pipeline, job_id):
    """A job as the control socket shows it."""
    return next(job for job in ask(pipeline, cmd="snapshots")["jobs"] if job["id"] == job_id)
