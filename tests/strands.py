"""Events in strands: what keeps an order of its own. One lane has one; over lanes there is no order."""

from tests.workload import key_of


def whole(events):
    """One lane."""
    return [events]


def by_table(events):
    """Lanes by table: each keeps its order."""
    return _split(events, lambda event: event["source"]["table"])


def by_key(events):
    """Lanes by key: the rows of each keep their order."""
    return _split(events, lambda event: (event["source"]["table"], key_of(event)))


def of_database(events, name):
    """What one of several shards has brought."""
    return [event for event in events if event["source"]["db"] == name]


def _split(events, name_of):
    strands = {}
    for event in events:
        strands.setdefault(name_of(event), []).append(event)
    return [*strands.values()]
