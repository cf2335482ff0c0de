"""Templates: what parses, and what a path leads to."""

from decimal import Decimal

import msgspec
import pytest

from deltaforge.core.event import Transaction
from deltaforge.core.template import Template
from deltaforge.testing.fakes import make_event

EVENT = msgspec.structs.replace(
    make_event(7, 0x10),
    after={
        "id": 7, "name": "Ann", "ok": True, "none": None, "price": "1.50", "big": Decimal(12345678901234567890123),
        "ratio": 0.5, "doc": {"a": {"b": 1}}, "raw": {"_base64": "AA=="}, "tags": [1, "x"], "empty": "",
    },
    transaction=Transaction("771", 3),
    tenant_id="acme",
)  # fmt: skip


def render(text):
    missing = []
    return Template.parse(text).render(EVENT, lambda path: missing.append(path) or "?"), missing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("orders", "orders"),
        ("${source.table}", "t"),
        ("cdc.${source.db}.${source.schema}.${source.table}", "cdc.app.public.t"),
        ("${op}${op}", "cc"),
        ("${source.connector}/${source.lsn}", "postgresql/0/10"),
        ("${ts_ms}", "1"),
        ("${tenant_id}", "acme"),
        ("${transaction.id}-${transaction.total_order}", "771-3"),
        ("${after.id}", "7"),
        ("${after.name}!", "Ann!"),
        ("${after.ok}", "true"),
        ("${after.price}", "1.50"),
        ("${after.big}", "12345678901234567890123"),
        ("${after.ratio}", "0.5"),
        ("${after.empty}", ""),
        ("${after.doc.a}", '{"b":1}'),
        ("${after.raw._base64}", "AA=="),
        ("${after.tags}", '[1,"x"]'),
        ("${tx_end}", "false"),
        ("$ {a} $a }{ $", "$ {a} $a }{ $"),
    ],
)
def test_paths_lead_into_the_native_event(text, expected):
    assert render(text) == (expected, [])


@pytest.mark.parametrize(
    "path",
    [
        "after.nothing",
        "after.none",
        "before.id",
        "source.gtid",
        "source.nothing",
        "source.table.x",
        "transaction.data_collection_order",
        "nothing",
        "after.name.x",
        "after.tags.0",
        "event_id",
        "routing.topic",
        "schema.primary_key",
        "__class__",
        "after.items",
        "source.__class__",
    ],
)
def test_null_and_nothing_are_missing_and_the_inside_of_the_event_is_not_seen(path):
    assert render(f"a${{{path}}}b") == ("a?b", [path])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a${", "unclosed `${` at character 2"),
        ("${a} ${b", "unclosed `${` at character 6"),
        ("x${}", "empty `${}` at character 2"),
        ("${a..b}", "empty path segment in `${a..b}` at character 1"),
        ("${.a}", "empty path segment"),
        ("${a.b.c.d}", "more than 3 path segments in `${a.b.c.d}` at character 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text, reason):
    with pytest.raises(ValueError) as caught:
        Template.parse(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("text", "is_static"), [("", True), ("a$b", True), ("${op}", False), ("a${op}b", False)])
def test_only_a_template_without_paths_is_static(text, is_static):
    assert Template.parse(text).is_static is is_static
