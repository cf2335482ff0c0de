"""Document part of the ``nats`` sink. Known to the document; not built in this version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.sinks.base import EncodedSinkConfig, Sink, SinkContext, TemplateText, not_built


class NatsSinkConfig(EncodedSinkConfig):
    """Which servers and subject."""

    url: Dsn = Field(description="Server, or several separated by commas.")
    subject: TemplateText = Field(description="Template of the subject.")
    key: TemplateText | None = Field(None, description="Template of the `df-key` header.")
    stream: str | None = Field(None, description="JetStream stream; must exist.")
    send_timeout_secs: int = Field(5, ge=1, description="Seconds for one message.")
    batch_timeout_secs: int = Field(30, ge=1, description="Seconds for one batch.")
    connect_timeout_secs: int = Field(10, ge=1, description="Seconds to connect.")
    credentials_file: str | None = Field(None, description="File with the user's credentials.")
    username: str | None = Field(None, description="User name.")
    password: Secret | None = Field(None, description="Password of `username`.")
    token: Secret | None = Field(None, description="Token instead of a user name.")

    def local_uses(self) -> Iterator[LocalUse]:
        if self.credentials_file is not None:
            yield LocalUse(("credentials_file",), self.credentials_file)


class NatsSinkSpec(StrictModel):
    """Messages on NATS JetStream."""

    type: Literal["nats"]
    config: NatsSinkConfig

    def build(self, context: SinkContext) -> Sink:
        """Refused: see :func:`not_built`."""
        raise not_built(self.type, context)
