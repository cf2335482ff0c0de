"""Subjects of a schema registry: what the versions of a schema are kept under."""

from __future__ import annotations

from typing import Literal

SubjectStrategy = Literal["topic_name", "record_name", "topic_record_name"]


def subject_of(strategy: SubjectStrategy, destination: str, record: str, part: str) -> str:
    """The subject of a schema (contract 03 section 5).

    Args:
        strategy: What it is named after.
        destination: Topic or stream.
        record: Full name of the record.
        part: ``key`` or ``value``.
    """
    if strategy == "topic_name":
        return f"{destination}-{part}"
    return record if strategy == "record_name" else f"{destination}-{record}"
