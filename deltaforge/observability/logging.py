"""Log lines: a level filter that can change while running, text or JSON, no passwords.

``configure`` is called once by a command. Everything else in DeltaForge uses the standard
``logging.getLogger(__name__)`` and gives its fields by ``extra={"sink": …}``.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from deltaforge.config.secret import redacted

log = logging.getLogger(__name__)

FIELDS = ("pipeline", "source_id", "sink", "lane", "table", "error")
"""Fields of a log line beside timestamp, level and message (contract 06 section 3)."""

_LEVELS = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": 5,
}
_LEVEL_NAMES = {logging.CRITICAL: "ERROR", logging.WARNING: "WARN", 5: "TRACE"}
_SHORT_TARGETS = frozenset(
    {"checkpoint", "control", "processors", "protocol", "runtime", "sinks", "sources", "storage"}
)


def configure(
    env: Mapping[str, str],
    *,
    pipeline: str | None = None,
    stream: TextIO | None = None,
    is_json: bool | None = None,
) -> None:
    """Send log lines of this process to ``stream`` (standard error).

    Args:
        env: ``DELTAFORGE_LOG``, else ``RUST_LOG``, is the level filter (default ``info``);
            ``DELTAFORGE_LOG_FORMAT`` is ``text`` (default) or ``json``.
        pipeline: Field of every line of a process that runs one pipeline.
        stream: Where to; not closed.
        is_json: Overrides ``DELTAFORGE_LOG_FORMAT``.

    Raises:
        ValueError: The filter or the format is not understood.
    """
    form = env.get("DELTAFORGE_LOG_FORMAT", "text").lower()
    if form not in ("text", "json"):
        raise ValueError(f"unknown log format {form!r}; known are text and json")
    handler = _Handler(sys.stderr if stream is None else stream)
    wants_json = form == "json" if is_json is None else is_json
    handler.setFormatter(_JsonFormatter(pipeline) if wants_json else _TextFormatter(pipeline))
    level = env.get("DELTAFORGE_LOG") or env.get("RUST_LOG") or "info"
    targets = parse_filter(level)
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        old.forget()
        root.removeHandler(old)
    root.addHandler(handler)
    handler.apply(targets, level)
    sys.excepthook = _unforeseen


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception that ends the process is a log line like others: without secrets."""
    handler = _configured()
    if not issubclass(kind, Exception) or handler is None or handler.stream.closed:
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("ended by an exception that nobody foresaw", exc_info=(kind, error, trace))


@contextmanager
def written_to(stream: TextIO) -> Iterator[None]:
    """Send the log lines of this process to another stream while it is open."""
    handler = _configured()
    before = handler.setStream(stream) if handler is not None else None
    try:
        yield
    finally:
        if handler is not None and before is not None:
            handler.setStream(before)


def set_level(text: str) -> str:
    """Change the level filter of this process.

    Args:
        text: A level, or ``target=level`` parts separated by commas, e.g. ``info,deltaforge.sinks=debug``.

    Returns:
        The filter as it is in force.

    Raises:
        ValueError: A level is unknown; nothing changed.
    """
    targets = parse_filter(text)
    handler = _configured()
    if handler is None:
        raise ValueError("log output of this process is not configured")
    handler.apply(targets, text)
    return current_level()


def current_level() -> str:
    """The level filter in force, in the form that :func:`set_level` takes."""
    handler = _configured()
    if handler is None:
        return "info"
    return handler.level_text


def parse_filter(text: str) -> dict[str, str]:
    """A level filter as target → level name; the target ``""`` is everything else.

    Raises:
        ValueError: A level is unknown, or a part is empty.
    """
    targets = {"": "warn"} if "=" in text else {}
    for part in text.split(","):
        target, _, level = part.strip().rpartition("=")
        level = level.strip().lower()
        if level not in _LEVELS or ("=" in part and not target.strip()):
            raise ValueError(f"unknown log level {level!r}; known are {', '.join(_LEVELS)}")
        targets[target.strip()] = level
    return targets


def _configured() -> _Handler | None:
    return next((h for h in logging.getLogger().handlers if isinstance(h, _Handler)), None)


def _logger(target: str) -> logging.Logger:
    name = target.replace("::", ".")
    return logging.getLogger(f"deltaforge.{name}" if name.partition(".")[0] in _SHORT_TARGETS else name)


class _Handler(logging.StreamHandler[TextIO]):
    """Our one handler; remembers the filter, so that nothing global has to."""

    targets: dict[str, str]
    level_text = "info"

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.targets = {}

    def apply(self, targets: dict[str, str], text: str) -> None:
        self.forget()
        for target, level in targets.items():
            _logger(target).setLevel(_LEVELS[level])
        self.targets, self.level_text = targets, text.strip()

    def forget(self) -> None:
        for target in self.targets:
            _logger(target).setLevel(logging.WARNING if not target else logging.NOTSET)
        self.targets = {}


class _Formatter(logging.Formatter):
    """What both forms share. Each value is redacted by itself, never the joined line."""

    def __init__(self, pipeline: str | None) -> None:
        super().__init__()
        self._pipeline = pipeline

    def values(self, record: logging.LogRecord) -> dict[str, str]:
        fields = {name: getattr(record, name, None) for name in FIELDS}
        if fields["pipeline"] is None:
            fields["pipeline"] = self._pipeline
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return {
            "timestamp": stamp.replace("+00:00", "Z"),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname),
            "target": record.name,
            "message": redacted(record.getMessage()),
            **{name: redacted(str(value)) for name, value in fields.items() if value is not None},
            **({"trace": redacted(self.formatException(record.exc_info))} if record.exc_info else {}),
        }


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.values(record), ensure_ascii=False)


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        values = self.values(record)
        head = f"{values.pop('timestamp')} {values.pop('level'):5} {values.pop('target')}: {values.pop('message')}"
        trace = values.pop("trace", None)
        lines = " ".join([head, *(f"{name}={value}" for name, value in values.items())]).splitlines()
        line = " ".join(filter(None, (part.strip() for part in lines)))
        return f"{line}\n{trace}" if trace else line
