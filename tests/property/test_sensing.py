"""Whatever stream of JSON a sensor sees: what it learned holds for all of it, and counts are exact."""

from datetime import UTC, datetime

import jsonschema
import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from deltaforge.core.event import ChangeEvent, SourceInfo
from deltaforge.sensing.json_schema import json_schema
from deltaforge.sensing.pipeline import PipelineSensing
from deltaforge.sensing.sample import sample_of_events
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sensing.state import decode_sensing_state

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SOURCE = SourceInfo(version="1", connector="mysql", name="s", ts_ms=0, db="shop", table="orders")

scalars = st.sampled_from([None, True, 1, 2.5, "x", [], {}, {"_base64": "AA=="}])
names = st.one_of(st.sampled_from(["id", "m", "l"]), st.integers(0, 10**6).map(lambda n: f"s{n}"))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
streams = st.lists(st.tuples(values, st.integers(1, 12)), min_size=1, max_size=40)


def sensing(**parts):
    # small figures, so that short streams reach every stage
    cardinality = {"min_events": 20, "min_dynamic_fields": 2, "heavy_hitter_capacity": 4, "reevaluate_interval": 30}
    sampling = {"structure_cache_size": 5, **parts}
    return PipelineSensing(SchemaSensing(enabled=True, sampling=sampling, high_cardinality=cardinality))


def feed(pipeline, docs, cuts, *, warmup=10**6, rate=1):
    evolutions, start = 0, 0
    for end in [*cuts, len(docs)]:
        part = [ChangeEvent(before=None, after={"doc": doc}, source=SOURCE, op="c", ts_ms=0) for doc in docs[start:end]]
        sample = sample_of_events(part, ("doc",), seen=pipeline.seen("orders"), warmup=warmup, rate=rate, max_depth=10)
        evolutions += len(pipeline.observe("orders", ("doc",), sample, NOW))
        start = end
    return evolutions


def key_of(pipeline):
    return decode_sensing_state(pipeline.pipeline_bytes()).tables["orders"].keys["doc"]


@given(streams, st.lists(st.integers(0, 200), max_size=4).map(sorted))
def test_what_was_learned_holds_for_every_value(stream, cuts):
    docs = [doc for doc, count in stream for _ in range(count)]
    pipeline = sensing()
    evolutions = feed(pipeline, docs, [cut for cut in cuts if cut <= len(docs)])
    key = key_of(pipeline)
    present = [doc for doc in docs if doc is not None]
    assert key.event_count == len(present)
    if not present:
        assert key.sequence == 0
        return
    assert key.sequence == evolutions + 1
    validator = jsonschema.Draft7Validator(json_schema("orders:doc", key.shape))
    for doc in present:
        validator.validate(doc)


@example([(None, 37), (True, 36), (1, 12)], [82], 21, 1)  # dynamic keys are no longer watched for before the cut
@given(streams, st.lists(st.integers(0, 200), max_size=4).map(sorted), st.integers(0, 30), st.integers(1, 5))
def test_how_a_stream_is_cut_and_saved_changes_nothing(stream, cuts, warmup, rate):
    docs = [doc for doc, count in stream for _ in range(count)]
    cuts = [cut for cut in cuts if cut <= len(docs)]
    whole, pieces = sensing(), sensing()
    feed(whole, docs, [], warmup=warmup, rate=rate)
    for start, end in zip([0, *cuts], [*cuts, len(docs)], strict=True):
        feed(pieces, docs[start:end], [], warmup=warmup, rate=rate)
        pieces = PipelineSensing(pieces.settings, decode_sensing_state(pieces.pipeline_bytes()))
    assert msgspec.structs.asdict(key_of(whole)) == msgspec.structs.asdict(key_of(pieces))
