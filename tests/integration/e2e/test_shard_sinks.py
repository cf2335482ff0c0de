"""What sinks get of shards: once, over kills, and also of one that was away."""

import json
import re
from collections import Counter

from tests.fixtures.ports import free_port
from tests.integration.e2e.test_shards import databases, insert, source_of
from tests.pipelines import PipelineProcess, file_events, file_sink, wait_for
from tests.set_ups import kafka_sink, redis_sink

__all__ = ["databases"]


def test_each_row_of_two_shards_is_committed_once_over_kills(databases, kafka, tmp_path):
    topic = f"once-{databases[0].name}"
    pipeline = PipelineProcess(
        tmp_path, source_of(databases), [kafka_sink(kafka, topic, exactly_once=True)], name=databases[0].name
    )

    def committed():
        return Counter(json.loads(message.value())["after"]["id"] for message in kafka.messages(topic))

    expected = set()
    try:
        pipeline.start()
        pipeline.wait_until(lambda status: {s["state"] for s in status["source"]["shards"]} == {"running"})
        for first in (0, 100, 200):
            for number, database in enumerate(databases):
                ids = range(first + number * 1000, first + number * 1000 + 30)
                insert(database, *ids)
                expected |= set(ids)
            if first < 200:
                few = len(expected) - 45  # some are on their way
                wait_for(lambda few=few: len(committed()) > few)
                pipeline.kill()
                pipeline.start(waits=False)
        wait_for(lambda: committed().keys() >= expected)
        assert pipeline.stop() == 0, pipeline.log()
        assert committed() == dict.fromkeys(expected, 1)
    finally:
        pipeline.end()


def test_what_waits_for_a_sink_of_a_removed_shard_is_delivered_when_it_comes_back(databases, redis_server, tmp_path):
    stream = f"back-{databases[0].name}"
    away = redis_sink(redis_server, stream, uri=f"redis://127.0.0.1:{free_port()}/0", required=False, start="earliest")
    pipeline = PipelineProcess(tmp_path, source_of(databases), [file_sink(tmp_path / "out.jsonl"), away])
    document = pipeline.document["spec"]
    shards = [*document["source"]["config"]["shards"]]

    def in_file(shard):
        path = tmp_path / f"out.{shard}.jsonl"
        return [event["after"]["id"] for event in file_events(path)] if path.exists() else []

    def in_redis():
        with redis_server.connect() as client:
            entries = str(client.xrange(stream))
        return [int(number) for number in re.findall(r'"after":\{"id":(\d+)', entries)]

    try:
        pipeline.start()
        pipeline.wait_until(lambda status: {s["state"] for s in status["source"]["shards"]} == {"running"})
        insert(databases[0], 1, 2)
        insert(databases[1], 11, 12)
        wait_for(lambda: (in_file("s0"), in_file("s1")) == ([1, 2], [11, 12]))
        assert pipeline.stop() == 0, pipeline.log()
        document["source"]["config"]["shards"] = shards[:1]
        pipeline.start()
        insert(databases[0], 3)
        insert(databases[1], 13)
        wait_for(lambda: in_file("s0") == [1, 2, 3])
        assert pipeline.stop() == 0, pipeline.log()
        assert in_redis() == []
        document["source"]["config"]["shards"] = shards
        away["config"]["uri"] = redis_server.uri
        pipeline.start()
        wait_for(lambda: len(set(in_redis())) == 6)
        assert pipeline.stop() == 0, pipeline.log()
        found = in_redis()
        assert [n for n in found if n < 10] == [1, 2, 3]
        assert [n for n in found if n > 10] == [11, 12, 13]
    finally:
        pipeline.end()
