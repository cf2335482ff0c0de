"""The tables of ``docs/doctor.md``: every check, what is right, and what mends it.

``python -m deltaforge.doctor.reference docs/doctor.md`` puts them in.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deltaforge.doctor.examination import all_checks

_TABLE = re.compile(r"<!-- checks (?P<family>\w+) -->\n.*?<!-- end -->", re.DOTALL)


def refreshed(text: str) -> str:
    """The page with the tables as the checks are now."""
    return _TABLE.sub(lambda found: f"<!-- checks {found['family']} -->\n{_table(found['family'])}<!-- end -->", text)


def families() -> set[str]:
    """What the names of checks begin with: each has a table."""
    return {name.partition(".")[0] for name in all_checks()}


def _table(family: str) -> str:
    rows = [
        f"| `{name}` | {check.right} | {check.remedy} |"
        for name, check in all_checks().items()
        if name.partition(".")[0] == family
    ]
    return "\n".join(["| Check | Right is | Remedy, unless the finding has a better one |", "|---|---|---|", *rows, ""])


def main() -> None:
    """Refresh the pages that are named."""
    for path in map(Path, sys.argv[1:]):
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
