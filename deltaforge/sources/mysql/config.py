"""Settings of a MySQL or MariaDB source."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, SecretStr, field_validator

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import TablePattern
from deltaforge.core.errors import SpecError
from deltaforge.sources.base import SourceConfig
from deltaforge.sources.mysql.dsn import FILE_PARAMETERS, read_dsn


class MysqlOutbox(StrictModel):
    """Which tables are outbox tables."""

    tables: list[TablePattern] = Field(description="Table patterns; a table must also be captured by `tables`.")


class MysqlSourceConfig(SourceConfig):
    """Settings of a MySQL or MariaDB source. ``dsn`` is ``mysql://user:password@host:port/database``."""

    outbox: MysqlOutbox | None = Field(None, description="Tables whose inserted rows are outbox events.")

    @field_validator("dsn")
    @classmethod
    def _is_url(cls, dsn: SecretStr) -> SecretStr:
        text = dsn.get_secret_value()
        if "${" not in text:  # else it is not known yet
            try:
                read_dsn(text)
            except SpecError as exc:
                raise ValueError(str(exc)) from exc
        return dsn

    def local_uses(self) -> Iterator[LocalUse]:
        try:
            parameters = read_dsn(self.dsn.get_secret_value()).parameters
        except SpecError:  # with variables in it; the pipeline's process reads it whole
            return
        for name in FILE_PARAMETERS:
            if parameters.get(name):
                yield LocalUse(("dsn",), parameters[name], name=name)
