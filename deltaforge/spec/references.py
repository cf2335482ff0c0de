"""``${NAME}`` and ``${file:name}`` in a document: what a client may refer to, and what that stands for.

What an operator's file refers to is put in when the file is read. What came over the network is put in by the process
that uses it, never stored, and never read as anything but the value that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr, ValidationError

from deltaforge.config.env import EVENT_FIELDS, references, replaced
from deltaforge.config.known_secrets import hidden
from deltaforge.config.secret_file import name_fault, read_secret_file
from deltaforge.config.steps import Steps, path_text
from deltaforge.core.errors import SpecError
from deltaforge.spec.faults import Fault, error_of, split_unknown
from deltaforge.spec.model import PipelineSpec

ENV_PREFIX = "DELTAFORGE_VAR_"
"""What names of variables begin with that a document sent over REST may refer to, unless ``--env-prefix`` says so."""

_NO_PREFIX = "="
"""No name begins with it."""
_TEMPLATES = frozenset({"topic", "key", "stream", "subject"})
"""Settings in which other names are paths into the event."""


class References(msgspec.Struct, frozen=True, kw_only=True):
    """What documents that came over the network may refer to.

    Attributes:
        env_prefix: Beginning of the names of variables.
        secrets_dir: Below which files are; empty: there are none.
    """

    env_prefix: str = ENV_PREFIX
    secrets_dir: str = ""

    def faults(self, spec: PipelineSpec) -> Iterator[tuple[str, Fault]]:
        """What the document must not refer to, each with a mark that tells it from others."""
        for steps, text in strings_of(spec):
            for found in references(text):
                if (message := self._fault(found, steps)) is not None:
                    yield mark_of(steps, found[0]), Fault(path_text(steps), message)

    def resolved(self, spec: PipelineSpec, env: Mapping[str, str]) -> tuple[PipelineSpec, list[str]]:
        """The document with what it refers to, for the process that is about to use it; and what was put in.

        Raises:
            SpecError: A variable is not set, a file cannot be read, or what was put in does not fit; says where, and no
                value.
        """
        put_in: list[str] = []

        def value_of(found: re.Match[str], steps: Steps) -> str:
            value = self._value(found, steps, env)
            if value != found[0]:
                put_in.append(value)
            return value

        document = spec.model_dump()
        for where, config in _configs(document):
            config.update(_mapped(config, where, lambda text, steps: replaced(text, lambda m: value_of(m, steps))))
        try:
            return PipelineSpec.model_validate(document), put_in
        except ValidationError as error:
            faults, _ = split_unknown(error, document)
            raise SpecError(hidden(str(error_of(faults)), put_in)) from None

    def _fault(self, found: re.Match[str], steps: Steps) -> str | None:
        if found["file"] is not None:
            if not self.secrets_dir:
                return "refers to a file of secrets: this server has none (--secrets-dir)"
            return name_fault(found["file"])
        name = found["name"]
        if name.startswith(self.env_prefix) or name in EVENT_FIELDS or steps[-1] in _TEMPLATES:
            return None
        return f"refers to the variable {name}: over REST only those are taken that begin with {self.env_prefix}"

    def _value(self, found: re.Match[str], steps: Steps, env: Mapping[str, str]) -> str:
        if self._fault(found, steps) is not None:
            return found[0]  # of an operator's file, which has it from nowhere either
        try:
            if found["file"] is not None:
                return read_secret_file(Path(self.secrets_dir), found["file"], is_confined=True)
        except SpecError as error:
            raise SpecError(error.message, path=path_text(steps)) from None
        name, default = found["name"], found["default"]
        if not name.startswith(self.env_prefix):
            return found[0]
        if default is not None:
            return env.get(name) or default
        if name not in env:
            raise SpecError(f"the variable {name} is not set", path=path_text(steps), hint="set it where serve runs")
        return env[name]


def with_secret_files(spec: PipelineSpec, folder: Path) -> tuple[PipelineSpec, list[str]]:
    """An operator's document with the secrets of files below ``folder``, for whoever is about to use it; and what was
    put in. Variables were put in before.

    Raises:
        SpecError: See :meth:`References.resolved`.
    """
    return References(env_prefix=_NO_PREFIX, secrets_dir=str(folder)).resolved(spec, {})


def strings_of(spec: PipelineSpec) -> Iterator[tuple[Steps, str]]:
    """Every string of source and sinks that may refer to something, with its place; secrets too."""
    found: list[tuple[Steps, str]] = []

    def note(text: str, steps: Steps) -> str:
        found.append((steps, text))
        return text

    for where, config in _configs(spec.model_dump()):
        _mapped(config, where, note)
    return iter(found)


def with_files(data: Any, folder: Path, *, is_for_later: bool) -> Any:
    """The values of an operator's file with what ``${file:name}`` stands for.

    Args:
        data: The values.
        folder: Where names begin.
        is_for_later: What is below ``folder`` is left for :func:`with_secret_files`.

    Raises:
        SpecError: A file cannot be read.
    """

    def value_of(found: re.Match[str]) -> str:
        name = found["file"]
        if name is None or (is_for_later and name_fault(name) is None):
            return found[0]
        return read_secret_file(folder, name, is_confined=False)

    def value_at(text: str, steps: Steps) -> str:
        try:
            return replaced(text, value_of)
        except SpecError as error:
            raise SpecError(error.message, path=path_text(steps)) from None

    return _mapped(data, (), value_at)


def mark_of(steps: Steps, reference: str) -> str:
    """Names a reference at its place."""
    return f"{path_text(steps)} {reference}"


def _configs(document: dict[str, Any]) -> Iterator[tuple[Steps, dict[str, Any]]]:
    yield ("spec", "source", "config"), document["spec"]["source"]["config"]
    for number, sink in enumerate(document["spec"]["sinks"]):
        yield ("spec", "sinks", number, "config"), sink["config"]


def _mapped(value: Any, steps: Steps, change: Callable[[str, Steps], str]) -> Any:
    """The values with every string changed that holds a reference; ids are what they are."""
    if isinstance(value, SecretStr):
        return change(value.get_secret_value(), steps) if "${" in value.get_secret_value() else value
    if isinstance(value, str | Path):
        return change(str(value), steps) if "${" in str(value) and steps[-1:] != ("id",) else value
    if isinstance(value, dict):
        return {key: _mapped(inner, (*steps, key), change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner, (*steps, number), change) for number, inner in enumerate(value)]
    return value
