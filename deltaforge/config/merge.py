"""Merging a patch into a document. Contract 01 section 2.3."""

from __future__ import annotations

from typing import Any

from deltaforge.config.nesting import refuse_deep_nesting


def merge_patch_indexed(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/json`` does.

    Objects merge key by key and arrays element by element; elements beyond the end of ``base`` are
    appended, so an array never shrinks. Everything else replaces, null included.

    Args:
        base: A document that was accepted before.
        patch: JSON values from outside.

    Returns:
        A new value; neither argument is changed.

    Raises:
        SpecError: The patch is nested too deeply.
    """
    refuse_deep_nesting(patch)
    return _merged_by_index(base, patch)


def merge_patch_rfc7386(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/merge-patch+json`` does: arrays replace, null deletes a key.

    Args:
        base: A document that was accepted before.
        patch: JSON values from outside.

    Returns:
        A new value; neither argument is changed.

    Raises:
        SpecError: The patch is nested too deeply.

    Source: RFC 7386 section 2.
    """
    refuse_deep_nesting(patch)
    return _merged_by_rfc(base, patch)


def _merged_by_index(base: Any, patch: Any) -> Any:
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            merged[key] = _merged_by_index(base[key], value) if key in base else value
        return merged
    if isinstance(base, list) and isinstance(patch, list):
        common = [_merged_by_index(old, new) for old, new in zip(base, patch, strict=False)]
        return common + base[len(patch) :] + patch[len(base) :]
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
