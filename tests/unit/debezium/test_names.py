"""Debezium's expressions against the tables that Java's regular expressions match, which Python's are near enough to."""

import re

import pytest

from deltaforge.config.patterns import TablePatterns
from deltaforge.debezium.names import UnclearNameError, patterns_of, split_list, tables_of

TABLES = [
    (qualifier, name)
    for qualifier in ("shop", "shop2", "Shop", "a-b", "audit", "shopXorders")
    for name in ("orders", "orders_old", "items", "x", "order.s", "o*s", "sh")
]


def said(expression):
    return [f"{left.pattern}.{right.pattern}" for left, right in tables_of(expression)]


@pytest.mark.parametrize(
    ("expression", "patterns"),
    [
        ("shop.orders", ["shop.orders"]),
        (r"shop\.orders", ["shop.orders"]),
        ("^shop[.]orders$", ["shop.orders"]),
        (r"\Qshop.orders\E", ["shop.orders"]),
        (r"shop\.(orders|items)", ["shop.orders", "shop.items"]),
        (r"(shop|audit)\.(?:orders|items)", ["shop.orders", "shop.items", "audit.orders", "audit.items"]),
        (r"shop\..*", ["shop.*"]),
        (r"shop\.order.*", ["shop.order*"]),
        ("shop.*", ["shop*.*"]),
        (".*", ["*.*"]),
        (r".*\.orders", ["*.orders"]),
        (r"a\-b\.x", ["a-b.x"]),
        (r"shop\.o\*s", ['shop."o*s"']),
    ],
)
def test_expressions_are_said_by_patterns(expression, patterns):
    assert said(expression) == patterns


@pytest.mark.parametrize("expression", [
    r"shop\.orders", "shop.orders", "shop.*", r"shop\..*", r"shop\.order.*", r"(shop|audit)\.(orders|x)", r"shop.*\.items",
    r"shop\.o\*s", ".*", r".*\.x",
])  # fmt: skip
def test_patterns_match_what_the_expressions_match(expression):
    patterns = TablePatterns(said(expression))
    patterns.ignores_case = True
    java = re.compile(expression, re.IGNORECASE)
    assert [t for t in TABLES if patterns.matches(*t)] == [t for t in TABLES if java.fullmatch(".".join(t))]


@pytest.mark.parametrize("expression", [
    r"shop\.orders[0-9]+", r"shop\.orders?", r"shop\.\w+", "shop.orders.*", r".*orders", r"shop\.a\.b", r"shop\.(a", r"shop\.a)",
    "orders", r"shop\.x{2}", r"shop\.[ab]", "a.b.c", r"shop\.", r"\.x", "(a|b|c|d|e|f)" * 8 + r"\.x",
])  # fmt: skip
def test_what_no_pattern_says_is_refused(expression):
    with pytest.raises(UnclearNameError):
        tables_of(expression)


def test_lists_are_split_at_commas_without_a_backslash():
    assert split_list(r"a.b, c\,d.e,,f.g ") == ["a.b", "c,d.e", "f.g"]


@pytest.mark.parametrize(
    ("tables", "qualifiers", "patterns"),
    [
        (None, None, None),
        (None, "shop,audit.*", ["shop.*", "audit*.*"]),
        (r"shop\.orders,other\.x", "shop", ["shop.orders"]),
        (r".*\.orders", "shop,audit", ["shop.orders", "audit.orders"]),
        (r"shop\.o.*", "s.*", ["shop.o*"]),
    ],
)
def test_both_lists_have_to_hold(tables, qualifiers, patterns):
    assert patterns_of(tables, qualifiers, lambda *why: pytest.fail(str(why))) == patterns


def test_each_expression_that_cannot_be_said_is_told():
    told = []
    assert patterns_of(r"shop\.orders,shop\.[xy]", None, lambda *why: told.append(why[0])) == ["shop.orders"]
    assert told == [r"shop\.[xy]"]
