"""Makes CHANGELOG.md from the fragments beside this file: ``changelog.py`` or ``changelog.py --release 0.2.0``.

A fragment is ``<slug>.<kind>.md``, one paragraph in the words of a user. Without an option the section "Unreleased" is
written anew and the fragments stay; a release gives that section its version and date, and removes the fragments.
Released sections are never touched.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

KINDS = {
    "security": "Security",
    "added": "Added",
    "changed": "Changed",
    "fixed": "Fixed",
    "removed": "Removed",
}
"""The ends of fragment names and the headings they stand under, in their order."""

UNRELEASED = "## Unreleased"
HEAD = """# Changelog

What users of DeltaForge see, newest first. Versions follow [semantic versioning](https://semver.org): until 1.0 a
minor version may change behaviour, and says so under "Changed". Made by `make changelog` from `changelog.d/`: do not
edit it by hand.
"""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\.(?P<kind>[a-z]+)\.md")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")


def fragments(folder: Path) -> dict[str, list[Path]]:
    """The fragments of a folder by their kind, each list in the order of names.

    Raises:
        ValueError: A name or a content is not what it has to be.
    """
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.glob("*.md")):
        match = _NAME.fullmatch(path.name)
        if match is None or match["kind"] not in found:
            raise ValueError(f"{path.name} is not <slug>.<{'|'.join(KINDS)}>.md")
        if not path.read_text(encoding="utf-8").strip():
            raise ValueError(f"{path.name} is empty")
        found[match["kind"]].append(path)
    return found


def section(title: str, found: dict[str, list[Path]]) -> str:
    """One section: a heading per kind that has fragments, a list item per fragment."""
    parts = [title]
    for kind, heading in KINDS.items():
        if found[kind]:
            parts.append(f"### {heading}")
            parts.append("\n".join(_item(path.read_text(encoding="utf-8")) for path in found[kind]))
    return "\n\n".join(parts) + "\n"


def merged(old: str, new_section: str) -> str:
    """The file with its section "Unreleased" replaced; what was released stays as it is."""
    released = re.search(r"^## (?!Unreleased)", old, re.MULTILINE)
    rest = old[released.start() :] if released else ""
    return "\n".join(part for part in (HEAD, new_section, rest) if part)


def _item(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join([f"* {lines[0]}", *(f"  {line}".rstrip() for line in lines[1:])])


def main(argv: list[str] | None = None) -> int:
    """Write the file; returns 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", metavar="VERSION", help="the section gets this version and today's date")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, help="of the fragments")
    parser.add_argument("--file", type=Path, default=Path(__file__).parents[1] / "CHANGELOG.md")
    args = parser.parse_args(argv)
    if args.release is not None and not _VERSION.fullmatch(args.release):
        parser.error(f"{args.release!r} is not a version such as 0.2.0")
    try:
        found = fragments(args.folder)
    except ValueError as error:
        parser.error(str(error))
    title = f"## {args.release}, {datetime.now(UTC):%Y-%m-%d}" if args.release else UNRELEASED
    old = args.file.read_text(encoding="utf-8") if args.file.exists() else ""
    args.file.write_text(merged(old, section(title, found)), encoding="utf-8")
    for path in [path for paths in found.values() for path in paths] if args.release else []:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
