"""Texts that were made to keep a search busy. A search that looks at a text twice for each of its characters needs days
for these; one that looks a bounded number of times at each needs a moment.
"""

import itertools

import pytest

from deltaforge.config.env import expand, references
from deltaforge.config.secret import is_redacted, is_secret_name, redacted, redacted_dsn, secrets_in

SIZE = 1 << 19
ENDLESS = 4 << 20
UNITS = [
    *("a", "a:", "://", "a://b:", "@", ":", "secret", "secret=", "password='", "\\", "'", '"', "=' ", " ", "\n", " ="),
    *("a =", "\\ a=", "&a=", "?password=", "authorization: basic ", "${", "${A:-", "}", "a=\"' ", "a=\\' b=\"", "%4"),
    *("pwdsecret", "password=***", "a://u:***@", "\u00e9", "a ' =", "${file:", "https://a/@ ", "a=b;", "{a="),
]
HEADS = [*itertools.product(("password=", "mysql://u:"), (" ", "\\", "@", "a='"))]


def searched(text):
    redacted(text), redacted_dsn(text), is_redacted("***" + text), secrets_in(text), is_secret_name(text)
    expand(text, {}), list(references(text))


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_of_one_unit_is_searched_in_one_go(unit):
    searched(unit * (SIZE // len(unit)))


@pytest.mark.parametrize(("head", "unit"), HEADS)
def test_a_text_that_begins_like_a_secret_is_searched_in_one_go(head, unit):
    searched(head + unit * (SIZE // len(unit)))


@pytest.mark.parametrize("unit", ["a", "password='"])
def test_what_fills_a_whole_request_is_searched_in_one_go(unit):
    searched(unit * (ENDLESS // len(unit)))
