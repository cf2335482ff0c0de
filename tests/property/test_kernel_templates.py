"""The kernel renders templates out of log bytes as Python does out of events, or leaves the rows to Python."""

import logging
import random
import re
import struct
from collections import Counter

import pytest

from deltaforge.core.errors import DeltaForgeError, RecordError
from deltaforge.core.routing import Destination, MessageKey, row_key
from deltaforge.core.table import Column, TableId, TableSchema
from deltaforge.core.template import Template
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.postgres.messages import Relation, RelationColumn
from deltaforge.protocol.postgres.values import TypeInfo
from deltaforge.sinks.kafka.driver import new_driver
from deltaforge.sources.mysql.group import row_group
from deltaforge.sources.postgres.event_mapper import CapturedTable, EventMapper
from tests.fuzz import copied_rows, mysql_rows, transactions
from tests.reading import python_events
from tests.schemas import registered

pytestmark = pytest.mark.skipif(kernel is None, reason=description)

FACTS = (
    "op", "ts_ms", "event_id", "tenant_id", "transaction.id", "transaction.id.x", "transaction.total_order", "transaction",
    "schema_version", "schema_sequence", "after", "nowhere", "tags", "tx_end", "zero_dates", "schema", "source.file.x",
    *(f"source.{name}" for name in ("connector", "name", "db", "schema", "table", "version", "ts_ms", "server_id", "gtid",
                                    "file", "pos", "row", "lsn", "txId", "snapshot", "nothing")),
)  # fmt: skip
MEMBERS = ("a", "b", "x", "é", "_base64", "srid", "_unchanged", '"')
ALLOWED = re.compile(r"[^z]{0,90}", re.DOTALL)


def mysql_groups(rnd):
    case = mysql_rows.Case(rnd, 0)
    transaction = backend.Transaction("mysql", "s", case.gtid or "f:4", case.gtid, None)
    return [
        row_group(case.table, case.rows, transaction, mysql_rows.PLACE),
        *transactions.taken_from_mysql(case, rnd, 0),
        *copied_rows.MysqlCase(rnd, 0).groups(),
    ]


def postgres_groups(rnd):
    case = copied_rows.PostgresCase(rnd, 0)
    return transactions.taken_from_postgres(case, rnd, 0) + case.groups()


def path(rnd, names):
    draw = rnd.random()
    if draw < 0.15:
        return rnd.choice(FACTS)
    image, name = rnd.choice(("after", "after", "before")), rnd.choice([*names, "no such column"])
    return f"{image}.{name}.{rnd.choice(MEMBERS)}" if draw < 0.35 else f"{image}.{name}"


def template(rnd, names):
    parts = [rnd.choice(("", "t.", "é")) + "${" + path(rnd, names) + "}" for _ in range(rnd.choice((1, 1, 1, 2, 3)))]
    return "".join(parts)


def by_python(events, destination, key):
    return [(destination.of(event, n), key.of(event, n)) for n, event in enumerate(events)]


def by_kernel(group, topic, key):
    """Destinations, keys and missing paths; None if the group is left to Python."""
    parts = (Template.parse(topic).parts, Template.parse(key).parts)
    templates = kernel.TargetTemplates(*parts, lambda name: ALLOWED.fullmatch(name) is not None)
    targets = templates.targets()
    if targets.extend([group, group], 0) == 0:
        assert len(targets) == 0
        assert targets.extend([group], 0) == 0, "a name that was refused before is refused again"
        return None
    half = len(targets) // 2
    found = [(targets.destination(n), targets.key(n)) for n in range(len(targets))]
    assert found[half:] == found[:half]
    return found[:half], templates.missing_paths()


@pytest.mark.parametrize("groups_of", [mysql_groups, postgres_groups], ids=["mysql", "postgres"])
def test_destinations_and_keys(groups_of):
    rnd, outcomes, members = random.Random(31), [], 0
    while len(outcomes) < 2000:
        try:
            groups = groups_of(rnd)
            all_events = [python_events(group) for group in groups]
        except DeltaForgeError:
            continue
        for group, events in zip(groups, all_events, strict=True):
            if type(group) is not kernel.RowGroup:
                continue
            names = [name for name in (events[0].after or events[0].before or {}) if not set(name) & set("${}.")]
            topic, key, missing = rnd.choice(("t", template(rnd, names))), template(rnd, names), []
            found = by_kernel(group, topic, key)
            try:
                wanted = by_python(
                    events, Destination(topic, "topic", allowed=ALLOWED), MessageKey(key, row_key, missing.append)
                )
            except RecordError:
                wanted = None
            if wanted is None:
                assert found is None, (topic, key)
            elif found is not None:
                assert found[0] == wanted, (topic, key)
                assert {message.split("`")[1] for message in missing} == set(found[1]), (topic, key)
                members += sum(key.count(f".{member}}}") for member in MEMBERS if found[0][0][1])
            outcomes.append((wanted is None, found is None))
    by_both = outcomes.count((False, False))
    assert by_both > 4 * outcomes.count((False, True)), "Python has to do what the kernel could"
    assert by_both > 800
    assert members > 20


@pytest.mark.parametrize("number", [9223372036854775807, -9223372036854775808, 1234567890123456789])
def test_the_largest_integers_are_plain(number):
    schema = TableSchema(TableId("d", "s", "t"), (Column("id", "bigint"),), ("id",))
    relation = Relation(7, "s", "t", "f", (RelationColumn("id", 20, -1, True),))
    table = CapturedTable(relation, registered(schema), {20: TypeInfo(20, "int8")}, EventMapper("p", "acme", "d"))
    text = str(number).encode()
    message = b"I" + struct.pack(">I", 7) + b"N" + struct.pack(">H", 1) + b"t" + struct.pack(">I", len(text)) + text
    transaction = kernel.Transaction("postgresql", "sys", "0/1", "", None)
    _, group, _, _ = kernel.copy_data([b"w" + bytes(24) + message]).rows(0, {7: table}, transaction, 1, 9, b"0/1")
    assert by_kernel(group, "t", "k${after.id}") == ([("t", b"k" + text)], [])


def test_more_topics_than_handles_are_kept():
    """Without a broker: what the producer takes waits in it, and keeps its topic."""
    driver = new_driver({"bootstrap.servers": "127.0.0.1:1"}, logging.getLogger("test"))
    values, targets = kernel.EncodedEvents(), kernel.TargetTemplates(("t",), None, None).targets()
    for n in range(1500):
        values.append(b"{}", b"")
        targets.append(f"t{n}", b"" if n % 2 else b"k", {"h": "1"} if n % 3 == 0 else {})
    try:
        assert [driver.produce_rows(values, targets, 0, 1500) for _ in range(3)] == [1500] * 3
        driver.purge()
        driver.flush(5)
        topics = Counter(content[2] for kind, content in driver.reports() if kind == "delivery")
    finally:
        driver.close()
    assert topics == {f"t{n}": 3 for n in range(1500)}
