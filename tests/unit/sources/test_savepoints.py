"""Which savepoint a ROLLBACK TO means."""

import pytest

from deltaforge.core.errors import SchemaError
from deltaforge.sources.mysql.statement import Statement
from deltaforge.sources.mysql.statements import Meaning, kept_by, meaning_of, savepoint_name


def test_the_name_is_the_last_token():
    assert savepoint_name(Statement("SAVEPOINT `Before x`")) == "before x"
    assert savepoint_name(Statement("rollback work to savepoint `a``b` -- to c")) == "a`b"
    with pytest.raises(SchemaError):
        savepoint_name(Statement("rollback to 'a'"))


@pytest.mark.parametrize("sql", ["rollback to a", "ROLLBACK WORK TO SAVEPOINT `to`", "rollback /* x */ to `a b`"])
def test_rollbacks_to_a_savepoint(sql):
    assert meaning_of(Statement(sql)) is Meaning.ROLLBACK_TO


@pytest.mark.parametrize("sql", ["ROLLBACK", "rollback work", "rollback and chain", "rollback /* to a */"])
def test_whole_rollbacks(sql):
    assert meaning_of(Statement(sql)) is Meaning.ROLLBACK


def test_what_is_kept():
    assert kept_by(Statement("rollback to A"), {"a": 3, "b": 5}) == 3
    assert kept_by(Statement("rollback to grose"), {"größe": 4}) == 4
    for savepoints in ({}, {"b": 1}, {"größe": 1, "grose": 2}):
        with pytest.raises(SchemaError, match="rolled back to"):
            kept_by(Statement("rollback to größe"), savepoints)
