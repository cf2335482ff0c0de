"""Message by message: what one side says and the other does not."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.compat.reading import Side

MISSING = "(missing)"
_SNAPSHOT_PLACES = {"lsn", "txId", "xmin", "sequence", "pos", "file", "gtid", "ts_ms", "ts_us", "ts_ns"}


class Finding(NamedTuple):
    """One place at which the sides differ. ``path`` leads from the message to it: ``value.payload.after.amount``."""

    topic: str
    path: str
    theirs: Any
    ours: Any
    example: str


def compare(theirs: Side, ours: Side) -> list[Finding]:
    """Every difference, topic after topic; for Avro the registered schemas too."""
    found: list[Finding] = []
    left, right = _by_place(theirs.messages), _by_place(filter(_is_no_later_copy, ours.messages))
    for place in sorted({*left, *right}):
        found += _compare_topic(place[0], left.get(place, []), right.get(place, []))
    for subject in sorted({*theirs.subjects, *ours.subjects}):
        pair = theirs.subjects.get(subject, MISSING), ours.subjects.get(subject, MISSING)
        found += [Finding(subject, f"subject{path}", *values, subject) for path, *values in _differences(*pair)]
    return found


def _by_place(messages: Iterable[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    places: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for message in messages:
        places.setdefault((message["topic"], message["partition"]), []).append(message)
    return {place: _once(messages) if "heartbeat" in place[0] else messages for place, messages in places.items()}


def _is_no_later_copy(message: dict[str, Any]) -> bool:
    """Ours may copy a table that is new, which depends on when they look for such tables."""
    value = payload(message["value"])
    source = value.get("source") if isinstance(value, dict) else None
    return not (isinstance(source, dict) and source.get("snapshot") == "incremental")


def _once(heartbeats: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many there are depends on the time that a run takes."""
    return heartbeats[:1]


def _compare_topic(topic: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Finding]:
    left, right = [_signature(one) for one in theirs], [_signature(one) for one in ours]
    for kind, i, i_end, j, j_end in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        pairs = list(zip(range(i, i_end), range(j, j_end), strict=False))
        for at, to in pairs:
            message, other = theirs[at], ours[to]
            is_copied = _is_copied(message) and _is_copied(other)
            for path, a, b in _differences(message, other):
                if not _is_left_out(path, is_copied=is_copied):
                    yield Finding(topic, path[1:], a, b, f"message {at}, {left[at]}")
        if kind != "equal":
            for at in range(i + len(pairs), i_end):
                yield Finding(topic, "message", left[at], MISSING, f"message {at}")
            for to in range(j + len(pairs), j_end):
                yield Finding(topic, "message", MISSING, right[to], f"our message {to}")


def _signature(message: dict[str, Any]) -> str:
    """What pairs messages: the key, and what kind of message it is."""
    value = payload(message["value"])
    kind = (
        "tombstone" if value is None else next((value[name] for name in ("op", "status", "ddl") if name in value), "")
    )
    return f"{kind} {json.dumps(payload(message['key']), ensure_ascii=False, sort_keys=True)}"


def payload(document: Any) -> Any:
    """The value beside its schema, or the value that has none."""
    return document["payload"] if isinstance(document, dict) and set(document) == {"schema", "payload"} else document


def _is_copied(message: dict[str, Any]) -> bool:
    value = payload(message["value"])
    source = value.get("source") if isinstance(value, dict) else None
    return isinstance(source, dict) and source.get("snapshot") not in ("false", None)


def _is_left_out(path: str, *, is_copied: bool) -> bool:
    """Times of processing, versions, names of one run; and of copied rows when and at which place of the log they were read."""
    names = path.removeprefix(".").replace("value.payload.", "value.").split(".")
    if names[0] == "headers":
        return "__debezium.context.runId" in path
    if names[0] != "value":
        return False
    if names[1:] in (["ts_ms"], ["ts_us"], ["ts_ns"], ["source", "version"]):
        return True
    return is_copied and names[1:2] == ["source"] and names[-1] in _SNAPSHOT_PLACES


def _differences(
    theirs: Any, ours: Any, path: str = "", *, has_order: bool | None = None
) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in [*theirs, *(name for name in ours if name not in theirs)]:
            yield from _differences(theirs.get(name, MISSING), ours.get(name, MISSING), f"{path}.{name}")
        # the attributes of a schema have no order; its fields are a list
        has_order = not re.match(r"\[|[.](key|value)[.]schema", path) if has_order is None else has_order
        if has_order and set(theirs) == set(ours) and list(theirs) != list(ours):
            yield f"{path}(order)", list(theirs), list(ours)
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _differences_of_lists(theirs, ours, path)
    elif type(theirs) is not type(ours) or (theirs != ours and not (theirs != theirs and ours != ours)):
        yield path, theirs, ours


def _differences_of_lists(theirs: list[Any], ours: list[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    names, other_names = [_name(one) for one in theirs], [_name(one) for one in ours]
    is_counted = path.endswith(".data_collections")
    has_names = (is_counted or path.endswith((".fields", ".columns", ".headers"))) and all(names) and all(other_names)
    if has_names and len(set(names)) == len(names) and len(set(other_names)) == len(other_names):
        left, right = dict(zip(names, theirs, strict=True)), dict(zip(other_names, ours, strict=True))
        # theirs of END is that of a hash map, which goes by the database's name
        yield from _differences(left, right, path, has_order=not is_counted)
        return
    for i in range(max(len(theirs), len(ours))):
        yield from _differences(
            theirs[i] if i < len(theirs) else MISSING, ours[i] if i < len(ours) else MISSING, f"{path}[{i}]"
        )


def _name(one: Any) -> str:
    """Of an element that has one: a field of a schema, a column, a header, a table in END."""
    if isinstance(one, dict):
        name = one.get("field", one.get("name", one.get("data_collection")))
        return name if isinstance(name, str) else ""
    return one[0] if isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) else ""


class Difference(NamedTuple):
    """One that is accepted: where (patterns over source, topic and path), what each side says, and why."""

    sources: str
    topic: str
    path: str
    theirs: str
    ours: str
    reason: str

    def covers(self, source: str, finding: Finding) -> bool:
        """Whether that finding is this difference. The patterns are regular expressions over the whole text."""
        texts = (source, finding.topic, finding.path, _text(finding.theirs), _text(finding.ours))
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in zip(self[:5], texts, strict=True))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def unexplained(
    source: str, findings: list[Finding], differences: list[Difference]
) -> tuple[list[Finding], set[Difference]]:
    """The findings that no difference covers, and the differences that cover any."""
    used: set[Difference] = set()
    left = []
    for finding in findings:
        covering = [one for one in differences if one.covers(source, finding)]
        used.update(covering)
        if not covering:
            left.append(finding)
    return left, used


def report(findings: list[Finding]) -> str:
    """One line for all findings that say the same, with how often and an example."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.path, _text(one.theirs)[:300], _text(one.ours)[:300]), []).append(one)
    lines = []
    for (path, theirs, ours), group in groups.items():
        topics = sorted({one.topic for one in group})
        lines += [(f"{path}\n  theirs: {theirs}\n  ours:   {ours}\n  {len(group)} x in {', '.join(topics[:4])}"
                  f"{' …' if len(topics) > 4 else ''}; e.g. {group[0].example[:200]}")]  # fmt: skip
    return "\n".join(lines)
