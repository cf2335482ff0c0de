"""Document part of the ``python`` processor. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel
from deltaforge.processors.base import ScriptLimits


class PythonProcessorSpec(StrictModel):
    """Python source whose ``process_batch(events)`` gets every batch."""

    type: Literal["python"]
    id: str = Field(min_length=1, description="Unique in the pipeline; events the function creates carry it.")
    inline: str = Field(min_length=1, description="Source text; must define `process_batch(events)`.")
    limits: ScriptLimits | None = Field(None, description="What the function may use for one batch.")
