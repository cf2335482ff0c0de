"""Values that cannot be stored or sent are refused where they come in."""

import json

import pytest

from deltaforge.config.values import refuse_unusable
from deltaforge.core.errors import SpecError

REFUSED = [
    ('{"a": [1, NaN]}', "a[1]: must be a finite number"),
    ('{"a": Infinity}', "a: must be a finite number"),
    ("[-Infinity]", "[0]: must be a finite number"),
    ('{"a": {"b": 1e400}}', "a.b: must be a finite number"),
    ('{"a": 18446744073709551616}', "a: must be a number of at most 64 bits"),
    ('{"a": -9223372036854775809}', "a: must be a number of at most 64 bits"),
    (r'{"a": ["x", "\ud800"]}', "a[1]: must be Unicode text"),
    (r'{"a": {"\udfff": 1}}', "a: must be Unicode text"),
    (r'{"a": "x\u0000y"}', "a: must not hold the character NUL"),
    (r'{"\u0000": 1}', "must not hold the character NUL"),
    ("1e999", "must be a finite number"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_stored_is_refused_with_its_place(text, message):
    with pytest.raises(SpecError) as caught:
        refuse_unusable(json.loads(text))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [b"x", {1: 2}, {"a"}, (1,)])
def test_values_that_json_does_not_have_are_refused(value):
    with pytest.raises(SpecError):
        refuse_unusable({"a": value})


@pytest.mark.parametrize(
    "text", ['{"a": [1.5, -1, true, null, "é\\ud83d\\ude00", 18446744073709551615]}', "1", '""', "[]"]
)
def test_everything_else_is_taken(text):
    refuse_unusable(json.loads(text))


def test_there_may_be_so_many_values_and_no_more():
    refuse_unusable([[1], {"a": 2}], max_values=4)
    with pytest.raises(SpecError, match="more than 3 values"):
        refuse_unusable([[1], {"a": 2}], max_values=3)
