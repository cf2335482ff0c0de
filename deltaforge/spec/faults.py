"""What is wrong with a document, in words and with the exact place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deltaforge.core.errors import SpecError

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MAX_LISTED = 20
_MAX_KEY_LENGTH = 60
_TAGGED = frozenset({"source", "processors", "sinks", "envelope", "encoding", "commit_policy"})
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number"}
_EXPECTED = {
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "list_type": "an array",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
}

Steps = tuple[str | int, ...]
"""Keys and indexes that lead from the top of a document to a value."""


class Fault(NamedTuple):
    """One thing that is wrong, and where."""

    path: str
    message: str


def path_text(steps: Iterable[str | int]) -> str:
    """Steps as people write them: ``spec.sinks[0].config.topic``."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step) and len(step) <= _MAX_KEY_LENGTH:
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step[:_MAX_KEY_LENGTH])}]"
    return text


def error_of(faults: Sequence[Fault]) -> SpecError:
    """One error that lists all faults; its path is that of the first."""
    first, *others = faults
    listed = [f"{path}: {message}" if path else message for path, message in others[: _MAX_LISTED - 1]]
    if len(others) >= _MAX_LISTED:
        listed.append(f"and {len(others) - len(listed)} more")
    return SpecError("; ".join([first.message, *listed]), path=first.path)


def split_unknown(error: ValidationError, data: Any) -> tuple[list[Fault], list[Steps]]:
    """Sort the findings of a validation.

    Args:
        error: What the models said. Its texts never hold values of the document.
        data: What was validated.

    Returns:
        The faults without unknown keys, and where the unknown keys are.
    """
    faults: list[Fault] = []
    unknown: list[Steps] = []
    for details in error.errors(include_url=False, include_context=True):
        steps = _steps_in(data, details)
        if details["type"] == "extra_forbidden":
            unknown.append(steps)
        else:
            fault = _fault(steps, details)
            if fault not in faults:
                faults.append(fault)
    return faults, unknown


def without(data: Any, steps: Steps) -> Any:
    """A copy of ``data`` without the key that ``steps`` leads to. Shares what is not on the way."""
    step, *rest = steps
    if isinstance(data, dict):
        if rest:
            return {**data, step: without(data[step], tuple(rest))}
        return {key: value for key, value in data.items() if key != step}
    copied = list(data)
    copied[int(step)] = without(copied[int(step)], tuple(rest))
    return copied


def _steps_in(data: Any, details: ErrorDetails) -> Steps:
    """Where a finding is in the document.

    The models' own location also names the chosen member of a union, which is no key of the document.
    """
    steps: list[str | int] = []
    at, is_tag_next = data, False
    location = details["loc"]
    for number, step in enumerate(location):
        is_last = number == len(location) - 1
        if is_tag_next:
            is_tag_next = False
            if isinstance(at, dict) and step in (at.get("type"), at.get("mode")):
                continue
        if isinstance(at, dict) and step in at:
            at = at[step]
        elif isinstance(at, list) and isinstance(step, int) and step < len(at):
            at = at[step]
            is_tag_next = steps[-1] in _TAGGED if steps else False
        elif not (is_last and details["type"] == "missing"):
            continue
        steps.append(step)
        is_tag_next = is_tag_next or (step in _TAGGED and not isinstance(at, list))
    return tuple(steps)


def _fault(steps: Steps, details: ErrorDetails) -> Fault:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "missing":
        return Fault(path_text(steps[:-1]), f"missing field `{steps[-1]}`")
    if kind == "union_tag_not_found":
        return Fault(path_text(steps), f"missing field `{context['discriminator'].strip(chr(39))}`")
    if kind == "union_tag_invalid":
        field, known = context["discriminator"].strip("'"), context["expected_tags"].replace("'", "")
        return Fault(path_text((*steps, field)), f"unknown {field} `{str(context['tag'])[:60]}`; known: {known}")
    if kind in _EXPECTED:
        return Fault(path_text(steps), f"must be {_EXPECTED[kind]}, got {kind_of(details['input'])}")
    if kind == "too_short":
        return Fault(path_text(steps), f"must have at least {context['min_length']} item")
    message = details["msg"].removeprefix("Value error, ").replace("Input should", "must")
    return Fault(path_text(steps), message[:1].lower() + message[1:])


def kind_of(value: Any) -> str:
    """The JSON type of a value, in words."""
    return "null" if value is None else _KINDS.get(type(value), "something else")
