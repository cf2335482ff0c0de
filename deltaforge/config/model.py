"""The base of every settings model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from deltaforge.config.local import LocalUse


class StrictModel(BaseModel):
    """Settings that refuse unknown keys and do not change after they were read.

    Types are those of JSON: ``"1000"`` is no number and ``"yes"`` no boolean; YAML means by an unquoted ``yes`` what
    it says. Keys are spelled in code exactly as in the document. Whether an unknown key is an error or a
    warning is decided by the loader of the document, not here. Null for an optional key means that
    it is absent: that is how a patch turns a setting off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {key: value for key, value in data.items() if value is not None or key not in optional}

    def local_uses(self) -> Iterable[LocalUse]:
        """What these settings name of the machine that runs them, without those of the settings inside."""
        return ()

    def refused(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """Settings that are known and must not be made, each with where it is and the reason.

        Apart from validation, so that a stored document that has one can still be read and shown.
        """
        return ()
