"""Settings of a PostgreSQL source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.core.errors import CheckpointError
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.sources.base import SourceConfig

_SLOT = re.compile(r"[a-z0-9_]{1,63}")


class StartLsn(StrictModel):
    """An explicit place to start at."""

    lsn: str = Field(description="Where to start, as the server prints it, e.g. 0/16B6C50.")

    @field_validator("lsn")
    @classmethod
    def _is_lsn(cls, value: str) -> str:
        try:
            lsn_from_text(value)
        except CheckpointError as exc:
            raise ValueError(str(exc)) from exc
        return value


class PostgresOutbox(StrictModel):
    """Which logical messages are outbox messages."""

    prefixes: list[str] = Field(description="Message prefixes: exact, with a trailing % or *, or * for all.")


class PostgresSourceConfig(SourceConfig):
    """Settings of a PostgreSQL source. ``dsn`` is a URL or ``key=value`` pairs, as libpq reads them."""

    publication: str = Field(min_length=1, description="Publication to read; waited for until it exists.")
    slot: str = Field(description="Logical replication slot; created when missing on the first start.")
    start_position: Literal["earliest", "latest"] | StartLsn = Field(
        "earliest", description="Where the very first start begins; later the saved position wins."
    )
    on_publication_gap: Literal["halt", "warn"] = Field(
        "halt",
        description="At changes that were written while there was no publication, which PostgreSQL 18 leaves out: stop,"
        " or go on with a warning and a count. Older servers end the stream there.",
    )
    toast: Literal["fill", "marker"] = Field(
        "fill",
        description="A TOAST value that an update did not touch: taken from the old row where the log holds that,"
        " which is with REPLICA IDENTITY FULL; or always the marker.",
    )
    outbox: PostgresOutbox | None = Field(None, description="Logical messages that are outbox events.")

    @field_validator("slot")
    @classmethod
    def _is_slot(cls, value: str) -> str:
        if _SLOT.fullmatch(value) is None:
            raise ValueError("a slot name has 1 to 63 lower-case letters, digits and underscores")
        return value

    def local_uses(self) -> Iterator[LocalUse]:
        from deltaforge.sources.postgres.session import local_parts

        for name, value, kind in local_parts(self.dsn.get_secret_value()):
            yield LocalUse(("dsn",), value, kind, name=name)
