"""Document part of the ``flatten`` processor. Known to the document; not built in this version."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltaforge.config.model import StrictModel


class FlattenProcessorSpec(StrictModel):
    """Turns nested objects of both row images into flat fields such as ``address__city``."""

    type: Literal["flatten"]
    id: str = Field("flatten", min_length=1, description="Unique in the pipeline.")
    separator: str = Field("__", min_length=1, description="Between the names of outer and inner field.")
    max_depth: int | None = Field(None, ge=1, description="Objects at this depth stay as they are; absent: no limit.")
    on_collision: Literal["last", "first", "error"] = Field(
        "last", description="Which value wins when two fields get the same name; `error` fails the batch."
    )
    empty_object: Literal["preserve", "drop", "null"] = Field("preserve", description="What becomes of `{}`.")
    lists: Literal["preserve", "index"] = Field(
        "preserve", description="Keep lists whole, or make a field of each element (`f__0`)."
    )
    empty_list: Literal["preserve", "drop", "null"] = Field("preserve", description="What becomes of `[]`.")
