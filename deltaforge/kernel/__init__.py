"""Which decoders run: the compiled kernel where it was built, else the Python decoders.

Both give the same bytes. ``DELTAFORGE_PURE=1`` in the environment forces Python.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

PURE_VARIABLE = "DELTAFORGE_PURE"


def _load() -> tuple[Any, str]:
    if os.environ.get(PURE_VARIABLE, "") not in ("", "0"):
        return None, f"python ({PURE_VARIABLE} is set)"
    try:
        return importlib.import_module(f"{__name__}._compiled"), "compiled"
    except ImportError as exc:
        return None, f"python (no compiled kernel: {exc})"


kernel, description = _load()
"""The compiled module or None, and which decoders run and why, for people."""
