"""What is wrong with a document, in words and with the exact place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deltaforge.config.steps import Steps, path_text
from deltaforge.core.errors import SpecError

_MAX_LISTED = 20
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

_Tree = dict[Any, Any]
"""Steps that begin alike, put together; a leaf is empty."""


class Fault(NamedTuple):
    """One thing that is wrong, and where."""

    path: str
    message: str


class DocumentError(SpecError):
    """Everything that is wrong with a document; its path is that of the first fault.

    Attributes:
        faults: What is wrong, as far as it is listed.
    """

    def __init__(self, faults: Sequence[Fault], places: Mapping[str, str] | None = None) -> None:
        self._all, self.faults = faults, faults[:_MAX_LISTED]
        first, *others = [Fault(path, message + (places or {}).get(path, "")) for path, message in self.faults]
        listed = [f"{path}: {message}" if path else message for path, message in others]
        if len(faults) > _MAX_LISTED:
            listed.append(f"and {len(faults) - _MAX_LISTED} more")
        super().__init__("; ".join([first.message, *listed]), path=first.path)

    def located(self, places: Mapping[str, str]) -> DocumentError:
        """The same error with where in the text its faults are: `` at line 7 column 3`` by path."""
        return DocumentError(self._all, places)


def error_of(faults: Sequence[Fault]) -> DocumentError:
    """One error that lists all faults; its path is that of the first."""
    return DocumentError(faults)


def split_unknown(error: ValidationError, data: Any) -> tuple[list[Fault], list[Steps]]:
    """Sort the findings of a validation.

    Args:
        error: What the models said. Its texts never hold values of the document.
        data: What was validated.

    Returns:
        The faults without unknown keys, and where the unknown keys are.
    """
    faults: dict[Fault, None] = {}  # in order, each once
    unknown: list[Steps] = []
    for details in error.errors(include_url=False, include_context=True):
        steps = _steps_in(data, details)
        if details["type"] == "extra_forbidden":
            unknown.append(steps)
        else:
            faults[_fault(steps, details)] = None
    return list(faults), unknown


def without(data: Any, unknown: Iterable[Steps]) -> Any:
    """A copy of ``data`` without the keys that the steps lead to. Shares what is not on the way."""
    tree: _Tree = {}
    for steps in unknown:
        at = tree
        for step in steps[:-1]:
            at = at.setdefault(step, {})
        at[steps[-1]] = {}
    return _pruned(data, tree)


def _pruned(data: Any, tree: _Tree) -> Any:
    """``data`` without the leaves of the tree."""
    if isinstance(data, dict):
        return {k: _pruned(v, tree[k]) if k in tree else v for k, v in data.items() if tree.get(k, True)}
    return [_pruned(v, tree[n]) if n in tree else v for n, v in enumerate(data)]


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
