"""Document part of the ``filter`` processor. Known to the document; not built in this version."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from deltaforge.config.model import StrictModel
from deltaforge.config.patterns import PatternLists

Scalar = str | bool | int | float | None
"""What a predicate compares with."""


_MAX_REGEX_LENGTH = 1024


class FieldPredicate(StrictModel):
    """A condition on one field of ``after``."""

    path: str = Field(min_length=1, description="Field of `after`; dots lead into nested objects.")
    op: Literal[
        "eq", "ne", "exists", "not_exists", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "changed", "regex"
    ] = Field(description="Comparison. A missing field passes `not_in` and `not_exists` only.")
    value: Scalar | list[Scalar] = Field(
        None, validate_default=True, description="What to compare with; a list for `in` and `not_in`."
    )

    @field_validator("value")
    @classmethod
    def _fits_the_comparison(cls, value: Scalar | list[Scalar], info: ValidationInfo) -> Scalar | list[Scalar]:
        op = info.data.get("op")
        if op in ("in", "not_in") and not isinstance(value, list):
            raise ValueError(f"{op} needs a list")
        if op == "regex":
            if not isinstance(value, str):
                raise ValueError("regex needs a text")
            if len(value) > _MAX_REGEX_LENGTH:
                raise ValueError(f"a regular expression has at most {_MAX_REGEX_LENGTH} characters")
            try:
                re.compile(value)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value


class FilterProcessorSpec(StrictModel):
    """Lets an event pass when its operation, its table and its fields all fit."""

    type: Literal["filter"]
    id: str = Field("filter", min_length=1, description="Unique in the pipeline.")
    ops: list[Literal["create", "update", "delete", "read", "truncate"]] = Field(
        default_factory=list, description="Operations that pass; empty: all."
    )
    tables: PatternLists = Field(default_factory=PatternLists, description="Tables that pass.")
    fields: list[FieldPredicate] = Field(default_factory=list, description="Conditions on fields of `after`.")
    match: Literal["all", "any"] = Field("all", description="How many of `fields` must hold.")
