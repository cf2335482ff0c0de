"""What a document that came over the network may do. It names no file, socket or command of this machine.

A document from an operator's file is not bound by it. A patch over REST is judged by what it changes: what the
operator's file named, and the patch leaves as it was, stays allowed (:func:`marks_of`).

The rules hold twice: when a document comes in, and in the pipeline's process, after variables were put in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from deltaforge.checkpoint.durable import write_durably
from deltaforge.config.env import references
from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.steps import Steps, path_text
from deltaforge.core.errors import SpecError
from deltaforge.sinks.base import SinkConfig
from deltaforge.spec.faults import Fault, error_of
from deltaforge.spec.model import PipelineSpec
from deltaforge.spec.references import References, mark_of, strings_of


class RemoteRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one control plane, for one pipeline.

    Attributes:
        output_dir: Below which file sinks may write; relative paths are relative to it.
        files_dir: Below which certificates and the like may be named; empty: none may.
        references: What variables and files of secrets it may refer to.
        given: Marks of what an operator's file named and is still there.
    """

    output_dir: str
    files_dir: str = ""
    references: References = References()
    given: frozenset[str] = frozenset()

    def check(self, spec: PipelineSpec) -> None:
        """Refuse what a document from the network may not name.

        Raises:
            SpecError: With every such place and what to do about it.
        """
        faults = [fault for owner, steps, use in _uses(spec) if (fault := self._fault(owner, steps, use)) is not None]
        if faults:
            raise error_of(faults)

    def check_sent(self, spec: PipelineSpec) -> None:
        """Refuse what a document that was just sent may not name or refer to.

        Raises:
            SpecError: With every such place.
        """
        self.check_references(spec)
        self.check(spec)

    def used(self, spec: PipelineSpec, env: Mapping[str, str]) -> tuple[PipelineSpec, list[str]]:
        """The document with what it refers to, for whoever is about to use it; and what was put in.

        Raises:
            SpecError: It names or refers to something that it must not, or that is not there.
        """
        self.check_references(spec)
        resolved, put_in = self.references.resolved(spec, env)
        self.check(resolved)
        return resolved, put_in

    def check_references(self, spec: PipelineSpec) -> None:
        """Refuse variables and files that a document from the network may not refer to; before they are put in.

        Raises:
            SpecError: With every such place.
        """
        faults = [fault for mark, fault in self.references.faults(spec) if mark not in self.given]
        if faults:
            raise error_of(faults)

    def output_of(self, config: SinkConfig) -> Path | None:
        """The folder that a sink's file has to be in; None if the operator named the file."""
        given = {_mark(_owner(config), use) for use in config.local_uses() if use.kind == "write"} & self.given
        return None if given else Path(self.output_dir)

    def _fault(self, owner: str, steps: Steps, use: LocalUse) -> Fault | None:
        if _mark(owner, use) in self.given:
            return None
        about = f"{use.name} " if use.name else ""
        if use.kind == "other":
            instead = f"; write {use.instead}" if use.instead else ""
            return Fault(path_text(steps), f"{about}is taken from an operator's file only, not over REST{instead}")
        if use.kind == "write":
            if is_below(use.value, self.output_dir):
                return None
            return Fault(path_text(steps), f"a file sink sent over REST writes below {self.output_dir} (--output-dir)")
        if self.files_dir and Path(use.value).is_absolute() and is_below(use.value, self.files_dir):
            return None
        below = f"a whole path below {self.files_dir}" if self.files_dir else "below a folder given with --files-dir"
        instead = f"; write {use.instead} instead" if use.instead else ""
        return Fault(path_text(steps), f"{about}names a file, which over REST has to be {below}{instead}")


def marks_of(spec: PipelineSpec) -> frozenset[str]:
    """What a document names of this machine, by who names it: the ``given`` of later rules."""
    named = {_mark(owner, use) for owner, _, use in _uses(spec)}
    return frozenset(
        named | {mark_of(steps, found[0]) for steps, text in strings_of(spec) for found in references(text)}
    )


def write_rules(path: Path, rules: RemoteRules | None) -> None:
    """Leave the rules for the process that is about to start; None: there are none."""
    if rules is None:
        path.unlink(missing_ok=True)
    else:
        write_durably(path, msgspec.json.encode(rules))


def read_rules(path: Path) -> RemoteRules | None:
    """What :func:`write_rules` left.

    Raises:
        SpecError: It cannot be read: nothing may run without the rules that it was to have.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=RemoteRules)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        raise SpecError(f"rules {path} cannot be read: {type(exc).__name__}") from exc


def is_below(path: str, folder: str) -> bool:
    """Whether a file is inside a folder, symbolic links followed; relative paths are relative to it."""
    if "\0" in path or ".." in Path(path).parts:
        return False
    real = Path(os.path.realpath(folder))
    named = Path(os.path.realpath(real / path))
    return named != real and named.is_relative_to(real)


def _uses(spec: PipelineSpec) -> Iterator[tuple[str, Steps, LocalUse]]:
    """Everything that a document names of this machine, with who names it and where."""
    body = spec.spec
    yield from _below("source", ("spec", "source", "config"), body.source.config)
    for number, sink in enumerate(body.sinks):
        yield from _below(_owner(sink.config), ("spec", "sinks", number, "config"), sink.config)
    for number, processor in enumerate(body.processors):
        yield from _below(f"processor {processor.id}", ("spec", "processors", number), processor)


def _below(owner: str, steps: Steps, settings: StrictModel) -> Iterator[tuple[str, Steps, LocalUse]]:
    for use in settings.local_uses():
        yield owner, (*steps, *use.steps), use
    for name in type(settings).model_fields:
        inner = getattr(settings, name)
        if isinstance(inner, StrictModel):
            yield from _below(owner, (*steps, name), inner)
    shards = getattr(settings, "shards", None) or ()
    for number, shard in enumerate(shards):
        yield from _below(f"{owner} shard {shard.id}", (*steps, "shards", number), shard)


def _owner(config: SinkConfig) -> str:
    return f"sink {config.id}"


def _mark(owner: str, use: LocalUse) -> str:
    return json.dumps([owner, *use.steps, use.name, use.value])
