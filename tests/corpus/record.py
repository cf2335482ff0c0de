"""Makes recordings of real servers: ``python -m tests.corpus.record [NAME…]``.

Their servers have to be installed (``tests/servers/install.sh``). What today's code makes of a recording becomes what
is expected of it: record before a change, never to make a test pass. ``--expected`` alone makes the expected bytes anew
of the recordings that are there, and says which events are others now. A source that asks its server something new
needs ``--answers``: the same is done to a new server, and what it answers is added; the log stays as it is.
"""

import argparse
import socket
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

from tests.corpus import expected, statements
from tests.corpus.listen import listening
from tests.corpus.recording import Recording, load, save
from tests.fixtures.database import Database, MySqlServer, PostgresServer
from tests.fixtures.fix_redis import RedisServer
from tests.fixtures.fix_servers import ServerRoom
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for

OUTBOX = {"mysql": {"tables": ["corpus.outbox"]}, "postgres": {"prefixes": ["outbox"]}}


class _Options:
    """The options of pytest, as a server needs them."""

    @staticmethod
    def getoption(name):
        return name == "--require-servers"


def record(name):
    with closing(ServerRoom(_Options)) as room:
        return SCENARIOS[name](room)


def with_new_answers(recording, other):
    """The recording, with answers to what only the other one was asked."""
    for known, more in ((recording.answers, other.answers), (recording.later, other.later)):
        for question in more.keys() - known.keys():
            if not question.startswith(("set ", "kill ")):
                print(f"new: {question}")
                known[question] = more[question]
    return recording


@contextmanager
def redis_server():
    with closing(ServerRoom(_Options)) as room:
        process = room.start("redis", "redis.sh")
        yield RedisServer("127.0.0.1", process.port, process)


def _mysql(room):
    server = MySqlServer.ours(room.start("mysql", "mysql.sh"))
    return _of_mysql(server, statements.mysql)


def _mariadb(room):
    server = MySqlServer.ours(room.start("mariadb", "mariadb.sh"))
    return _of_mysql(server, statements.mariadb)


def _mysql_minimal(room):
    options = ("--binlog-row-metadata=MINIMAL", "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
    server = MySqlServer.ours(room.start("mysql", "mysql.sh", *options))
    return _of_mysql(server, statements.mysql_minimal)


def _postgres(room):
    server = PostgresServer.ours(room.start("postgres-15", "postgres.sh"))
    server.create("corpus")
    database = Database(server, "corpus")
    database.execute(
        "create publication corpus for all tables", "select pg_create_logical_replication_slot('corpus', 'pgoutput')"
    )
    statements.postgres(database)
    config = {"id": "src", "publication": "corpus", "slot": "corpus", "tables": [], "outbox": OUTBOX["postgres"]}
    return _recorded(database, {"type": "postgres", "config": config})


SCENARIOS = {"mysql": _mysql, "mysql-minimal": _mysql_minimal, "mariadb": _mariadb, "postgres": _postgres}


def _of_mysql(server, write):
    """The pipeline begins with the next row, so the rows are written while it runs."""
    server.create("corpus")
    config = {"id": "src", "tables": ["corpus.*"], "outbox": OUTBOX["mysql"]}
    return _recorded(Database(server, "corpus"), {"type": "mysql", "config": config}, during=write)


def _recorded(database, source, during=None):
    """What a pipeline says to the server until the last row has arrived."""
    recording = Recording(database.server.scheme, source)
    with tempfile.TemporaryDirectory() as folder, listening(database.server.port, recording) as port:
        out = Path(folder, "out.jsonl")
        dsn = f"{database.url(port=port)}?{expected.PLAIN[recording.scheme]}"
        told = {**source, "config": {**source["config"], "dsn": dsn}}
        pipeline = PipelineProcess(folder, told, [file_sink(out)], name="corpus")
        with closing(_Ended(pipeline)):
            pipeline.start()
            if during:
                during(database)

            def has_ended():
                pipeline.assert_runs()
                return any(event["source"]["table"] == statements.END for event in file_events(out))

            wait_for(has_ended)
            assert pipeline.stop() == 0, pipeline.log()
            recording.is_complete = True
            pipeline.start(waits=False)  # what it asks where it goes on
            pipeline.wait_until(lambda status: status["connected"])
            assert pipeline.stop() == 0, pipeline.log()
    return _nameless(recording)


class _Ended:
    def __init__(self, pipeline):
        self.close = pipeline.end


def _nameless(recording):
    """Without the name of this machine."""
    name = socket.gethostname().encode()
    for question, answers in (*recording.answers.items(), *recording.later.items()):
        if "@@hostname" in question:
            answers[:] = [answer.replace(name, b"h" * len(name)) for answer in answers]
    return recording


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; all without one")
    parser.add_argument("--expected", action="store_true", help="only make the expected bytes anew")
    parser.add_argument("--answers", action="store_true", help="only add answers to questions that are new")
    options = parser.parse_args()
    for name in options.names or SCENARIOS:
        if options.answers:
            save(name, with_new_answers(load(name), record(name)))
        elif not options.expected:
            save(name, record(name))
        if not options.answers:
            expected.write(name, compares=options.expected)


if __name__ == "__main__":
    main()
