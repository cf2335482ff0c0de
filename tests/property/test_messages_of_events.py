"""Each message belongs to its event, however many an event has: kernel and Python, over random batches."""

import random

import pytest

from deltaforge.core.batch import DecodedGroup
from deltaforge.core.encoded import EncodedMessage, EncodedMessages, MessageRules
from deltaforge.core.errors import DeltaForgeError
from deltaforge.core.key_changes import split_key_change
from deltaforge.core.routing import row_key
from deltaforge.encodings.json import JsonEncoder
from deltaforge.envelopes.cloudevents import CloudEventsEnvelope
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from deltaforge.sources.mysql.group import row_group
from tests.fuzz import mysql_rows
from tests.fuzz.mysql_rows import PLACE
from tests.reading import messages

ENVELOPES = [NativeEnvelope(), CloudEventsEnvelope("t", include_nulls=False)]


@pytest.mark.skipif(kernel is None, reason=description)
@pytest.mark.parametrize("tombstones", [True, False])
@pytest.mark.parametrize("splits", [True, False])
def test_of_random_rows(tombstones, splits):
    rnd, seen = random.Random(17), {0: 0, 1: 0, 2: 0, 3: 0}
    for _ in range(500):
        case = mysql_rows.Case(rnd, 0)
        encoder = JsonEncoder(rnd.choice(ENVELOPES), MessageRules(tombstones, splits))
        transaction = backend.Transaction("mysql", "s", "f:4", case.gtid, None)
        try:
            group = row_group(case.table, case.rows, transaction, PLACE)
            events = list(group.events())
            expected = messages(encoder.encode_each([group]))
        except DeltaForgeError:
            continue
        mixed = [group, DecodedGroup(events[:1]), group]
        assert messages(encoder.encode_groups([group])) == expected
        assert messages(encoder.encode_groups(mixed)) == messages(encoder.encode_each(mixed))
        for place, event in enumerate(events):
            own = [(key, value) for of, key, value in expected if of == place]
            seen[len(own)] += 1
            assert own == expected_messages(event, encoder, tombstones=tombstones, splits=splits)
    assert seen[1] > 200
    assert (seen[2] > 50) == (tombstones or splits)
    assert (seen[3] > 20) == (tombstones and splits)


def expected_messages(event, encoder, *, tombstones, splits):
    """By the rules, one by one."""
    found = []
    for part in (split_key_change(event) if splits else None) or [event]:
        key = row_key(part).encode()
        found.append((key, encoder.encode(part)))
        if tombstones and part.op == "d":
            found.append((key, None))
    return found


@pytest.mark.skipif(kernel is None, reason=description)
def test_the_kernel_holds_any_messages_as_python_does():
    rnd = random.Random(3)
    for _ in range(300):
        ours, theirs, events = EncodedMessages(), kernel.EncodedEvents(), 0
        for _ in range(rnd.randrange(8)):
            made = [
                EncodedMessage(
                    rnd.choice([None, b"", b"key", b"k" * 40]),
                    rnd.choice([None, b"", b"value", b"v" * 300]),
                    rnd.choice([None, {}, {"h": b"1"}]),
                )
                for _ in range(rnd.choice([0, 1, 1, 1, 2, 3]))
            ]
            ours.append(made)
            if len(made) == 1 and None not in made[0][:2] and not made[0].headers and rnd.random() < 0.7:
                theirs.append(made[0].value, made[0].key)
            else:
                theirs.append_messages(made)
            events += 1
        assert theirs.event_count == ours.event_count == events
        assert messages(theirs) == messages(ours)
        assert [theirs.headers(n) for n in range(len(theirs))] == [ours.headers(n) for n in range(len(ours))]
        assert (theirs.byte_count, theirs.lines()) == (ours.byte_count, ours.lines())
