"""An update that changes the key of a row, as a delete of the old row and an insert of the new one."""

from __future__ import annotations

import msgspec

from deltaforge.core.event import TX_ID_LENGTH, ChangeEvent, EventIds
from deltaforge.core.routing import key_text


def split_key_change(event: ChangeEvent) -> tuple[ChangeEvent, ChangeEvent] | None:
    """The delete and the insert; None for all other events, where a processor has given the key, and where the log does
    not hold the old one.

    The insert has the event's id, and the delete one that is made of it: readers may go by ids.
    """
    if event.op != "u" or event.before is None or (event.routing is not None and event.routing.key is not None):
        return None
    delete = msgspec.structs.replace(
        event,
        op="d",
        after=None,
        tx_end=False,
        event_id=None if event.event_id is None else _delete_id(event.event_id),
        zero_dates=event.old_zero_dates,
        old_zero_dates=None,
    )
    if not _is_other_key(delete, event):
        return None
    return delete, msgspec.structs.replace(event, op="c", before=None, old_zero_dates=None)


def _delete_id(event_id: str) -> str:
    return EventIds(event_id[:TX_ID_LENGTH]).for_key(b"d" + event_id.encode())


def _is_other_key(old: ChangeEvent, new: ChangeEvent) -> bool:
    old_key, new_key = old.key(), new.key()
    if old_key is None or new_key is None:
        return False
    try:
        return key_text(old, old_key) != key_text(new, new_key)
    except ValueError:  # one of them cannot be a key at all
        return False
