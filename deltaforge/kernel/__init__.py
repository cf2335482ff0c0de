"""Which decoders run: the compiled kernel where it was built, else the Python decoders. Here alone is chosen.

Both give the same bytes. ``DELTAFORGE_PURE=1`` in the environment forces Python.
"""

from __future__ import annotations

import os

from deltaforge.kernel import pure
from deltaforge.kernel.backend import Backend, Compiled

PURE_VARIABLE = "DELTAFORGE_PURE"


def _load() -> tuple[Compiled | None, str]:
    if os.environ.get(PURE_VARIABLE, "") not in ("", "0"):
        return None, f"python ({PURE_VARIABLE} is set)"
    try:
        from deltaforge.kernel import _compiled
    except ImportError as exc:
        return None, f"python (no compiled kernel: {exc})"
    kernel: Compiled = _compiled
    return kernel, "compiled"


compiled, description = _load()
"""The compiled module or None, and which decoders run and why, for people."""

backend: Backend = pure if compiled is None else compiled
"""Whoever takes what it can: what it declines, and only that, is left to the Python decoders."""
