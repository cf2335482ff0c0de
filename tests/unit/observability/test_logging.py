import io
import json
import logging

import pytest

from deltaforge.observability.logging import configure, current_level, parse_filter, set_level


@pytest.fixture
def stream():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield io.StringIO()
    configure({})
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_text_line_has_time_level_target_message_and_fields(stream):
    configure({}, pipeline="orders", stream=stream)
    logging.getLogger("deltaforge.sinks.x").warning("slow", extra={"sink": "s1"})
    line = stream.getvalue()
    assert " WARN  deltaforge.sinks.x: slow pipeline=orders sink=s1\n" in line
    assert line[10] == "T"


def test_a_json_line_is_one_object(stream):
    configure({"DELTAFORGE_LOG_FORMAT": "json"}, stream=stream)
    logging.getLogger("deltaforge").info("hello\nworld", extra={"table": "shop.orders"})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["message"], entry["table"]) == ("INFO", "hello\nworld", "shop.orders")
    assert "pipeline" not in entry


@pytest.mark.parametrize("form", ["text", "json"])
def test_passwords_never_reach_a_line(stream, form):
    configure({"DELTAFORGE_LOG_FORMAT": form}, stream=stream)
    log = logging.getLogger("deltaforge")
    error = ValueError("cannot reach mysql://u:hunter2@db/shop")
    log.error("failed with %s", "password=hunter2 host=x", extra={"error": error}, exc_info=error)
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "***" in text


def test_the_filter_sets_levels_by_target(stream):
    configure({"RUST_LOG": "warn,deltaforge=debug,sinks=error"}, stream=stream)
    logging.getLogger("other").info("no-other")
    logging.getLogger("deltaforge.runtime").debug("yes-runtime")
    logging.getLogger("deltaforge.sinks.kafka").warning("no-sink")
    assert "yes-runtime" in stream.getvalue()
    assert "no-" not in stream.getvalue()


def test_our_variable_beats_the_borrowed_one(stream):
    configure({"RUST_LOG": "error", "DELTAFORGE_LOG": "debug"}, stream=stream)
    assert current_level() == "debug"


def test_a_new_filter_replaces_the_old_one_whole(stream):
    configure({"DELTAFORGE_LOG": "info,deltaforge.sinks=trace"}, stream=stream)
    assert set_level("error") == "error"
    logging.getLogger("deltaforge.sinks").warning("hidden")
    assert stream.getvalue() == ""


def test_an_unknown_level_changes_nothing(stream):
    configure({"DELTAFORGE_LOG": "info"}, stream=stream)
    with pytest.raises(ValueError, match="unknown log level 'loud'"):
        set_level("debug,deltaforge=loud")
    assert current_level() == "info"


@pytest.mark.parametrize("text", ["", "loud", "info,,warn", "=info", "a=b=c", "deltaforge="])
def test_a_filter_that_is_not_understood_is_refused(text):
    with pytest.raises(ValueError, match="unknown log level"):
        parse_filter(text)


def test_the_documented_example_is_read(stream):
    text = "deltaforge=info,sources=info,sinks=info,warn"
    configure({"RUST_LOG": text}, stream=stream)
    assert sorted(current_level().split(",")) == sorted(text.split(","))


def test_an_unknown_format_is_refused(stream):
    with pytest.raises(ValueError, match="xml"):
        configure({"DELTAFORGE_LOG_FORMAT": "xml"}, stream=stream)


def test_off_silences_everything(stream):
    configure({"DELTAFORGE_LOG": "off"}, stream=stream)
    logging.getLogger("deltaforge").critical("x")
    assert stream.getvalue() == ""


def test_a_text_entry_is_one_line_even_when_a_server_sends_several(stream):
    configure({}, stream=stream)
    logging.getLogger("deltaforge").warning("refused\n\tis it running?", extra={"error": "a\r\nb"})
    assert stream.getvalue().endswith("refused is it running? error=a b\n")
    assert stream.getvalue().count("\n") == 1
