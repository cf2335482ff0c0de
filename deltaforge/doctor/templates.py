"""Templates that give the change of a row another place than the changes before it."""

from __future__ import annotations

import re

from deltaforge.doctor.finding import Notes

_AFTER = re.compile(r"\$\{\s*(after\b[^}]*)\}")


def note_template(notes: Notes, check: str, setting: str, template: str | None) -> None:
    """Note a template of the new row, which a delete does not have."""
    found = _AFTER.search(template or "")
    if found:
        text = f"`{setting}` is made of `{found[1]}`, which a delete does not have: it gets an empty one"
        notes.warn(check, f"{text}, and does not reach the row that it deletes")
