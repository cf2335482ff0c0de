"""Settings of a PostgreSQL source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.core.errors import CheckpointError, SourceError
from deltaforge.core.positions.postgres import lsn_from_text
from deltaforge.sources.base import ShardConfig, SourceConfig

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


def _slot_name(value: str) -> str:
    if _SLOT.fullmatch(value) is None:
        raise ValueError("a slot name has 1 to 63 lower-case letters, digits and underscores")
    return value


def _uses_of(dsn: SecretStr) -> Iterator[LocalUse]:
    from deltaforge.sources.postgres.session import local_parts

    for name, value, kind in local_parts(dsn.get_secret_value()):
        yield LocalUse(("dsn",), value, kind, name=name)


SlotName = Annotated[str, AfterValidator(_slot_name)]
StartPosition = Literal["earliest", "latest"] | StartLsn
OnPublicationGap = Literal["halt", "warn"]
Toast = Literal["fill", "marker"]


class PostgresShard(ShardConfig):
    """One shard of a PostgreSQL source. Shards on one server need slots of their own."""

    publication: str | None = Field(None, min_length=1, description="Publication of this shard.")
    slot: SlotName | None = Field(None, description="Logical replication slot of this shard.")
    start_position: StartPosition | None = Field(None, description="Where the very first start of this shard begins.")
    on_publication_gap: OnPublicationGap | None = Field(None, description="As above, for this shard.")
    toast: Toast | None = Field(None, description="As above, for this shard.")
    outbox: PostgresOutbox | None = Field(None, description="Logical messages of this shard that are outbox events.")

    def local_uses(self) -> Iterator[LocalUse]:
        return _uses_of(self.dsn) if self.dsn is not None else iter(())


class PostgresSourceConfig(SourceConfig):
    """Settings of a PostgreSQL source. ``dsn`` is a URL or ``key=value`` pairs, as libpq reads them."""

    publication: str = Field(min_length=1, description="Publication to read; waited for until it exists.")
    slot: SlotName = Field(description="Logical replication slot; created when missing on the first start.")
    start_position: StartPosition = Field(
        "earliest", description="Where the very first start begins; later the saved position wins."
    )
    on_publication_gap: OnPublicationGap = Field(
        "halt",
        description="At changes that were written while there was no publication, which PostgreSQL 18 leaves out: stop,"
        " or go on with a warning and a count. Older servers end the stream there.",
    )
    toast: Toast = Field(
        "fill",
        description="A TOAST value that an update did not touch: taken from the old row where the log holds that,"
        " which is with REPLICA IDENTITY FULL; or always the marker.",
    )
    outbox: PostgresOutbox | None = Field(None, description="Logical messages that are outbox events.")

    shards: list[PostgresShard] | None = Field(
        None, min_length=1, description="Several databases, each with a slot, read as one source: `docs/shards.md`."
    )

    def local_uses(self) -> Iterator[LocalUse]:
        return _uses_of(self.dsn) if "dsn" in self.model_fields_set else iter(())

    def reads_alone(self) -> Iterator[str]:
        from deltaforge.sources.postgres.session import addresses_of

        try:
            for host, port in addresses_of(self.dsn.get_secret_value()):
                yield f"slot {self.slot} of {host}:{port}"
        except SourceError:  # with variables in it: not known yet
            return
