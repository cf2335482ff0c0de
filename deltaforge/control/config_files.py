"""The documents of ``--config``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from deltaforge.core.errors import DeltaForgeError, SpecError
from deltaforge.spec import ParsedDocument, document_files, load_file

log = logging.getLogger(__name__)


class ConfigFiles:
    """Applies a file, or every file of a folder. What is wrong with one file of a folder keeps no other one from its
    start: it is logged, and stands in :attr:`faults`.

    Args:
        apply: Makes what a document says so.
        env: Variables that they may name.
        secrets_dir: See :func:`deltaforge.spec.load_file`.
    """

    def __init__(
        self, apply: Callable[[ParsedDocument], Awaitable[None]], env: Mapping[str, str], secrets_dir: Path | None
    ) -> None:
        self._apply = apply
        self._load = partial(load_file, env=env, secrets_dir=secrets_dir, is_for_later=True)
        self.faults: dict[str, str] = {}

    async def load(self, path: Path) -> None:
        """Apply what is there.

        Raises:
            SpecError: There is nothing, or it is one file and that is wrong.
        """
        is_folder, files = await asyncio.to_thread(lambda: (path.is_dir(), document_files(path)))
        if is_folder and not files:
            log.warning("%s holds no *.yaml or *.yml", path)
        seen: dict[tuple[str, str], Path] = {}
        for file in files:
            try:
                parsed = await asyncio.to_thread(self._load, file)
                for warning in parsed.warnings:
                    log.warning("%s: %s", file, warning)
                _check_repeated(parsed, file, seen)
                await self._apply(parsed)
            except DeltaForgeError as error:
                text = str(error) if str(file) in str(error) else f"{file}: {error}"
                if not is_folder:
                    raise SpecError(text) from error
                self.faults[str(file)] = text
                log.error("a document is left out: %s", text)  # noqa: TRY400 - what is wrong with it is no traceback


def _check_repeated(parsed: ParsedDocument, file: Path, seen: dict[tuple[str, str], Path]) -> None:
    """Refuse a name or source id that a file before had."""
    spec = parsed.spec
    keys = {"metadata.name": spec.metadata.name, "spec.source.config.id": spec.spec.source.config.id}
    for place, value in keys.items():
        if (place, value) in seen:
            raise SpecError(f"{value!r} is already used by {seen[place, value]}", path=place)
    seen |= dict.fromkeys(keys.items(), file)
