"""The layout of librdkafka's structures is not guessed: a header and the library itself are held against it."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import confluent_kafka
import pytest

from deltaforge.kernel import compiled, description
from deltaforge.sinks.kafka import driver

pytestmark = [
    pytest.mark.skipif(compiled is None, reason=description),
    pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler"),
]

FUNCTIONS = Path(driver.__file__).parents[2] / "kernel" / "librdkafka" / "functions.pxi"
LIBRARY = next((Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")).glob("librdkafka-*"))
HEADER = """
#include <cstddef>
#include <cstdint>
typedef enum { RD_KAFKA_RESP_ERR__FATAL = -150, RD_KAFKA_RESP_ERR__PURGE_QUEUE = -152,
               RD_KAFKA_RESP_ERR__QUEUE_FULL = -184 } rd_kafka_resp_err_t;
typedef struct { rd_kafka_resp_err_t err; void* rkt; int32_t partition; void* payload; size_t len;
                 void* key; size_t key_len; int64_t offset; void* _private; } rd_kafka_message_t;
typedef struct { char* topic; int partition_cnt; void* partitions; rd_kafka_resp_err_t err; } rd_kafka_metadata_topic_t;
typedef struct { int broker_cnt; void* brokers; int topic_cnt; rd_kafka_metadata_topic_t* topics;
                 int32_t orig_broker_id; char* orig_broker_name; } rd_kafka_metadata_t;
enum { RD_KAFKA_VTYPE_END = 0, RD_KAFKA_VTYPE_RKT = 2, RD_KAFKA_VTYPE_VALUE = 4, RD_KAFKA_VTYPE_KEY = 5,
       RD_KAFKA_VTYPE_MSGFLAGS = 7, RD_KAFKA_VTYPE_HEADERS = 10 };
enum { RD_KAFKA_EVENT_DR = 1, RD_KAFKA_EVENT_LOG = 4, RD_KAFKA_EVENT_ERROR = 8, RD_KAFKA_EVENT_STATS = 64 };
enum { RD_KAFKA_MSG_F_COPY = 2, RD_KAFKA_PURGE_F_QUEUE = 1, RD_KAFKA_PURGE_F_INFLIGHT = 2,
       RD_KAFKA_PURGE_F_NON_BLOCKING = 4, RD_KAFKA_PRODUCER = 0 };
"""


@pytest.mark.parametrize(
    ("was", "became", "said"),
    [
        ("", "", ""),
        ("void* payload", "int64_t leader_epoch; void* payload", "rd_kafka_message_t.payload"),
        ("int32_t partition", "int64_t partition", "rd_kafka_message_t.partition"),
        ("char* topic", "void* id; char* topic", "rd_kafka_metadata_topic_t.topic"),
        ("int topic_cnt", "void* cluster; int topic_cnt", "rd_kafka_metadata_t.topic_cnt"),
        ("_VTYPE_HEADERS = 10", "_VTYPE_HEADERS = 11", "rd_kafka_vtype_t"),
    ],
)
def test_the_compiler_holds_an_installed_header_against_the_kernel(tmp_path, was, became, said):
    (tmp_path / "librdkafka").mkdir()
    (tmp_path / "librdkafka" / "rdkafka.h").write_text(HEADER.replace(was, became) if was else HEADER)
    text = FUNCTIONS.read_text().split('"""')[1].replace("\\\\", "\\")
    (tmp_path / "ours.cpp").write_text("#include <cstddef>\n#include <cstdint>\n#include <sys/types.h>\n" + text)
    done = subprocess.run(
        ["g++", "-std=c++17", "-fsyntax-only", "-I", tmp_path, tmp_path / "ours.cpp"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) is (not said), done.stderr
    assert said in done.stderr


def library_with(folder, code):
    """The real library with other code in place of some of its functions."""
    (folder / "fake.c").write_text(code)
    linked = ["-Wl,--no-as-needed", f"-Wl,-rpath,{LIBRARY.parent}", LIBRARY, "-ldl"]
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "fake.so", folder / "fake.c", *linked], check=True)
    return folder / "fake.so"


OTHER_MESSAGES = """
#define _GNU_SOURCE
#include <dlfcn.h>
void* rd_kafka_event_message_next(void* event) {
    char* (*real)(void*) = dlsym(RTLD_NEXT, "rd_kafka_event_message_next");
    return real(event) + 8;
}
"""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("int rd_kafka_version(void) { return 0x030000ff; }", "it is version 3, not 2"),
        (OTHER_MESSAGES, "did not come back as it was"),
        (None, "rd_kafka_version is missing"),
    ],
    ids=["version", "layout", "another library"],
)
def test_a_library_that_is_otherwise_is_refused_before_the_first_message(tmp_path, code, said):
    library = "libc.so.6" if code is None else library_with(tmp_path, code)
    # in a process of its own: one process has one librdkafka
    program = "import sys; from deltaforge.kernel import compiled; compiled.KafkaProducer(sys.argv[1], {})"
    done = subprocess.run([sys.executable, "-c", program, library], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("OSError: ")
    assert said in done.stderr


def test_without_a_usable_library_messages_go_through_the_client_and_a_warning_says_why(monkeypatch, caplog):
    class Refusing:
        def KafkaProducer(self, *_):  # noqa: N802 - as in the kernel
            raise OSError("it is version 3, not 2")

        KafkaRefusal = ValueError

    monkeypatch.setattr(driver, "compiled", Refusing())
    producer = driver.new_driver({"bootstrap.servers": "127.0.0.1:1"}, logging.getLogger("kafka"))
    producer.close()
    assert isinstance(producer, driver.ConfluentDriver)
    assert "one by one: the kernel cannot use the librdkafka that is there: it is version 3" in caplog.text
