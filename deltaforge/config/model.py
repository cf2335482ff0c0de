"""The base of every settings model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Settings that refuse unknown keys and do not change after they were read.

    Keys are spelled in code exactly as in the document. Whether an unknown key is an error or a
    warning is decided by the loader of the document, not here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
