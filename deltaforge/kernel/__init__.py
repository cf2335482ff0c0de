"""Which decoders run: the compiled kernel where it was built, else the Python decoders. Here alone is chosen.

Both give the same bytes. ``DELTAFORGE_PURE=1`` in the environment forces Python; with ``DELTAFORGE_REQUIRE_KERNEL=1``
nothing starts where the kernel is missing.
"""

from __future__ import annotations

import os

from deltaforge.core.errors import MissingDependencyError
from deltaforge.kernel import pure
from deltaforge.kernel.backend import Backend, Compiled

PURE_VARIABLE = "DELTAFORGE_PURE"
REQUIRE_VARIABLE = "DELTAFORGE_REQUIRE_KERNEL"


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _load() -> tuple[Compiled | None, str]:
    if _is_set(PURE_VARIABLE):
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

is_missing = compiled is None and not _is_set(PURE_VARIABLE)
"""Whether Python decodes although nobody asked for that."""


def check_kernel() -> None:
    """See to it that a process that is to have the compiled kernel has it.

    Raises:
        MissingDependencyError: ``DELTAFORGE_REQUIRE_KERNEL`` is set, and the kernel is missing.
    """
    if is_missing and _is_set(REQUIRE_VARIABLE):
        raise MissingDependencyError(
            f"{REQUIRE_VARIABLE} is set, and rows would be decoded by {description}",
            hint="install a wheel, or build where a C++17 compiler is: with that variable set, a failed build says why",
        )
