"""kill -9 while rows fail: no dead letter is lost or doubled, nothing else is missing."""

import random
import time

import pytest

from deltaforge.journal.reading import DeadLetterQueue
from deltaforge.storage.sqlite import SqliteStorage
from tests.databases import database_with
from tests.destinations import KafkaDestination
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import source_of

ROWS, EVERY, KILLS = 30_000, 250, 5


@pytest.fixture(params=["postgres", "mysql"])
def database(request):
    with database_with(request, "create table t (id int primary key, topic varchar(40))") as database:
        yield database


def test_dead_letters_over_kills(database, kafka, tmp_path):
    rng = random.Random(7)
    destination = KafkaDestination(kafka, f"{database.name}.ok")
    destination.sink["config"]["topic"] = f"{database.name}.${{after.topic}}"
    pipeline = PipelineProcess(tmp_path, source_of(database), [destination.sink], journal={"enabled": True}).start()
    bad = set(range(EVERY, ROWS, EVERY))
    try:
        for first in range(0, ROWS, 3000):
            rows = ",".join(f"({n}, '{'not a topic' if n in bad else 'ok'}')" for n in range(first, first + 3000))
            database.execute(f"insert into t values {rows}")
        for _ in range(KILLS):
            time.sleep(rng.uniform(0.2, 1.0))
            pipeline.kill()
            pipeline.start()
        wait_for(lambda: destination.events()[-1:] and destination.events()[-1]["after"]["id"] == ROWS - 1, 120)
        assert pipeline.stop() == 0, pipeline.log()
    finally:
        pipeline.end()

    delivered = [event["after"]["id"] for event in destination.events()]
    assert set(delivered) == set(range(ROWS)) - bad
    assert in_order(delivered)
    storage = SqliteStorage(pipeline.paths.learned)
    ids = [entry.event_id for entry in DeadLetterQueue(storage.queue, "p").entries(limit=1000)]
    storage.close()
    assert len(ids) == len(set(ids)) == len(bad)


def in_order(numbers):
    """Whether nothing is overtaken: a step back repeats what was there, a step forward leaves nothing out."""
    newest, expected = -1, sorted(set(numbers))
    following = dict(zip([-1, *expected], expected, strict=False))
    for number in numbers:
        if number > newest:
            if following[newest] != number:
                return False
            newest = number
    return True
