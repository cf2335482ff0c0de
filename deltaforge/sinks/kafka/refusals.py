"""Messages that a broker refuses for their size: after the first one, those about as large are asked for alone.

A broker refuses a whole request, and a producer that keeps the order does not outlive that. So the first refused event
is searched for by the caller. What is about as large as one that was refused alone is suspected from then on, and is
never sent together with others. It is refused only if a broker says so: compression makes sizes a hint and no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from deltaforge.core.batch import Batch
from deltaforge.core.encoded import EncodedValues
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.kernel.backend import Targets
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.errors import FailedError

NEARLY = 0.75
"""A message of so much of a refused one's size is suspected as well: sizes differ, and each search costs a producer."""
ABORT_SECS = 2.0
"""How long an end waits for the broker to abort a transaction; the next start aborts it anyway."""
CREDIT = 20
"""How many suspects may turn out to be innocent for each one that is refused, before sizes count for nothing."""
SUSPECTED_SECS = 60.0
"""How long after a refusal sizes are looked at: somebody may have raised the limit."""
AT_ONCE = {"linger.ms": "0", "delivery.report.only.error": "false"}
"""Settings of a producer whose messages are sent and waited for one by one."""


class Suspects:
    """The size from which on messages are suspected, and those that were taken although they have it."""

    def __init__(self) -> None:
        self._least: int | None = None
        self._until = 0.0
        self._credit = 0
        self._innocent: set[int] = set()
        self._is_given_up = False

    @property
    def is_known(self) -> bool:
        """Whether there is such a size."""
        return self._least is not None

    def among(self, values: EncodedValues, start: int) -> Sequence[int]:
        """The places of messages from ``start`` on that are suspects, in order."""
        least = self._least
        if least is None or values.byte_count < least:
            return ()
        if time.monotonic() > self._until:
            self._forget()
            return ()
        large = [index for index in range(start, len(values)) if len(values[index] or b"") >= least]
        return [index for index in large if hash(values[index]) not in self._innocent]

    def give_up(self) -> None:
        """Nobody can be asked: each bad event is searched for."""
        self._is_given_up = True
        self._forget()

    def asked(self, value: bytes | None, *, is_refused: bool) -> None:
        """What a broker says of a message that it got alone. A tombstone has no size to learn from."""
        if not value:
            return
        if is_refused and not self._is_given_up:
            least = int(NEARLY * len(value))
            self._least = least if self._least is None else min(self._least, least)
            self._until, self._credit = time.monotonic() + SUSPECTED_SECS, CREDIT
        elif not is_refused:
            self._credit -= 1
            self._innocent.add(hash(value))
            if self._credit < 0:
                self._forget()  # sizes say little here

    def _forget(self) -> None:
        self._least = None
        self._innocent.clear()


class LoneProducer:
    """A producer for one message at a time, which outlives a refusal: nothing is behind the message that could overtake
    it.

    Args:
        connect: Makes a connected client of settings that differ in this.
    """

    settings: Mapping[str, str] = {**AT_ONCE, "enable.idempotence": "false"}

    def __init__(self, connect: Callable[[Mapping[str, str]], Client]) -> None:
        self._connect = connect
        self._client: Client | None = None

    def refusal(self, values: EncodedValues, targets: Targets, index: int) -> FailedError | None:
        """Deliver one of the messages, or say why a broker refuses it.

        Raises:
            SinkError: Whether it is delivered is not known.
        """
        if self._client is None:
            self._client = self._connect(self.settings)
        return self._client.refusal(values, targets, index)

    def close(self) -> None:
        """Disconnect. May be called again, and used again after it."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class Prober(LoneProducer):
    """Asks by a transaction that is never committed, under a name of its own: the transactions of the sink go on."""

    def __init__(self, connect: Callable[[Mapping[str, str]], Client], transactional_id: str) -> None:
        super().__init__(connect)
        self.settings = {**AT_ONCE, "transactional.id": f"{transactional_id}-probe"}

    def refusal(self, values: EncodedValues, targets: Targets, index: int) -> FailedError | None:
        """Say why a broker refuses one of the messages; None: it would take it.

        Raises:
            SinkError: It is not known; of kind ``auth`` if we may not use such a name.
        """
        try:
            return self._asked(values, targets, index)
        except SinkError as error:
            if error.kind == "auth":
                raise
        self.close()  # after a refusal a producer may count its messages wrongly
        return self._asked(values, targets, index)

    def _asked(self, values: EncodedValues, targets: Targets, index: int) -> FailedError | None:
        if self._client is None:
            self._client = self._connect(self.settings)
            self._client.init_transactions()
        self._client.begin_transaction()
        try:
            return self._client.refusal(values, targets, index)
        finally:
            if not self._client.abort_transaction(ABORT_SECS):
                self.close()  # it begins no other


def end_of_event(values: EncodedValues, index: int) -> int:
    """The place behind the last message of the event that the message at ``index`` is of."""
    event, count = values.event_of(index), len(values)
    while index < count and values.event_of(index) == event:
        index += 1
    return index


def refused_event(failed: FailedError, batch: Batch, index: int) -> RecordError:
    """The error of a message as that of the event at a place of its batch."""
    event_id = batch.events()[index].event_id
    refused = RecordError(failed.message, index=index, kind=failed.kind, hint=failed.hint, event_id=event_id)
    refused.batch = batch
    return refused
