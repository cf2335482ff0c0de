"""Merging a patch into a document. Contract 01 section 2.3.

Nesting is bounded by the JSON reader that made the values, so plain recursion is safe here.
"""

from __future__ import annotations

from typing import Any


def merge_patch_indexed(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/json`` does.

    Objects merge key by key and arrays element by element; elements beyond the end of ``base`` are
    appended, so an array never shrinks. Everything else replaces, null included.

    Returns:
        A new value; neither argument is changed.
    """
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            merged[key] = merge_patch_indexed(base[key], value) if key in base else value
        return merged
    if isinstance(base, list) and isinstance(patch, list):
        common = [merge_patch_indexed(old, new) for old, new in zip(base, patch, strict=False)]
        return common + base[len(patch) :] + patch[len(base) :]
    return patch


def merge_patch_rfc7386(base: Any, patch: Any) -> Any:
    """Merge as ``PATCH`` with ``application/merge-patch+json`` does: arrays replace, null deletes a key.

    Returns:
        A new value; neither argument is changed.

    Source: RFC 7386 section 2.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch_rfc7386(merged.get(key), value)
    return merged
