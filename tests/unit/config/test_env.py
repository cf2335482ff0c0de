import pytest

from deltaforge.config.env import expand

ENV = {"HOST": "db1", "EMPTY": "", "NESTED": "${HOST}"}

CASES = [
    ("host: ${HOST}", "host: db1", []),
    ("${HOST}:${HOST}", "db1:db1", []),
    ("${HOST:-other}", "db1", []),
    ("${NOPE:-other}", "other", []),
    ("${NOPE:-}", "", []),
    ("${EMPTY:-other}", "other", []),
    ("${EMPTY}", "", []),
    ("${NESTED}", "${HOST}", []),
    ("${NOPE}", "${NOPE}", ["NOPE"]),
    ("${NOPE} ${NOPE} ${ALSO}", "${NOPE} ${NOPE} ${ALSO}", ["NOPE", "ALSO"]),
    ("topic: ${source.table}", "topic: ${source.table}", []),
    ("topic: ${op}", "topic: ${op}", []),
    ("# ${NOPE}\nx: ${HOST}\n", "# ${NOPE}\nx: db1\n", []),
    ("$HOST ${} ${1A} $${HOST}", "$HOST ${} ${1A} $db1", []),
    ("${HOST", "${HOST", []),
]


@pytest.mark.parametrize(("text", "expected", "unknown"), CASES)
def test_expansion(text, expected, unknown):
    assert expand(text, ENV) == (expected, unknown)
