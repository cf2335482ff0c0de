"""Asks an advisory service about every locked version: ``audit.py LOCK…``. The exit code tells a finding from none.

0: each version was looked up, and nothing is known against any. 1: something is known: it is listed. 3: it could not be
found out, for one version or all: the service cannot be reached, or does not know the package. A run that asked nobody
must not look like one that found nothing, and does not with ``pip-audit`` alone: what it skips, it passes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

EXIT_CLEAN, EXIT_FOUND, EXIT_USAGE, EXIT_UNKNOWN = 0, 1, 2, 3
LIMIT_SECS = 300


def main(arguments: list[str]) -> int:
    """Audit the locks; returns the exit code."""
    locks = [Path(argument) for argument in arguments]
    if not locks or not all(lock.is_file() for lock in locks):
        print("usage: audit.py LOCK…", file=sys.stderr)
        return EXIT_USAGE
    codes = [judged(lock.name, *_asked(lock)) for lock in locks]
    return EXIT_FOUND if EXIT_FOUND in codes else max(codes)


def judged(name: str, text: str, complaint: str) -> int:
    """Print what the answer about one lock means; its exit code.

    Args:
        name: Of the lock.
        text: What ``pip-audit --format json`` printed.
        complaint: What it said on standard error, or why it did not end.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = complaint.strip().splitlines()[-1:] or ["no answer"]
        print(f"{name}: NOT AUDITED, the advisory service gave no answer: {last[0]}", file=sys.stderr)
        return EXIT_UNKNOWN
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", [])]
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    for package, flaw in found:
        mended = ", ".join(flaw.get("fix_versions", [])) or "no version yet"
        print(f"{name}: {package['name']} {package['version']}: {flaw['id']}, mended in {mended}")
    if unasked or not packages:
        which = f"{len(unasked)} of {len(packages)} packages" if packages else "an empty lock"
        print(f"{name}: NOT AUDITED: {which}: {' '.join(unasked)}", file=sys.stderr)
    if found:
        return EXIT_FOUND
    if unasked or not packages:
        return EXIT_UNKNOWN
    print(f"{name}: {len(packages)} versions, nothing is known against any")
    return EXIT_CLEAN


def _asked(lock: Path) -> tuple[str, str]:
    # of our own lock, which has every version and hash: nothing is resolved or downloaded
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off", "--requirement", str(lock)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECS, check=False)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {LIMIT_SECS} s"
    return done.stdout, done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
