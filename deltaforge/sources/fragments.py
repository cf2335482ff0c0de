"""The parts of an event that are equal in all events of a table, as the compiled kernel wants them: JSON text."""

from __future__ import annotations

import msgspec

from deltaforge.core.event import ChangeEvent
from deltaforge.core.json_text import encode_json
from deltaforge.envelopes.native import NativeEnvelope
from deltaforge.kernel.backend import Compiled, TableTexts

_ROW_FIELDS = ("server_id", "gtid", "file", "pos", "row", "lsn", "txId", "xmin", "sequence", "snapshot")


def event_fragments(kernel: Compiled, head: ChangeEvent) -> TableTexts:
    """The parts of a table's events.

    Args:
        kernel: Which has them.
        head: An event of the table; what differs between its events is not looked at.
    """
    source = msgspec.structs.replace(head.source, ts_ms=0, **dict.fromkeys(_ROW_FIELDS, msgspec.UNSET))
    before, _, behind = encode_json(source).partition(b'"ts_ms":0')
    event = msgspec.structs.replace(head, source=source, transaction=None, event_id=None, tx_end=False, ts_ms=0)
    document = encode_json(NativeEnvelope().document(event))
    _, _, tail = document.rpartition(b'"ts_ms":0')
    name = head.source.qualified_table
    return kernel.TableTexts(
        before + b'"ts_ms":',
        behind[:-1],
        tail[:-1],
        encode_json(f"deltaforge/{head.source.name}/{name}"),
        encode_json(name),
        f"{head.tenant_id or '_'}|{head.source.db}.{head.source.table}|".encode(),
    )
