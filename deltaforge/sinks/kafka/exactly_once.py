"""The live ``kafka`` sink with ``exactly_once``: one Kafka transaction for all batches between two flushes.

A record of how far the source is goes into each transaction (:mod:`deltaforge.sinks.kafka.positions`). So whatever
happens, the newest committed record tells what is delivered: at a start, and also after a commit that was not
answered. After any error the producer is thrown away; its successor of the same ``transactional.id`` fences it and
ends its transaction, and then reads the record.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from deltaforge.core.batch import Batch
from deltaforge.core.delivery import ALL_ACKED, DeliveryReport
from deltaforge.core.encoded import EncodedValues
from deltaforge.core.errors import RecordError, SinkError
from deltaforge.core.resume import SinkProgress
from deltaforge.observability.kill_points import reached
from deltaforge.sinks.base import SinkContext
from deltaforge.sinks.kafka.client import Client
from deltaforge.sinks.kafka.config import KafkaSinkConfig
from deltaforge.sinks.kafka.errors import FailedError
from deltaforge.sinks.kafka.positions import PositionRecord, PositionsTopic
from deltaforge.sinks.kafka.refusals import ABORT_SECS, Prober, refused_event
from deltaforge.sinks.kafka.writer import Handed, KafkaSink


class _Commit(NamedTuple):
    """A commit that was asked for: its number and batches, and the bytes of their values."""

    seq: int
    batches: list[Batch]
    value_bytes: int


class ExactlyOnceKafkaSink(KafkaSink):
    """Begins a transaction with the first event after a flush, and commits it in ``flush``.

    An event that cannot be sent is refused before anything of its batch is, and the transaction goes on. One that the
    client or a broker refuses ends the transaction. Suspects are asked for before their batch is sent. If some
    are refused, the next flush says so, and has everything written again without them.
    """

    def __init__(self, config: KafkaSinkConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        settings = config.producer_settings(context.pipeline, context.lane)
        self._transactional_id = settings["transactional.id"]
        self._tx_timeout_secs = int(settings["transaction.timeout.ms"]) / 1000
        self._lone = Prober(self._connected, self._transactional_id)
        self._positions = PositionsTopic(settings, config.send_timeout_secs)
        self._commits = context.metrics.sink_txn_commits.labels(context.pipeline, config.id)
        self._aborts = context.metrics.sink_txn_aborts.labels(context.pipeline, config.id)
        self._instance = uuid.uuid4().hex
        self._seq = 0
        self._has_claimed = False
        self._stored: SinkProgress | None = None
        self._noted: SinkProgress | None = None  # of the transaction that is open; None: as before
        self._drained: list[Handed] = []  # in the open transaction, and acknowledged
        self._began_at: float | None = None  # monotonic; None: no transaction is open
        self._asked: _Commit | None = None  # whether it is committed is not known
        self._given_up: DeliveryReport | None = None  # what the next flush says instead of a commit
        self._done: list[Batch] = []  # since the last flush: committed, though it was not answered
        self._done_next = 0  # index in _done of the batch that comes next when the caller writes again

    def open(self) -> None:
        if self._client is not None:
            return
        self._messages.open(self._context)
        client = self._connected()
        try:
            self._positions.create()
            if self._has_claimed:
                self._check_owner(self._positions.read())
            client.init_transactions()
            self._settle(self._positions.read())
            with self._fencing_explained():
                self._begin(client)
                self._commit(client, self._stored)
        except BaseException:
            self._discard(client)
            raise
        self._client, self._has_claimed = client, True

    def stored_progress(self) -> SinkProgress | None:
        return self._stored

    def note_progress(self, progress: SinkProgress) -> None:
        self._noted = progress

    def write(self, batch: Batch) -> None:
        if self._given_up is not None:
            return  # it comes again
        if self._done_next < len(self._done):
            if self._done[self._done_next] is not batch:
                raise SinkError("the committed batches are not written again as they were", kind="fatal")
            self._done_next += 1
            return
        with self._settled_errors() as client:
            if self._suspects.is_known:
                self._ask_for_suspects(batch)
            if self._given_up is None:
                self._send(client, batch)

    def drain(self) -> DeliveryReport:
        if self._given_up is not None or self._began_at is None:
            return self._given_up or ALL_ACKED
        with self._settled_errors() as client:
            client.drain()
        self._drained += self._handed
        self._handed.clear()
        self._next = 0
        return ALL_ACKED

    def flush(self) -> DeliveryReport:
        if self._given_up is not None:
            report, self._given_up = self._given_up, None
            self._give_up()
            return report
        if self._began_at is not None:
            self._commit_handed()
        self._noted = None
        self._done, self._done_next = [], 0
        return ALL_ACKED

    def suspend(self) -> None:
        """Whether an unanswered commit has succeeded is known at the next opening, and is news to the caller then."""
        if self._client is not None:
            self._discard(self._client)

    def close(self) -> None:
        self.suspend()
        self._messages.close()
        self._asked, self._done = None, []

    def _commit_handed(self) -> None:
        with self._settled_errors() as client:
            handed = [*self._drained, *self._handed]
            progress = self._noted or self._stored
            value_bytes = sum(each.value_bytes for each in handed)
            self._asked = _Commit(self._seq + 1, [each.batch for each in handed], value_bytes)
            self._commit(client, progress)
        self._asked, self._stored = None, progress
        self._bytes.inc(value_bytes)
        self._drained.clear()
        self._handed.clear()
        self._next = 0

    def _alone(self, values: EncodedValues, start: int) -> Sequence[int]:
        del values, start
        return ()  # they were asked for before

    def _ask_for_suspects(self, batch: Batch) -> None:
        """Find out which events a broker refuses, before one of them ends the transaction."""
        messages, refused = self._messages.of(batch), list[RecordError]()
        values, targets = messages.values, messages.targets
        for index in self._suspects.among(values, 0):
            event = values.event_of(index)
            if refused and refused[-1].index == event:
                continue
            try:
                failed = self._lone.refusal(values, targets, index)
            except SinkError as error:
                if error.kind != "auth":
                    raise
                self._suspects.give_up()
                return
            self._suspects.asked(values[index], is_refused=failed is not None)
            if failed is not None:
                refused.append(refused_event(failed, batch, event))
        if refused:
            self._given_up = DeliveryReport(acked_count=0, refused=refused, is_in_doubt=True)

    def _give_up(self) -> None:
        """End the transaction; what is on its way is waited for, since a producer that purges it fails later on."""
        self._noted, self._done_next = None, 0
        if self._began_at is not None:
            with self._settled_errors() as client:
                client.drain()
                self._end_transaction(client)

    def _end_transaction(self, client: Client) -> None:
        """Abort it, unless its commit was asked for: then the next opening knows what became of it."""
        self._began_at = None
        if client.has_transaction:
            self._asked = None
            self._aborts.inc()
            client.abort_transaction(ABORT_SECS)
        self._drained.clear()
        self._handed.clear()
        self._next = 0

    def _handed_as(self, batch: Batch, value_bytes: int) -> Handed:
        if self._client is not None and self._began_at is None:
            self._begin(self._client)  # not before the first batch that has bytes and topics
        return super()._handed_as(batch, value_bytes)

    def _begin(self, client: Client) -> None:
        client.begin_transaction()
        self._began_at = time.monotonic()

    def _commit(self, client: Client, progress: SinkProgress | None) -> None:
        self._seq += 1
        record = PositionRecord(
            generation=self._context.generation, instance=self._instance, seq=self._seq, progress=progress
        )
        client.send(msgspec.json.encode(record), self._positions.name, self._positions.key)
        client.drain()
        reached("inside_transaction_before_commit")
        client.commit_transaction()
        reached("after_commit")
        self._began_at = None
        self._commits.inc()

    def _settle(self, record: PositionRecord | None) -> None:
        """Take the newest record for what is delivered, all older transactions having ended."""
        self._stored = record.progress if record and record.generation == self._context.generation else None
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if record is None or (record.instance, record.seq) != (self._instance, asked.seq):
            self._aborts.inc()
            return
        self._done += asked.batches
        self._commits.inc()
        self._bytes.inc(asked.value_bytes)

    def _check_owner(self, record: PositionRecord | None) -> None:
        """Raises if another instance has begun since: it must not be fenced by the one that it replaced."""
        if record is not None and record.instance != self._instance:
            raise self._fenced()

    def _fenced(self) -> SinkError:
        return SinkError(
            f"another instance has taken over the transactional.id {self._transactional_id}",
            kind="fatal",
            hint="let only one pipeline of this name and sink id deliver to these brokers",
        )

    @contextmanager
    def _fencing_explained(self) -> Iterator[None]:
        try:
            yield
        except FailedError as error:
            if error.kind != "fatal":
                raise
            age_secs = time.monotonic() - self._began_at if self._began_at is not None else 0.0
            if age_secs < self._tx_timeout_secs:
                raise self._fenced() from error
            # The broker ends what is open for too long in the same way: the next open finds out which it was.
            raise SinkError(
                f"a transaction was open for {age_secs:.0f} s, and the broker has ended it",
                kind="timeout",
                hint="if this happens without an outage, raise transaction.timeout.ms in client_conf",
            ) from error

    @contextmanager
    def _settled_errors(self) -> Iterator[Client]:
        client = self._client
        if client is None:
            raise SinkError("the kafka sink is not open", kind="connect")
        try:
            with self._fencing_explained():
                yield client
        except RecordError:
            raise  # nothing of its batch was sent: the transaction goes on
        except SinkError as error:
            try:
                blamed = self._blamed(error) if isinstance(error, FailedError) else None
            finally:
                self._discard(client)
            raise blamed or error from error

    def _discard(self, client: Client) -> None:
        if self._began_at is not None:
            self._end_transaction(client)
        self._done_next, self._noted, self._given_up = 0, None, None
        self._drained.clear()
        super()._discard(client)

    def _blamed(self, error: FailedError) -> RecordError | None:
        if error.index is None:
            return super()._blamed(error)
        # The client did not take it. What it took of the batch before cannot be taken out of the transaction.
        batch = self._handed[-1].batch
        blamed = RecordError(error.message, index=error.index, kind=error.kind, hint=error.hint)
        blamed.written_count, blamed.batch = None, batch
        return blamed
