"""Settings of a MySQL or MariaDB source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.config.secret import Dsn
from deltaforge.core.errors import SpecError
from deltaforge.sources.base import ShardConfig, SourceConfig
from deltaforge.sources.mysql.dsn import FILE_PARAMETERS, read_dsn


class MysqlOutbox(StrictModel):
    """Which tables are outbox tables."""

    tables: list[TablePattern] = Field(description="Table patterns; a table must also be captured by `tables`.")


def _url(dsn: SecretStr) -> SecretStr:
    text = dsn.get_secret_value()
    if "${" not in text:  # else it is not known yet
        try:
            read_dsn(text)
        except SpecError as exc:
            raise ValueError(str(exc)) from exc
    return dsn


def _uses_of(dsn: SecretStr) -> Iterator[LocalUse]:
    try:
        parameters = read_dsn(dsn.get_secret_value()).parameters
    except SpecError:  # with variables in it; the pipeline's process reads it whole
        return
    for name in FILE_PARAMETERS:
        if parameters.get(name):
            yield LocalUse(("dsn",), parameters[name], name=name)


MysqlDsn = Annotated[Dsn, AfterValidator(_url)]


class MysqlShard(ShardConfig):
    """One shard of a MySQL or MariaDB source."""

    dsn: MysqlDsn | None = Field(None, description="Connection string of this shard.")
    outbox: MysqlOutbox | None = Field(None, description="Tables of this shard whose inserted rows are outbox events.")

    def local_uses(self) -> Iterator[LocalUse]:
        return _uses_of(self.dsn) if self.dsn is not None else iter(())


class MysqlSourceConfig(SourceConfig):
    """Settings of a MySQL or MariaDB source. ``dsn`` is ``mysql://user:password@host:port/database``."""

    dsn: MysqlDsn = Field(description="Connection string; its password is never shown.")
    outbox: MysqlOutbox | None = Field(None, description="Tables whose inserted rows are outbox events.")
    shards: list[MysqlShard] | None = Field(
        None, min_length=1, description="Several servers, or parts of one, read as one source: `docs/shards.md`."
    )

    def local_uses(self) -> Iterator[LocalUse]:
        return _uses_of(self.dsn) if "dsn" in self.model_fields_set else iter(())

    def reads_alone(self) -> Iterator[str]:
        from deltaforge.sources.mysql.client import server_id_of

        yield f"replica id {server_id_of(self.id)}, which follows from the ids of source and shard,"
