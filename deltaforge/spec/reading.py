"""The text of a document: what its values are, and where in it something stands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from deltaforge.config.values import refuse_unusable
from deltaforge.core.errors import SpecError
from deltaforge.spec.faults import DocumentError, Fault
from deltaforge.spec.places import json_places, repeated_key, yaml_places
from deltaforge.spec.yaml_reader import JsonLikeLoader, RemoteLoader, read_yaml


@dataclass(frozen=True)
class DocumentText:
    """A text that should be one document.

    Attributes:
        text: The whole of it.
        is_yaml: Whether it is YAML; else it is JSON.
        name: What it is called in errors.
        is_remote: Whether it came over the network: YAML then without aliases and tags, and within bounds.
    """

    text: str
    is_yaml: bool
    name: str
    is_remote: bool = False

    def values(self) -> Any:
        """What it says.

        Raises:
            SpecError: It is no JSON or YAML, or a key stands twice in an object; says where.
        """
        try:
            return read_yaml(self.text, self._loader) if self.is_yaml else _read_json(self.text)
        except json.JSONDecodeError as exc:
            raise self._error(f"is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
        except _RepeatedKeyError as exc:
            key, place = repeated_key(self.text)
            raise self._error(f"is not clear: key {key[:60]!r} stands twice{place}") from exc
        except yaml.YAMLError as exc:
            mark = getattr(exc, "problem_mark", None)
            place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
            raise self._error(f"is not YAML: {getattr(exc, 'problem', None) or 'bad characters'}{place}") from exc
        except (RecursionError, ValueError) as exc:
            raise self._error("cannot be read: nested too deeply or a number too long") from exc

    def usable_values(self, max_values: int) -> Any:
        """What it says, if that can be stored and sent, and is not too much.

        Raises:
            SpecError: As :meth:`values`, and as :func:`refuse_unusable`.
        """
        values = self.values()
        try:
            refuse_unusable(values, max_values=max_values)
        except SpecError as error:
            raise self.located(error) from error
        return values

    def located(self, error: SpecError) -> SpecError:
        """An error of the document, with the places of its faults in this text as far as they are in it."""
        faults = error.faults if isinstance(error, DocumentError) else [Fault(error.path, "")] if error.path else []
        paths = [fault.path for fault in faults]
        if not paths:
            return error
        try:
            places = yaml_places(self.text, paths, self._loader) if self.is_yaml else json_places(self.text, paths)
        except (yaml.YAMLError, RecursionError, IndexError):  # the text is not right, as the error says
            return error
        if isinstance(error, DocumentError):
            return error.located(places)
        if not places:
            return error
        found = SpecError(error.message + places[error.path], hint=error.hint)
        found.path = error.path
        return found

    @property
    def _loader(self) -> type[yaml.SafeLoader]:
        return RemoteLoader if self.is_remote else JsonLikeLoader

    def _error(self, message: str) -> SpecError:
        return SpecError(f"{self.name} {message}")


class _RepeatedKeyError(Exception):
    """An object has a key twice."""


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RepeatedKeyError
    return made
