"""From a file or a request body to a checked document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from deltaforge.config.env import expand
from deltaforge.config.known_secrets import hidden
from deltaforge.config.steps import Steps, path_text
from deltaforge.config.values import refuse_unusable
from deltaforge.core.errors import SpecError
from deltaforge.spec.checks import faults_of
from deltaforge.spec.faults import Fault, error_of, kind_of, split_unknown, without
from deltaforge.spec.model import PipelineSpec
from deltaforge.spec.names import check_new_names
from deltaforge.spec.references import with_files
from deltaforge.spec.secrets import redacted_steps, secrets_of

if TYPE_CHECKING:
    from deltaforge.spec.reading import DocumentText


@dataclass(frozen=True)
class ParsedDocument:
    """A document that is right.

    Attributes:
        spec: The document as models.
        warnings: What was ignored, each with its path.
        raw: The document as given, unknown keys and secrets included.
    """

    spec: PipelineSpec
    warnings: list[str]
    raw: dict[str, Any]

    @cached_property
    def echo(self) -> dict[str, Any]:
        """As :meth:`PipelineSpec.echo`; made once. Not to be changed."""
        return self.spec.echo()


def parse_document(data: Any, *, strict: bool = False, is_stored: bool = False) -> ParsedDocument:
    """Check a document and fill in its defaults.

    Args:
        data: JSON values; a document is an object.
        strict: Unknown keys are errors instead of warnings.
        is_stored: It was accepted before, maybe by a version that took ``"1000"`` for a number.

    Raises:
        SpecError: Everything that is wrong, with paths; never with a value from the document that
            may be secret.
    """
    if not isinstance(data, Mapping):
        raise SpecError(f"a pipeline document must be an object, got {kind_of(data)}")
    raw = dict(data)
    if not is_stored:
        refuse_unusable(raw)
    try:
        return _parsed(raw, strict=strict, is_stored=is_stored)
    except SpecError as error:
        error.message = hidden(error.message, secrets_of(raw))
        raise


def _parsed(raw: dict[str, Any], *, strict: bool, is_stored: bool) -> ParsedDocument:
    spec, unknown = _validated(raw, is_stored=is_stored)
    faults = faults_of(spec)
    faults += [
        Fault(path_text(steps), "holds only the redacted form of a secret; write the secret itself")
        for steps in redacted_steps(raw)
    ]
    if strict:
        faults += _unknown_faults(unknown)
    if faults:
        raise error_of(faults)
    warnings = [f"{path}: {message} is ignored" for path, message in _unknown_faults(unknown)]
    return ParsedDocument(spec, warnings, raw)


def load_file(
    path: Path,
    env: Mapping[str, str],
    *,
    strict: bool = False,
    secrets_dir: Path | None = None,
    is_for_later: bool = False,
) -> ParsedDocument:
    """Read a YAML or JSON file, replace ``${VAR}`` and ``${file:name}``, and check it.

    Args:
        path: File to read, UTF-8.
        env: Environment variables.
        secrets_dir: Where names of files of secrets begin; None: at the folder of ``path``.
        is_for_later: The process of the pipeline reads the files below ``secrets_dir``.
        strict: Unknown keys and unset variables are errors instead of warnings.

    Raises:
        SpecError: The file cannot be read, is no YAML or JSON, or is no right document.
    """
    text, unset = expand(_text(path), env)
    if unset and strict:
        raise SpecError(f"environment variables are not set: {', '.join(unset)}", hint="or write ${NAME:-default}")
    whole = _of_file(path, text)
    try:
        values = with_files(
            _values(whole), secrets_dir or path.parent, is_for_later=is_for_later and secrets_dir is not None
        )
        parsed = parse_document(values, strict=strict)
    except SpecError as error:
        raise whole.located(error) from error
    notes = [f"environment variable {name} is not set; ${{{name}}} stays as it is" for name in unset]
    try:
        check_new_names(parsed.spec)
    except SpecError as error:
        if strict:
            raise
        notes.append(f"{error}: only what has such a name already keeps it")
    return ParsedDocument(parsed.spec, notes + parsed.warnings, parsed.raw)


def read_values(path: Path, text: str | None = None) -> Any:
    """What a YAML or JSON file holds, not checked, variables as they are.

    Args:
        path: File to read, UTF-8.
        text: What it holds, if that is known.

    Raises:
        SpecError: The file cannot be read, is empty, or is no YAML or JSON.
    """
    return _values(_of_file(path, _text(path) if text is None else text))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of documents, draft 2020-12. It cannot say all that :func:`parse_document` checks."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PipelineSpec.model_json_schema()}


def document_files(path: Path) -> list[Path]:
    """The documents that ``--config`` means: a file itself, or every YAML file below a directory.

    Names that begin with a dot are left out, folders too: a mounted ConfigMap keeps a second copy of its files there.

    Raises:
        SpecError: There is no such file or directory.
    """
    if path.is_dir():
        found = (file for file in path.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file())
        return sorted(file for file in found if not any(p.startswith(".") for p in file.relative_to(path).parts))
    if not path.exists():
        raise SpecError(f"cannot read {path}: no such file or directory")
    return [path]


def _validated(raw: dict[str, Any], *, is_stored: bool) -> tuple[PipelineSpec, list[Steps]]:
    """The models, and the unknown keys that had to be taken out for it."""
    data: Any = raw
    unknown: list[Steps] = []
    while True:
        try:
            return PipelineSpec.model_validate(data, strict=False if is_stored else None), unknown
        except ValidationError as error:
            faults, found = split_unknown(error, data)
            unknown += found
            if faults or not found:
                raise error_of(faults + _unknown_faults(unknown)) from error
        data = without(data, found)


def _unknown_faults(unknown: list[Steps]) -> list[Fault]:
    return [Fault(path_text(steps), "unknown field") for steps in unknown]


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise SpecError(f"cannot read {path}: {reason}") from exc
    if not text.strip():
        raise SpecError(f"{path} is empty", hint="`deltaforge init` writes a document")
    return text


def _of_file(path: Path, text: str) -> DocumentText:
    from deltaforge.spec.reading import DocumentText  # YAML is of those who write documents, not of those who run them

    return DocumentText(text, path.suffix != ".json", str(path))


def _values(text: DocumentText) -> Any:
    values = text.values()
    if values is None:
        raise SpecError(f"{text.name} holds nothing but comments", hint="`deltaforge init` writes a document")
    return values
