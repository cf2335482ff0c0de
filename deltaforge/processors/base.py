"""What every processor's part of a document has. Processors carry their fields beside ``type``."""

from __future__ import annotations

from pydantic import Field

from deltaforge.config.model import StrictModel


class ScriptLimits(StrictModel):
    """What a script may use for one batch; the batch fails beyond it."""

    cpu_ms: int | None = Field(None, ge=1, description="Milliseconds of processor time.")
    mem_mb: int | None = Field(None, ge=1, description="Megabytes of memory.")
    timeout_ms: int | None = Field(None, ge=1, description="Milliseconds of wall clock; 5000 when absent.")
