"""Judges rows that were copied while their tables were written to, by the changes around them.

It uses no code of the product. The one writer numbers its changes (see :mod:`tests.workload`), so the log has one order,
and each row says how new it is.
"""

from bisect import bisect_left

from tests.workload import KEYS


def changes(events):
    """Events of the log."""
    return [event for event in events if event["op"] != "r"]


def copied(events):
    """Rows that were copied."""
    return [event for event in events if event["op"] == "r"]


def assert_never_backwards(events):
    """Each copied row is what the log had made of it by then; what was deleted by then is not copied.

    A repetition after a crash may bring all of it once more, in the same order.
    """
    history, delivered, early = History(), set(), []
    for event in events:
        if event["op"] != "r":
            history.add(event)
            continue
        name, row = event["source"]["table"], event["after"]
        delivery = event["event_id"], row["seq"], event["source"]["ts_ms"]
        if delivery in delivered:
            continue  # written again with what is around it
        delivered.add(delivery)
        known = history.newest(name, key_of(name, row))
        assert known != GONE, f"{name} {key_of(name, row)} was deleted before seq {row['seq']} of it is copied"
        if known is None:
            early.append((name, key_of(name, row), row["seq"]))
        else:
            assert known == row["seq"], f"{name} {key_of(name, row)} is copied as of {row['seq']}, behind {known}"
    for name, key, seq in early:
        first = history.first(name, key)
        assert first is None or first > seq, f"{name} {key} was copied as of {seq}, and its change {first} came later"


def repeated_rows(events):
    """How many copied rows came again as they were."""
    rows = [(event["event_id"], event["after"]["seq"]) for event in copied(events)]
    return len(rows) - len(set(rows))


GONE = -1


class History:
    """What the log made of each key, by places in the log.

    Attributes:
        place: Behind the change that was delivered last, which may be one that came again.
    """

    def __init__(self):
        self.place = 0
        self._places = {}  # by event id
        self._versions = {}  # by table and key: places, and what was true behind each
        self._truncates = {"items": [], "pairs": []}

    def add(self, event):
        """The next change that was delivered."""
        known, place = event["event_id"] in self._places, self._places.setdefault(event["event_id"], len(self._places))
        self.place = place + 1
        if known:
            return
        name, before, after = event["source"]["table"], event["before"], event["after"]
        if event["op"] == "t":
            self._truncates[name].append(place)
        if before is not None:
            self._note(name, key_of(name, before), place, GONE)
        if after is not None:
            self._note(name, key_of(name, after), place, after["seq"])

    def newest(self, name, key):
        """The version of a key here: its number, :data:`GONE`, or None if the log has said nothing about it."""
        places, versions = self._versions.get((name, key), ([], []))
        index = bisect_left(places, self.place) - 1
        cut = bisect_left(self._truncates[name], self.place) - 1
        if cut >= 0 and (index < 0 or places[index] < self._truncates[name][cut]):
            return GONE
        return versions[index] if index >= 0 else None

    def first(self, name, key):
        """The number of the first version that the log has of a key; None if it has none."""
        return next((seq for seq in self._versions.get((name, key), ([], []))[1] if seq != GONE), None)

    def _note(self, name, key, place, version):
        places, versions = self._versions.setdefault((name, key), ([], []))
        if places and places[-1] == place:
            versions[-1] = version  # of an update: behind it the row is there
        else:
            places.append(place)
            versions.append(version)


def key_of(name, row):
    """The key of a row image."""
    return tuple(row[column] for column in KEYS[name])
