"""Lanes of one pipeline with everything around them: copies of tables, dead letters, a sink that is not waited for."""

import json
import zlib

from tests.pipelines import PipelineProcess, file_events, file_sink, mysql_source, wait_for

LANES = 3
ROWS = 60


def lane_of(number):
    return zlib.crc32(f'{{"id":{number}}}'.encode()) % LANES


def test_copies_dead_letters_and_followers_have_lanes(mysql, kafka, redis_server, tmp_path):
    with mysql.fresh_database() as database:
        database.execute("create table t (id int primary key, topic varchar(40))")
        topic = f"lanes-{database.name}"
        values = [f"({n}, {'null' if n % 20 == 0 else repr(topic)})" for n in range(ROWS)]
        database.execute(f"insert into t values {','.join(values)}")
        uri = f"redis://{redis_server.host}:{redis_server.port}"
        sinks = [
            file_sink(tmp_path / "out.jsonl"),
            {"type": "kafka", "config": {"id": "k", "brokers": kafka.bootstrap, "topic": "${after.topic}"}},
            {"type": "redis", "config": {"id": "r", "uri": uri, "stream": topic, "required": False}},
        ]
        source = mysql_source(database, snapshot={"mode": "initial"})
        settings = {"sharding": {"mode": "key", "count": LANES}, "journal": {"enabled": True}}
        pipeline = PipelineProcess(tmp_path, source, sinks, **settings)
        try:
            pipeline.start()

            def files():
                return [file_events(tmp_path / f"out.{lane}.jsonl") for lane in range(LANES)]

            wait_for(lambda: sum(map(len, files())) >= ROWS)
            database.execute("update t set topic = concat(topic, '-2') where topic is not null and id < 40")
            expected = ROWS + 38
            wait_for(lambda: sum(map(len, files())) >= expected)
            for lane, events in enumerate(files()):
                assert {lane_of(event["after"]["id"]) for event in events} == {lane}
                copied = [event["after"]["id"] for event in events if event["op"] == "r"]
                assert sorted(copied) == [n for n in range(ROWS) if lane_of(n) == lane]
            with redis_server.connect() as client:
                wait_for(lambda: client.xlen(topic) >= expected)
                added = [json.loads(fields[b"df-event"]) for _, fields in client.xrange(topic)]
            assert sorted(event["event_id"] for event in added) == sorted(
                event["event_id"] for events in files() for event in events
            )
            retried = wait_for(lambda: len(found := pipeline.ask("retry_dead_letters")["entries"]) >= 3 and found)
            assert {(entry["sink_id"], entry["status"]) for entry in retried} == {("k", "failed")}
            assert all("after.topic" in entry["error"] for entry in retried), retried
            assert len({entry["event_id"] for entry in retried}) == 3
            wait_for(lambda: [len(kafka.messages(name)) for name in (topic, f"{topic}-2")] == [ROWS - 3, 38])
            lanes = [(each["sink_id"], each["lane"]) for each in pipeline.ask("status")["checkpoints"]]
            assert lanes == [(sink, str(lane)) for lane in range(LANES) for sink in ("file", "k", "r")]
            assert pipeline.stop() == 0, pipeline.log()
        finally:
            pipeline.end()
