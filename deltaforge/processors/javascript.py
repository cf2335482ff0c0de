"""Document part of the ``javascript`` processor. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.processors.base import ScriptLimits


class JavascriptProcessorSpec(StrictModel):
    """A script whose ``processBatch(events)`` gets every batch."""

    type: Literal["javascript"]
    id: str = Field(min_length=1, description="Unique in the pipeline; events the script creates carry it.")
    inline: str = Field(min_length=1, description="Source text; must define `processBatch(events)`.")
    limits: ScriptLimits | None = Field(None, description="What the script may use for one batch.")
