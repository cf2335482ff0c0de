"""Merging a patch into a document. Contract 01 section 2.3."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from deltaforge.config.values import refuse_unusable


def merge_patch_indexed(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/json`` does.

    Objects merge key by key and arrays element by element; elements beyond the end of ``base`` are
    appended, so an array never shrinks. Null for a key removes it. Everything else replaces.

    Args:
        base: A document that was accepted before.
        patch: JSON values from outside.

    Returns:
        A new value; neither argument is changed.

    Raises:
        SpecError: The patch is nested too deeply, or holds what cannot be stored.
    """
    refuse_unusable(patch)
    return _merged_by_index(base, patch)


def merge_patch_rfc7386(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/merge-patch+json`` does: arrays replace, null deletes a key.

    Args:
        base: A document that was accepted before.
        patch: JSON values from outside.

    Returns:
        A new value; neither argument is changed.

    Raises:
        SpecError: The patch is nested too deeply, or holds what cannot be stored.

    Source: RFC 7386 section 2.
    """
    refuse_unusable(patch)
    return _merged_by_rfc(base, patch)


def _merged_by_index(base: Any, patch: Any) -> Any:
    if isinstance(patch, dict):
        merged = dict(base) if isinstance(base, dict) else {}
        for key, value in patch.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merged_by_index(merged.get(key), value)
        return merged
    if isinstance(patch, list):
        kept = base if isinstance(base, list) else []
        merged_elements = [_merged_by_index(old, new) for old, new in zip_longest(kept[: len(patch)], patch)]
        return merged_elements + kept[len(patch) :]
    return patch


def _merged_by_rfc(base: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged_by_rfc(merged.get(key), value)
    return merged
