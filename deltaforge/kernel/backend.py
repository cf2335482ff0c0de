"""What a backend is, and what the compiled one can do besides. Types are those of ``_compiled.pyi``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from deltaforge.core.batch import EncodedValues, EventGroup
from deltaforge.kernel.captured import CapturedTable, OpenTransaction
from deltaforge.protocol.mysql.rows import Rows

if TYPE_CHECKING:
    import deltaforge.kernel._compiled as native

CopyData: TypeAlias = "native.CopyData"
CopyReader: TypeAlias = "native.CopyReader"
JsonForm: TypeAlias = "native.JsonForm"
RowGroup: TypeAlias = "native.RowGroup"
RowPlan: TypeAlias = "native.RowPlan"
TableTexts: TypeAlias = "native.TableTexts"
TransactionScanner: TypeAlias = "native.TransactionScanner"


class Backend(Protocol):
    """What can be asked without knowing which decoders run. None, or nothing taken, is left to Python."""

    def Transaction(
        self, connector: str, origin: str, identity: str, gtid: str, commit_ms: int | None, /
    ) -> OpenTransaction: ...

    def split_packets(self, buffer: bytearray, at: int, size: int, /) -> tuple[list[bytes], int]:
        """Events out of the MySQL packets in ``buffer[at:size]``, and where the first packet begins that is not whole,
        or is not a plain event.
        """

    def mysql_group(  # noqa: PLR0913, PLR0917 - the place of an event
        self,
        table: CapturedTable,
        rows: Rows,
        transaction: OpenTransaction,
        ts_ms: int,
        server_id: int,
        file: str,
        pos: int,
        /,
    ) -> native.RowGroup | None:
        """The rows of a row event, to be decoded when somebody asks. ``pos`` is the end of the event."""

    def stretches(self, groups: Sequence[EventGroup], by_op: bool, /) -> list[tuple[EventGroup, int]]:  # noqa: FBT001 - a compiled function
        """Neighbours of one table (and one op): their first group, and the number of their events."""

    def row_sample(  # noqa: PLR0913 - see sample_of_events
        self, groups: list[EventGroup], columns: Sequence[str], *, seen: int, warmup: int, rate: int, max_depth: int
    ) -> native.RowSample | None:
        """What sensing sees of groups of one captured table: see ``deltaforge.sensing.sample.sample_of_events``."""

    def xadd_commands(self, group: EventGroup, values: EncodedValues, index: int, stream: bytes, /) -> bytes | None:
        """The Redis commands that add the events of a group, whose values begin at ``index``, to a stream."""

    def pack_groups(self, groups: list[EventGroup], start: int, /) -> tuple[bytes, Sequence[CapturedTable], int]:
        """The groups from ``start`` on as plain bytes, with the tables that they name by number, and where the first
        group stands that cannot be packed.
        """


class Compiled(Backend, Protocol):
    """The compiled kernel: what only it has."""

    @property
    def CopyReader(self) -> type[native.CopyReader]: ...

    @property
    def EncodedEvents(self) -> type[native.EncodedEvents]: ...

    @property
    def JsonForm(self) -> type[native.JsonForm]: ...

    @property
    def KafkaProducer(self) -> type[native.KafkaProducer]: ...

    @property
    def KafkaRefusal(self) -> type[native.KafkaRefusal]: ...

    @property
    def RowGroup(self) -> type[native.RowGroup]: ...

    @property
    def RowPlan(self) -> type[native.RowPlan]: ...

    @property
    def RowTemplate(self) -> type[native.RowTemplate]: ...

    @property
    def TableTexts(self) -> type[native.TableTexts]: ...

    @property
    def Targets(self) -> type[native.Targets]: ...

    @property
    def TransactionScanner(self) -> type[native.TransactionScanner]: ...

    def unpack_groups(self, data: bytes, tables: list[CapturedTable], /) -> list[native.RowGroup]:
        """What ``pack_groups`` packed.

        Raises:
            ProtocolError: The bytes are no such block, or not of these tables.
        """
