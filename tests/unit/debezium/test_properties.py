"""The table of properties against the list that Debezium's own jars gave: ``tests/golden/debezium``."""

import json
import re
from pathlib import Path

import pytest

from deltaforge.debezium.draft import Draft
from deltaforge.debezium.importing import PROPERTIES, find_property
from deltaforge.envelopes.debezium import DebeziumEnvelopeSpec

RECORDED = json.loads((Path(__file__).parents[2] / "golden" / "debezium" / "properties.json").read_text())
CONNECTORS = ("mysql", "mariadb", "postgresql")
INHERITED = {"database.dbname", "schema.include.list", "schema.exclude.list"}
"""That MySQL's and MariaDB's classes have of a common parent, and do not read."""
WRITTEN_OUT = {
    "bigint.unsigned.handling.mode",
    "include.schema.changes",
    "extended.headers.enabled",
    "time.precision.mode",
}
"""What ours does by default is something else, or (the last one) depends on the source."""
INHERITED_BY_POSTGRES = {"database.include.list", "database.exclude.list", "include.schema.changes"}


def plain(name):
    """The recorded names of families hold a regular expression."""
    return re.sub(r"\([^)]*\)", "8", name)


def test_the_list_is_that_of_the_connectors():
    assert {kind: len(names) > 20 for kind, names in RECORDED.items()} == dict.fromkeys([*CONNECTORS, "connect"], True)
    assert {"slot.name", "table.include.list"} <= RECORDED["postgresql"].keys()


@pytest.mark.parametrize("kind", RECORDED)
def test_every_property_has_a_row_for_its_connector(kind):
    rows = {name: find_property(plain(name)) for name in RECORDED[kind]}
    assert [name for name, row in rows.items() if row is None] == []
    foreign = INHERITED_BY_POSTGRES if kind == "postgresql" else INHERITED
    kinds = CONNECTORS[:1] if kind == "connect" else (kind,)
    assert {name for name, row in rows.items() if not row.kinds >= set(kinds)} <= foreign


def test_every_row_is_needed():
    known = {find_property(plain(name)).name for names in RECORDED.values() for name in names}
    left = {row.name for row in PROPERTIES if row.name not in known and "<" not in row.name}
    # read by strategies of topics, channels of signals, the worker and Debezium Server, which have lists of their own
    topics = {"topic.delimiter", "topic.transaction", "topic.cache.size", "topic.creation.enable"}
    assert left == {"signal.file", "offset.storage", *topics}
    assert len({row.name for row in PROPERTIES}) == len(PROPERTIES)


@pytest.mark.parametrize("kind", CONNECTORS)
def test_a_default_written_out_changes_no_message(kind):
    """Also shows that our defaults are theirs, but for those that the importer writes out."""
    made = DebeziumEnvelopeSpec(type="debezium", dialect="connect", topic_prefix="p").model_dump()
    for name, default in RECORDED[kind].items():
        row = find_property(plain(name))
        if default is None or kind not in row.kinds or name == "schema.history.internal":
            continue
        draft = Draft(kind, {})
        draft.subject = name
        row.take(draft, default)
        assert [report for report in draft.reports if report.is_lost] == [], name
        for setting, value in draft.envelope.items():
            assert setting in made, name
            if name not in WRITTEN_OUT:
                assert made[setting] == value, name
