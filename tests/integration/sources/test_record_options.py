"""Options of the connect dialect that leave rows out or change them: the kernel makes the messages, and they are those of
Python.
"""

import pytest

from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec
from deltaforge.kernel import compiled as kernel
from deltaforge.kernel import description
from deltaforge.records.cdc import compile_cdc
from deltaforge.records.conversion import Form
from deltaforge.records.types import CdcModes
from tests.databases import database_with
from tests.reading import mysql_reader, postgres_reader, python_events, readers_of
from tests.records import by_kernel, by_python

pytestmark = pytest.mark.skipif(kernel is None, reason=description)
LONG = "a text with \u00e9, \U0001f600 and more than a few letters"
TABLE = "create table t (id int primary key, a int, note varchar(80), raw {}, at timestamp, noise int, mood {})"
LABELS = "enum('sad', 'happy')"
STATEMENTS = (
    f"insert into t values (1, 1, '{LONG}', null, '2024-01-02 03:04:05', 1, 'happy'), (2, 2, null, 'abc', null, 1, 'sad')",
    "update t set noise = 2",
    "update t set a = a + 1, noise = 3",
    "update t set note = 'now', at = '2024-01-02 03:04:06' where id = 2",
    "update t set at = '2025-01-02 03:04:06' where id = 2",
    "update t set note = '', raw = 'x' where id = 1",
    "delete from t where id = 2",
)
EVENTS = 2 + 2 + 2 + 1 + 1 + 1 + 1
SALTED = {"columns": [r".*\.note"], "salt": "s\u00e4lt"}
OPTIONS = {
    "mask": {"column_mask": [{"columns": [r".*\.note"], "length": 4}]},
    "hash": {"column_hash": [SALTED | {"algorithm": "SHA-256"}]},
    "first hash": {"column_hash": [SALTED | {"algorithm": "MD5", "version": 1}]},
    "cut": {"column_truncate": [{"columns": [r".*\.(note|raw)"], "length": 14}]},
    "no inserts": {"skipped_operations": ["c"]},
    "no updates": {"skipped_operations": ["u"]},
    "no deletes": {"skipped_operations": ["d"]},
    "no change": {"skip_messages_without_change": True, "column_exclude_list": [r".*\.noise"]},
}


@pytest.fixture(params=["mysql", "postgres"])
def database(request):
    if request.param == "mysql":
        statements = [TABLE.format("varbinary(30)", LABELS)]
    else:
        statements = [f"create type mood as {LABELS}", TABLE.format("bytea", "mood")]
    with database_with(request, *statements) as database:
        if request.param == "postgres":
            database.execute("alter table t replica identity full")
        yield database


@pytest.fixture
def groups(database, tmp_path):
    """Of all rows."""
    is_mysql = database.server.scheme == "mysql"
    with readers_of(mysql_reader if is_mysql else postgres_reader, tmp_path) as make:
        reader = make(database)
        database.execute(*STATEMENTS)
        reader.read(EVENTS)
        yield [group for batch in reader.batches for group in batch.groups]


def python_events_of(groups):
    """The events of groups, and how many of them are in groups that are not the kernel's."""
    others = sum(group.event_count for group in groups if not isinstance(group, kernel.RowGroup))
    assert others < EVENTS // 2
    return [event for group in groups for event in python_events(group)], others


def test_labels_of_enums_are_numbers_in_avro(groups):
    events, others = python_events_of(groups)
    plan = compile_cdc(events[0], events[0].schema, CdcModes("long", "enum", "timestamp")).plan
    assert Form.LABEL in [column.conversion.form for column in plan.columns]
    assert by_kernel(groups, plan, events) == (by_python(plan, events), others)


def test_rows_are_masked_and_skipped_by_the_kernel(groups):
    events, others = python_events_of(groups)
    counts = {}
    for name, options in OPTIONS.items():
        envelope = DebeziumEnvelopeSpec(dialect="connect", **options).build()
        for writer in ("json", "avro"):
            plan = envelope.compiled(events[0], writer).plan
            found, left = by_kernel(groups, plan, events)
            assert (found, left) == (by_python(plan, events), others), (name, writer)
            counts[name] = sum(len(messages) for messages in found)
    assert counts == {
        "mask": EVENTS + 1, "hash": EVENTS + 1, "first hash": EVENTS + 1, "cut": EVENTS + 1, "no inserts": EVENTS - 1,
        "no updates": 4, "no deletes": EVENTS - 1, "no change": EVENTS - 1,
    }  # fmt: skip
