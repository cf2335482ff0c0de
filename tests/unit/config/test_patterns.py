import pytest

from deltaforge.config.patterns import TablePatterns, pattern_fault

CASES = [
    (["shop.orders"], "shop", "orders", True),
    (["shop.orders"], "shop", "orders_old", False),
    (["shop.orders"], "Shop", "orders", False),
    (["shop.Orders"], "shop", "orders", False),
    (["shop.*"], "shop", "anything", True),
    (["shop.%"], "shop", "anything", True),
    (["shop.*"], "shop2", "anything", False),
    (["*.orders"], "any", "orders", True),
    (["%.orders"], "any", "orders", True),
    (["*.*"], "a", "b", True),
    (["*"], "a", "b", True),
    (["shop.ord%"], "shop", "orders", True),
    (["shop.ord*"], "shop", "ord", True),
    (["shop.ord*"], "shop", "or", False),
    (["sh%.orders"], "shop", "orders", True),
    (["orders"], "any", "orders", True),
    (["ord%"], "any", "orders", True),
    (["shop.a.b"], "shop", "a.b", True),
    (["shop.a.b"], "shop.a", "b", False),
    (["shop.o*s"], "shop", "orders", False),
    (["shop.o*s"], "shop", "o*s", True),
    (["shop.ord.rs"], "shop", "orders", False),
    (["x.y", "shop.orders"], "shop", "orders", True),
    ([], "shop", "orders", True),
    (["`a.b`.c"], "a.b", "c", True),
    (["`a.b`.c"], "a", "b`.c", False),
    (['"a.b"."c.d"'], "a.b", "c.d", True),
    (["shop.`order%`"], "shop", "order%", True),
    (["shop.`order%`"], "shop", "orders", False),
    (["`o``.k`"], "any", "o`.k", True),
    (['sh%."x.""y"'], "shop", 'x."y', True),
    (["*.`a.b`"], "any", "a.b", True),
    (["`half"], "any", "`half", True),
    (["`a`b.c"], "`a`b", "c", True),
    (["shop.*", "!shop.tmp_*"], "shop", "orders", True),
    (["shop.*", "!shop.tmp_*"], "shop", "tmp_1", False),
    (["!shop.tmp_*", "shop.tmp_1"], "shop", "tmp_1", False),
    (["!shop.tmp_*"], "other", "tmp_1", True),
    (["!shop.tmp_*"], "shop", "tmp_1", False),
    (["!tmp"], "any", "tmp", False),
    (["`!tmp`"], "any", "!tmp", True),
]


@pytest.mark.parametrize(("patterns", "qualifier", "name", "expected"), CASES)
def test_a_table_matches_by_the_two_halves_of_a_pattern(patterns, qualifier, name, expected):
    assert TablePatterns(patterns).matches(qualifier, name) is expected


@pytest.mark.parametrize("patterns", [[], ["*"], ["mysql.*"], ["mysql.user"]])
def test_system_schemas_never_match(patterns):
    allowed = TablePatterns(patterns, system=frozenset({"mysql", "sys"}))
    assert not allowed.matches("mysql", "user")


def test_a_pattern_without_dot_gets_the_default_qualifier():
    allowed = TablePatterns(["orders", "audit.*"], default_qualifier="public")
    assert allowed.matches("public", "orders")
    assert not allowed.matches("other", "orders")
    assert allowed.matches("audit", "orders")


def test_the_default_qualifier_does_not_narrow_an_empty_list():
    assert TablePatterns([], default_qualifier="public").matches("other", "orders")


def test_a_pattern_is_unmatched_if_all_that_it_matches_is_left_out():
    allowed = TablePatterns(["shop.orders", "shop.items", "!shop.o*"])
    assert allowed.unmatched([("shop", "orders"), ("shop", "items")]) == ["shop.orders"]
    assert allowed.all == ["shop.orders", "shop.items"]


def test_what_is_left_out_follows_the_case_of_the_server():
    allowed = TablePatterns(["shop.*", "!shop.Tmp*"])
    allowed.ignores_case = True
    assert not allowed.matches("SHOP", "TMP_1")


@pytest.mark.parametrize("pattern", ["", " ", ".orders", "shop.", "!", "!shop."])
def test_a_pattern_that_can_never_match_is_a_fault(pattern):
    assert pattern_fault(pattern)


@pytest.mark.parametrize("pattern", ["orders", "shop.orders", "*", "%.x", "a.b.c"])
def test_a_usable_pattern_is_no_fault(pattern):
    assert pattern_fault(pattern) is None


def test_case_is_the_servers_matter():
    allowed = TablePatterns(["Shop.Ord*", "`My.db`.T"])
    assert not allowed.matches("shop", "orders")
    allowed.ignores_case = True
    assert allowed.matches("shop", "ORDERS")
    assert allowed.matches("my.DB", "t")


def test_patterns_without_a_table_are_found():
    tables = [("shop", "orders"), ("mysql", "user")]
    allowed = TablePatterns(["shop.*", "mysql.user", "orders", "Shop.orders"], system=frozenset({"mysql"}))
    assert allowed.unmatched(tables) == ["mysql.user", "Shop.orders"]
    assert TablePatterns([]).unmatched([]) == []
    assert allowed.qualifier_of("shop.*") == "shop"
    assert allowed.qualifier_of("orders") is None
