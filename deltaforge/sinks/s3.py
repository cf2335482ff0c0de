"""Document part of the ``s3`` sink. Known to the document; not built in this version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from deltaforge.config.local import LocalUse
from deltaforge.config.model import StrictModel
from deltaforge.config.secret import Dsn, Secret
from deltaforge.sinks.base import Sink, SinkConfig, SinkContext, not_built


class FileRoll(StrictModel):
    """When an object is finished and the next one begun; whichever comes first."""

    max_bytes: int = Field(268_435_456, ge=1, description="Bytes.")
    max_events: int = Field(1_000_000, ge=1, description="Events.")
    max_age_secs: int = Field(300, ge=1, description="Seconds since its first event.")
    idle_age_secs: int = Field(600, ge=1, description="Seconds since its last event.")


class S3SinkConfig(SinkConfig):
    """Where the objects go and what they hold."""

    bucket: str = Field(min_length=1, description="Bucket, or a directory with `local`.")
    prefix: str = Field("", description="Beginning of every object key.")
    region: str | None = Field(None, description="Region of the bucket.")
    endpoint: Dsn | None = Field(None, description="URL of a store other than AWS.")
    access_key_id: str | None = Field(None, description="Absent: the usual chain of credentials.")
    secret_access_key: Secret | None = Field(None, description="Goes with `access_key_id`.")
    virtual_hosted_style: bool = Field(False, description="Bucket in the host name instead of the path.")
    local: bool = Field(False, description="`bucket` is a directory of this machine.")
    format: Literal["parquet", "jsonl"] = Field("parquet", description="Form of the objects.")
    compression: Literal["snappy", "gzip", "zstd", "none"] = Field(
        "snappy", description="Of the objects; `jsonl` with `snappy` falls back to gzip."
    )
    file_roll: FileRoll = Field(default_factory=FileRoll, description="When an object is finished.")
    send_timeout_secs: int = Field(60, ge=1, description="Seconds for one upload.")

    def local_uses(self) -> Iterator[LocalUse]:
        if self.local:
            yield LocalUse(("bucket",), self.bucket, "write")
        elif self.access_key_id is None:
            yield LocalUse(("access_key_id",), "", "other", "access_key_id and secret_access_key")


class S3SinkSpec(StrictModel):
    """Parquet or JSON-lines objects in an S3 bucket."""

    type: Literal["s3"]
    config: S3SinkConfig

    def build(self, context: SinkContext) -> Sink:
        """Refused: see :func:`not_built`."""
        raise not_built(self.type, context)
