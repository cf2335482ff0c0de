"""Document part of the ``http`` sink. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, SecretMap
from deltaforge.core.template import Template
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext, not_built


class HttpSinkConfig(EncodedSinkConfig):
    """Which address, and how requests are made."""

    url: Dsn = Field(description="Template of the address.")
    method: str = Field("POST", min_length=1, description="Request method.")
    headers: SecretMap = Field(default_factory=dict, description="Headers of every request.")
    batch_mode: bool = Field(False, description="One request per batch, with a JSON array, instead of one per event.")
    send_timeout_secs: int = Field(10, ge=1, description="Seconds for one request.")
    batch_timeout_secs: int = Field(30, ge=1, description="Seconds for one batch.")
    connect_timeout_secs: int = Field(5, ge=1, description="Seconds to connect.")

    @field_validator("url")
    @classmethod
    def _is_template(cls, url: SecretStr) -> SecretStr:
        Template.parse(url.get_secret_value())
        return url


class HttpSinkSpec(StrictModel):
    """Requests to an HTTP endpoint."""

    type: Literal["http"]
    config: HttpSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """Refused: see :func:`not_built`."""
        raise not_built(self.type, context)
