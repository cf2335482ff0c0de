"""What a backend is, and what the compiled one can do besides. Types are those of ``_compiled.pyi``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from deltaforge.core.batch import EventGroup
from deltaforge.core.encoded import EncodedValues
from deltaforge.core.event import ChangeEvent
from deltaforge.core.template import Part
from deltaforge.kernel.captured import CapturedTable, OpenTransaction

if TYPE_CHECKING:
    import deltaforge.kernel._compiled as native
    from deltaforge.protocol.mysql.result_rows import ResultColumn
    from deltaforge.protocol.mysql.rows import Rows

CopiedRows: TypeAlias = "native.CopiedRows"
CopyData: TypeAlias = "native.CopyData"
CopyReader: TypeAlias = "native.CopyReader"
EncodedEvents: TypeAlias = "native.EncodedEvents"
JsonForm: TypeAlias = "native.JsonForm"
RecordProgram: TypeAlias = "native.RecordProgram"
RowGroup: TypeAlias = "native.RowGroup"
RowPlan: TypeAlias = "native.RowPlan"
TableTexts: TypeAlias = "native.TableTexts"
TransactionScanner: TypeAlias = "native.TransactionScanner"


class Targets(Protocol):
    """Where the events of a batch go, under which keys and with which headers, by their place in it."""

    def __len__(self) -> int: ...

    def destination(self, index: int, /) -> str:
        """The topic, stream or subject."""

    def key(self, index: int, /) -> bytes | None:
        """The key; None for that which messages have without a template."""

    def headers(self, index: int, /) -> dict[str, str]:
        """The headers; usually none."""

    def destinations(self) -> list[str]:
        """Each destination once."""

    def run_end(self, index: int, stop: int, /) -> int:
        """The first place up to ``stop`` with another destination than that at ``index``; ``stop`` if there is none."""

    def append(self, destination: str, key: bytes | None, headers: dict[str, str], /) -> None:
        """Add an event that was looked at elsewhere. Its destination is allowed."""

    def extend(self, groups: list[EventGroup], start: int, /) -> int:
        """Add the events of groups from ``start`` on; the first group that is left to Python, or their number."""


class TargetTemplates(Protocol):
    """Where the events of a sink go, and under which keys."""

    def targets(self) -> Targets:
        """Targets of no event yet."""

    def missing_paths(self) -> list[str]:
        """The paths of the key that led to nothing in an event so far."""


class ResultRows(Protocol):
    """Collects the images of the rows of a result of MySQL."""

    @property
    def row_count(self) -> int:
        """Rows so far."""

    @property
    def byte_count(self) -> int:
        """Bytes of their images."""

    def take(self, buffer: bytearray, at: int, size: int, room: int, /) -> tuple[int, int]:
        """Take the plain row packets in ``buffer[at:size]`` until the images have ``room`` bytes: where the first
        packet begins that was not taken, and where the last one that was; -1 if none was.
        """

    def put(self, image: bytes, /) -> None:
        """Add the image of a row that was not taken."""

    def images(self) -> bytes:
        """The images, one behind the other; none are left here."""


class Backend(Protocol):
    """What can be asked without knowing which decoders run. None, or nothing taken, is left to Python."""

    def Transaction(
        self, connector: str, origin: str, identity: str, gtid: str, commit_us: int | None, /
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
        begin_pos: int = 0,
        query: str | None = None,
        /,
    ) -> native.RowGroup | None:
        """The rows of a row event, to be decoded when somebody asks. ``pos`` is the end of the event, ``begin_pos`` its
        beginning; ``query`` is the statement that it is of, if somebody asks for it.
        """

    def ResultRows(self, columns: Sequence[ResultColumn], /) -> ResultRows:
        """For rows of a result with these columns."""

    def mysql_copied_rows(  # noqa: PLR0913, PLR0917 - the place of rows
        self,
        table: CapturedTable,
        images: bytes,
        transaction: OpenTransaction,
        ts_ms: int,
        server_id: int,
        file: str,
        pos: int,
        /,
    ) -> native.RowGroup | None:
        """Copied rows of op ``r``, as in a write event that holds all columns."""

    def postgres_copied_rows(
        self, table: CapturedTable, inserts: CopyData, transaction: OpenTransaction, ts_ms: int, lsn: str, /
    ) -> native.RowGroup | None:
        """Copied rows of op ``r``, as ``Insert`` messages in the kernel's own memory."""

    def TargetTemplates(
        self,
        destination: tuple[Part, ...],
        key: tuple[Part, ...] | None,
        is_allowed: Callable[[str], bool] | None,
        /,
    ) -> TargetTemplates:
        """The templates of a sink, as their parts; ``is_allowed`` says whether a destination may be used."""

    def row_sample(  # noqa: PLR0913 - see sample_of_events
        self, groups: list[EventGroup], columns: Sequence[str], *, seen: int, warmup: int, rate: int, max_depth: int
    ) -> native.RowSample | None:
        """What sensing sees of groups of one captured table: see ``deltaforge.sensing.sample.sample_of_events``."""

    def xadd_commands(self, group: EventGroup, values: EncodedValues, targets: Targets, index: int, /) -> bytes | None:
        """The Redis commands that add the events of a group, the first of which is at ``index``, to their streams."""

    def split_groups(  # noqa: PLR0913 - see Router
        self,
        groups: list[EventGroup],
        start: int,
        parts: list[list[EventGroup]],
        column: str | None,
        lane_of: Callable[[ChangeEvent], int],
        known: dict[Hashable, int],
        /,
    ) -> int:
        """Add the groups from ``start`` on to the parts of their lanes; where the first group stands that is left to
        Python. Rows go by a column or by the primary key, or where they have none, by their table, which is noted.
        """

    def pack_groups(self, groups: list[EventGroup], start: int, /) -> tuple[bytes, Sequence[CapturedTable], int]:
        """The groups from ``start`` on as plain bytes, with the tables that they name by number, and where the first
        group stands that cannot be packed.
        """


class Compiled(Backend, Protocol):
    """The compiled kernel: what only it has."""

    @property
    def CopiedRows(self) -> type[native.CopiedRows]: ...

    @property
    def CopyData(self) -> type[native.CopyData]: ...

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
    def RecordProgram(self) -> type[native.RecordProgram]: ...

    @property
    def RowGroup(self) -> type[native.RowGroup]: ...

    @property
    def RowPlan(self) -> type[native.RowPlan]: ...

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
