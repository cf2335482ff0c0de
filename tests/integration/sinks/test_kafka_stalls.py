"""Commits of the exactly-once sink that stall: the process lives on, and a reader of what is committed sees each row once.

The sink is in a process of its own: what the client library does not allow ends the process that does it.
"""

import json
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from deltaforge.core.delivery import ALL_ACKED
from deltaforge.sinks.kafka import KafkaSinkSpec
from deltaforge.testing.sink_contract import context, numbered_batch
from tests.combinations import IS_FULL
from tests.committing import EVENT_COUNT, committer
from tests.fixtures.fix_kafka import MISSED_SOON
from tests.fixtures.kafka_proxy import END_TXN, KafkaProxy
from tests.held import held_thread
from tests.pipelines import wait_for
from tests.trial import pause

PATIENCE_SECS = 0.5
"""``send_timeout_secs`` of the sink."""


def commit_caught(sink, proxy, how):
    """Have the sink commit, and return when the proxy has done so with the request or its answer."""
    proxy.catch(END_TXN, how)
    sink.say("commit")
    assert proxy.caught.wait(20)


def starved_library(sink, proxy, broker):
    """The broker has answered, and the library's thread that reads answers gets no processor until all have given up."""
    del broker
    commit_caught(sink, proxy, "stall")
    with held_thread(sink.pid, "rdk:main"):
        proxy.unstall()
        pause(2 * PATIENCE_SECS)


def late_request(sink, proxy, broker):
    """The broker gets the request when the sink has written everything again in another transaction."""
    del broker
    proxy.catch(END_TXN, "hold")
    sink.say("commit")
    assert sink.answer(), "it has not given up"
    proxy.release()
    sink.write()
    sink.say("commit")


def late_answer(sink, proxy, broker):
    """It is committed, and the sink learns of that after it has given up."""
    del broker
    commit_caught(sink, proxy, "stall")
    pause(2 * PATIENCE_SECS)
    proxy.unstall()


def lost_answer(sink, proxy, broker):
    """It is committed, and every connection is reset."""
    del broker
    proxy.catch(END_TXN, "cut")
    sink.say("commit")


def stopped_process(sink, proxy, broker):
    """The whole process stands still in its commit, for longer than it is patient."""
    del broker
    commit_caught(sink, proxy, "stall")
    os.kill(sink.pid, signal.SIGSTOP)
    proxy.unstall()
    pause(4 * PATIENCE_SECS)
    os.kill(sink.pid, signal.SIGCONT)


def starved_from_the_beginning(sink, proxy, broker):
    """The library's thread does not even see that a commit is wanted."""
    del proxy, broker
    with held_thread(sink.pid, "rdk:main"):
        sink.say("commit")
        pause(4 * PATIENCE_SECS)


def killed_broker(sink, proxy, broker):
    """The broker dies of the request, and is back when the sink has given up."""
    commit_caught(sink, proxy, "stall")
    broker.kill()
    proxy.unstall()
    broker.start()


def timed_out_transaction(sink, proxy, broker):
    """The process stands still, and the request is on its way, until the broker has ended the transaction for its age."""
    del broker
    commit_caught(sink, proxy, "hold")
    os.kill(sink.pid, signal.SIGSTOP)
    pause(15)
    proxy.release()
    os.kill(sink.pid, signal.SIGCONT)


QUICK = (starved_library, late_request, late_answer, lost_answer)
LONG = (*QUICK, stopped_process, starved_from_the_beginning, killed_broker, timed_out_transaction)


@pytest.mark.parametrize("stalls", [QUICK, *([LONG] if IS_FULL else [])], ids=len)
def test_stalled_commits_end_no_process_and_each_row_is_there_once(kafka, private_kafka, stalls):
    broker = private_kafka(*MISSED_SOON) if killed_broker in stalls else kafka
    listens_on, sends_to = broker.behind
    name = uuid.uuid4().hex
    config = {
        "id": "s", "brokers": f"127.0.0.1:{sends_to}", "topic": f"{name}.s", "send_timeout_secs": PATIENCE_SECS,
        "exactly_once": True, "client_conf": {"transactional.id": name, "transaction.timeout.ms": 3000},
    }  # fmt: skip
    with KafkaProxy(listens_on, port=sends_to) as proxy, committer(config) as sink:
        for stall in stalls:
            sink.write()
            stall(sink, proxy, broker)
            sink.answer()
        count = sink.batch_count * EVENT_COUNT
        rows = [json.loads(message.value())["after"]["id"] for message in broker.messages(f"{name}.s")]
    assert rows == [*range(1, count + 1)]


def test_people_are_told_that_a_commit_waits(kafka):
    listens_on, sends_to = kafka.behind
    name, about = uuid.uuid4().hex, context()
    config = {
        "id": "s", "brokers": f"127.0.0.1:{sends_to}", "topic": f"{name}.s", "exactly_once": True,
        "client_conf": {"transactional.id": name},
    }  # fmt: skip
    sink = KafkaSinkSpec.model_validate({"type": "kafka", "config": config}).build(about)
    with KafkaProxy(listens_on, port=sends_to) as proxy, ThreadPoolExecutor(1) as other_thread:
        sink.open()
        sink.write(numbered_batch(1))
        sink.drain()
        assert about.waiting.reason is None
        proxy.catch(END_TXN, "stall")
        flushed = other_thread.submit(sink.flush)
        wait_for(lambda: about.waiting.reason)
        assert about.waiting.reason.startswith("kafka makes no progress")
        proxy.unstall()
        assert flushed.result(60) == ALL_ACKED
        sink.close()
