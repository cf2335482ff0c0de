"""What a sink says of the batches that it was given."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deltaforge.core.errors import RecordError


class DeliveryReport(msgspec.Struct, frozen=True):
    """What became of the batches that were written since the last report, in the order in which they were.

    Attributes:
        acked_count: How many of them, from the first on, are durable but for the events refused; None: all.
        refused: Events that the destination does not take, ever: ``batch`` and ``index`` of each error say which. They
            are of acked batches, unless the rest is in doubt.
        is_in_doubt: Whether what is not acked has to be written again. If not, the sink holds it, and a later report
            is about it.
    """

    acked_count: int | None = None
    refused: Sequence[RecordError] = ()
    is_in_doubt: bool = False


ALL_ACKED = DeliveryReport()
