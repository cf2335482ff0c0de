"""A reset of the checkpoint on real servers, also over kill -9: the rows come again as asked, once, and then the promise holds."""

import signal

import pytest

from deltaforge.checkpoint.reader import read_source_state
from deltaforge.checkpoint.reset import request_from_body, write_reset
from deltaforge.observability.kill_points import VARIABLE
from tests.databases import database_with
from tests.destinations import ExactlyOnceDestination, FileDestination
from tests.pipelines import PipelineProcess, wait_for
from tests.trial import source_of

OLD, NEW = list(range(1, 21)), list(range(21, 41))
BEFORE_THE_RESET_IS_SAVED = "between_ack_and_save:1"
SAVED_AND_STILL_ASKED_FOR = "between_save_and_confirm:1"
# The first Kafka transaction of a run, which is counted too, is that of its opening.


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def database(request):
    with database_with(request, "create table t (id int primary key)") as database:
        yield database


def kills(postgres, mysql):
    """Points where the process dies, with the database of each."""
    cases = [("postgres", point) for point in postgres] + [("mysql", point) for point in mysql]
    return pytest.mark.parametrize(("database", "point"), cases, indirect=["database"])


@pytest.fixture
def run(database, tmp_path):
    """``run(destination, …)``: a pipeline that has delivered the old rows, saved its start alone, and was killed."""
    pipelines = []

    def make(*destinations):
        pipeline = PipelineProcess(tmp_path, source_of(database), [each.sink for each in destinations])
        pipelines.append(pipeline)
        assert pipeline.start().stop() == 0, pipeline.log()
        pipeline.arguments = ["--epoch-secs", "60"]
        pipeline.start()
        insert(database, OLD)
        for destination in destinations:
            wait_for(lambda destination=destination: ids(destination) == OLD)
        pipeline.kill()
        pipeline.arguments = []
        return pipeline

    yield make
    for pipeline in pipelines:
        pipeline.end()


def insert(database, numbers):
    database.execute(*(f"insert into t values ({number})" for number in numbers))


def ids(destination):
    return [event["after"]["id"] for event in destination.events()]


def reset(pipeline, to, **body):
    """As over REST, which leaves this file for the next start."""
    source, sinks = (pipeline.document["spec"][part] for part in ("source", "sinks"))
    request = request_from_body(
        {"to": to, **body}, source_type=source["type"], sink_ids=[sink["config"]["id"] for sink in sinks]
    )
    write_reset(pipeline.paths.reset, request)


def start_and_die(pipeline, point):
    pipeline.start(waits=False, environment={VARIABLE: point})
    assert pipeline.wait_code() == -signal.SIGKILL, f"{point} was not passed\n{pipeline.log()}"


def finish(database, pipeline, expected):
    """New rows to a running pipeline over one more kill, a stop, and a start that has nothing to do."""
    insert(database, NEW[:10])
    pipeline.kill()
    insert(database, NEW[10:])
    pipeline.start()
    for destination, numbers in expected.items():
        wait_for(lambda destination=destination, numbers=numbers: len(ids(destination)) >= len(numbers))
    assert not pipeline.paths.reset.exists()
    assert pipeline.stop() == 0, pipeline.log()
    pipeline.start()
    assert pipeline.stop() == 0, pipeline.log()
    assert {destination: ids(destination) for destination in expected} == expected


@pytest.mark.parametrize("to", ["earliest", "position"])
def test_a_reset_of_an_exactly_once_sink_delivers_again_as_asked_and_then_exactly_once(database, kafka, run, to):
    destination = ExactlyOnceDestination(kafka, database.name)
    pipeline = run(destination)
    reset(pipeline, to if to == "earliest" else read_source_state(pipeline.paths.recovery).position.view())
    pipeline.start()
    wait_for(lambda: ids(destination) == OLD + OLD)
    finish(database, pipeline, {destination: OLD + OLD + NEW})


@kills(
    postgres=[BEFORE_THE_RESET_IS_SAVED, "after_commit:2"],
    mysql=[SAVED_AND_STILL_ASKED_FOR, "inside_transaction_before_commit:2"],
)
def test_a_kill_during_a_reset_of_an_exactly_once_sink_repeats_nothing_more(database, kafka, run, point):
    destination = ExactlyOnceDestination(kafka, database.name)
    pipeline = run(destination)
    reset(pipeline, "earliest")
    start_and_die(pipeline, point)
    pipeline.start()
    finish(database, pipeline, {destination: OLD + OLD + NEW})


@kills(
    postgres=[SAVED_AND_STILL_ASKED_FOR, "after_encode:1"],
    mysql=[BEFORE_THE_RESET_IS_SAVED, "after_read:1"],
)
def test_a_kill_during_a_reset_neither_forgets_it_nor_does_it_twice(database, run, point, tmp_path):
    destination = FileDestination(tmp_path)
    pipeline = run(destination)
    reset(pipeline, "earliest")
    start_and_die(pipeline, point)
    assert pipeline.paths.reset.exists() == (point in (BEFORE_THE_RESET_IS_SAVED, SAVED_AND_STILL_ASKED_FOR))
    pipeline.start()
    wait_for(lambda: ids(destination) == OLD + OLD)
    pipeline.wait_until(lambda status: status["checkpoints"])
    assert pipeline.stop() == 0, pipeline.log()
    pipeline.start()
    insert(database, NEW)
    wait_for(lambda: len(ids(destination)) >= len(OLD + OLD + NEW))
    assert pipeline.stop() == 0, pipeline.log()
    assert ids(destination) == OLD + OLD + NEW


@kills(postgres=["after_commit:3"], mysql=[BEFORE_THE_RESET_IS_SAVED])
def test_one_exactly_once_sink_is_set_back_and_the_other_gets_nothing_twice(database, kafka, run, point):
    back, other = (ExactlyOnceDestination(kafka, f"{database.name}.{name}") for name in ("back", "other"))
    other.sink["config"]["id"] = "other"
    pipeline = run(back, other)
    reset(pipeline, "earliest", sink_id="kafka")
    start_and_die(pipeline, point)
    pipeline.start()
    finish(database, pipeline, {back: OLD + OLD + NEW, other: OLD + NEW})
