"""What a publication leaves out is found out: the log has it, the stream has not."""

import logging

import pytest

from deltaforge.core.errors import SourceError
from deltaforge.core.positions import LogEdge
from deltaforge.core.retry import Retry, retry_of
from tests.reading import postgres_reader, readers_of

MAKE, DROP = "create publication pub for table t, u", "drop publication pub"


@pytest.fixture
def database(any_postgres_database):
    any_postgres_database.execute(
        "create table t (id int primary key, v text)", "create table u (id int primary key)", "create table other (id int)",
        MAKE,
    )  # fmt: skip
    return any_postgres_database


@pytest.fixture
def reader_of(tmp_path):
    with readers_of(postgres_reader, tmp_path) as make:
        yield make


def changes(reader):
    """The counted changes of the publication, by kind."""
    (metric,) = reader.metrics.publication_changes.collect()
    return {sample.labels["change"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


def is_of_18(database):
    return database.rows("show server_version_num") >= [("180000",)]


@pytest.mark.parametrize("was_down", [True, False], ids=["while down", "while reading"])
def test_a_row_written_while_there_was_no_publication_stops_the_source(database, reader_of, was_down):
    reader = reader_of(database)
    database.execute("insert into t values (1)")
    assert reader.read(1)[0].after["id"] == 1
    if was_down:
        reader.close()
    database.execute(DROP, "insert into t values (2)", MAKE, "insert into t values (3)")
    for is_connected in (not was_down, False):  # nor does it go on by itself
        if not is_connected:
            reader.open()
        with pytest.raises(SourceError, match="no publication pub") as caught:
            reader.read(1)
        assert retry_of(caught.value) is Retry.OPERATOR
        assert "reset the checkpoint" in caught.value.hint
    reader.open(LogEdge("latest"))
    database.execute("insert into t values (4)")
    assert reader.read(1)[0].after["id"] == 4


def test_nothing_written_in_between_is_no_gap(database, reader_of, caplog):
    reader = reader_of(database)
    start = reader.position
    reader.close()
    database.execute("insert into t values (1)", DROP, MAKE, "insert into t values (2)")
    with caplog.at_level(logging.WARNING):
        assert [event.after["id"] for event in reader.restart().open(start).read(2)] == [1, 2]
    assert changes(reader) == {"recreated": 1}
    assert "dropped and made again" in caplog.text


def test_with_warn_it_goes_on_and_counts(database, reader_of, caplog):
    reader = reader_of(database, on_publication_gap="warn")
    database.execute("insert into t values (1)", DROP, "insert into t values (2)", MAKE, "insert into t values (3)")
    if not is_of_18(database):
        with pytest.raises(SourceError, match="no publication pub"):
            reader.read(2)
        return
    assert [event.after["id"] for event in reader.read(2)] == [1, 3]
    assert changes(reader)["missing"] == 1
    assert "going on without them" in caplog.text


ALTERED = [
    (
        ["alter publication pub drop table t", "alter publication pub add table t"],
        ["public.t was taken out and put in"],
    ),
    (["alter publication pub drop table t"], ["public.t is not published any more"]),
    (["alter publication pub set (publish = 'insert, update')"], ["delete is not", "truncate is not"]),
    (["alter publication pub set table t where (id > 7), u"], ["public.t was taken out", "row filter"]),
    (["alter publication pub set table t (id), u"], ["public.t was taken out", "only some columns of public.t"]),
    (["alter publication pub set (publish_via_partition_root = true)"], ["publish_via_partition_root is on"]),
    (["drop publication pub", "create publication pub for all tables"], ["made again", "for all tables now"]),
    (["drop publication pub", "create publication pub for table u"], ["made again", "public.t is not published"]),
    (["alter publication pub add table other"], []),
    (["alter publication pub drop table u"], []),
    (["alter table t rename to renamed", "alter table renamed rename to t"], []),
]


@pytest.mark.parametrize("was_down", [True, False], ids=["while down", "while reading"])
def test_an_altered_publication_is_a_warning_and_is_counted(database, reader_of, caplog, monkeypatch, was_down):
    monkeypatch.setattr("deltaforge.sources.postgres.stream.SLOT_CHECK_SECS", 0.0)
    reader, counted = reader_of(database, tables=["t"]), 0
    for statements, texts in ALTERED:
        if was_down:
            reader.close()
        caplog.clear()
        database.execute(*statements)
        if was_down:
            reader.restart().open()
        for _ in range(2):  # and once only
            reader.stream.keep_alive(reader.position)
        warnings = [record.getMessage() for record in caplog.records if "publication pub: " in record.getMessage()]
        assert [text for text, warning in zip(texts, warnings, strict=True) if text not in warning] == [], warnings
        counted += len(texts)
        assert sum(changes(reader).values()) == counted
        database.execute(DROP, MAKE)
        reader.stream.keep_alive(reader.position)
        counted = sum(changes(reader).values())


def test_a_publication_that_is_gone_is_said_before_anything_is_written(database, reader_of, caplog, monkeypatch):
    monkeypatch.setattr("deltaforge.sources.postgres.stream.SLOT_CHECK_SECS", 0.0)
    reader = reader_of(database)
    database.execute(DROP)
    for _ in range(2):
        reader.stream.keep_alive(reader.position)
    assert caplog.text.count("it does not exist") == 1
    assert changes(reader) == {"dropped": 1}


def test_what_a_publication_leaves_out_is_said_at_the_first_start(database, reader_of, caplog):
    database.execute(
        "alter publication pub set (publish = 'insert')", "alter publication pub set table t (id) where (id > 1)"
    )
    reader = reader_of(database, tables=["t"])
    text = caplog.text
    assert "update, delete, truncate are not published" in text
    assert "row filter" in text
    assert "only some columns of public.t" in text
    assert changes(reader) == {}


def test_a_row_filter_that_fails_ends_the_retries(database, reader_of):
    database.execute("alter publication pub set table t where (10 / id > 0), u")
    reader = reader_of(database)
    database.execute("insert into t values (0)")
    with pytest.raises(SourceError, match="division by zero") as caught:
        reader.read(1)
    assert retry_of(caught.value) is Retry.OPERATOR
    assert "row filter" in caught.value.hint
