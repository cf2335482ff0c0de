"""A record of one table as steps: what is equal in all of its rows as bytes, and what is not by name.

The same steps are taken by Python (:mod:`deltaforge.records.taking`) and by the kernel, and make JSON or Avro: only the
bytes between the values, and the writer of values, differ.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple

from deltaforge.records.conversion import Conversion, Form

Writer = Literal["json", "avro"]


class Fact(IntEnum):
    """What is known of an event beside its images. The kernel goes by the numbers."""

    OP = 0  # text
    TS_MS = 1  # integer: of the source's commit
    TS_US = 2
    TS_NS = 3
    NOW_MS = 4  # integer: when the event is encoded
    NOW_US = 5
    NOW_NS = 6
    SNAPSHOT = 7  # text: true, first, last, incremental; null in streaming
    SERVER_ID = 8
    GTID = 9
    BINLOG_FILE = 10
    BINLOG_POS = 11  # where the row event begins
    BINLOG_END = 12  # where it ends, as native documents say it
    BINLOG_ROW = 13
    THREAD = 14
    QUERY = 15
    TX_ID = 16  # integer: xid
    LSN = 17  # integer: of the row's message
    COMMIT_LSN_TEXT = 18  # text X/Y: as native documents say it
    SEQUENCE = 19  # text ["last commit's lsn","lsn"]
    XMIN = 20
    TRANSACTION_ID = 21  # text: the GTID, or `xid:lsn`
    TOTAL_ORDER = 22
    TABLE_ORDER = 23  # Debezium's data_collection_order
    EVENT_ID = 24
    NATIVE_TRANSACTION_ID = 25  # text, as native documents say it


class Bytes(NamedTuple):
    """Bytes as they stand."""

    data: bytes


class FactStep(NamedTuple):
    """A fact: ``prefix``, the value and ``suffix``, or where there is none, ``null``.

    Attributes:
        form: INTEGER, TEXT or BOOLEAN.
        prefix: Before a value: the branch of Avro's union.
        null: Instead of prefix, value and suffix.
    """

    fact: Fact
    form: Form
    prefix: bytes = b""
    null: bytes = b""
    suffix: bytes = b""


class ImageStep(NamedTuple):
    """A row image: ``prefix``, its columns and ``suffix``, or where the event has none, ``null``.

    Attributes:
        columns: As :attr:`RecordPlan.columns`, where this image has others; None: it has those.
    """

    is_before: bool
    prefix: bytes = b""
    suffix: bytes = b""
    null: bytes = b""
    columns: tuple[PlannedColumn, ...] | None = None


class IfTransaction(NamedTuple):
    """Steps, or where an event has no numbers in a transaction, ``null``."""

    steps: tuple[Step, ...]
    null: bytes


Step = Bytes | FactStep | ImageStep | IfTransaction


class PlannedColumn(NamedTuple):
    """A column in images and keys: ``name``, then ``prefix`` and the value, or ``null`` instead.

    Attributes:
        place: Among the columns of the table.
        column: Its name, under which Python finds it in an image.
        conversion: Of its values.
        name: JSON: ``,"id":``, without the comma where it is the first; Avro: nothing.
        prefix: Before a value: the branch of Avro's union.
        null: For NULL: JSON ``null``; of a column that cannot be null in the record, its default, or zero. Empty, as
            ``missing`` and ``unavailable`` may be: such a row is not for this plan.
        missing: Where the image does not have the column.
        unavailable: For a TOAST value that the log does not hold.
    """

    place: int
    column: str
    conversion: Conversion
    name: bytes = b""
    prefix: bytes = b""
    null: bytes = b""
    missing: bytes = b""
    unavailable: bytes = b""


class RecordPlan(NamedTuple):
    """How a row of a table becomes key and value.

    Attributes:
        writer: Of the values.
        value: The steps of a value.
        columns: Of its images, in their order in the record.
        key: Of its key, in their order; None: messages have no key. Of the newest image.
        key_prefix, key_suffix: Around the key's columns.
        marks_deletes: Whether a deleted row has a second message behind the first, with its key and no value.
        splits_key_changes: Whether an update that changes the key is a delete and an insert.
        header_key: The key as JSON, whatever the writer, for the headers of such messages; None: they have none.
        skipped_ops: No messages are made of these.
        skips_unchanged: Nor of an update that changes none of the columns.
        table_columns: All columns that rows may have; None: any. What a processor added has no place in the record.
        headers: Of every message.
    """

    writer: Writer
    value: tuple[Step, ...]
    columns: tuple[PlannedColumn, ...]
    key: tuple[PlannedColumn, ...] | None
    key_prefix: bytes = b""
    key_suffix: bytes = b""
    marks_deletes: bool = False
    splits_key_changes: bool = False
    header_key: tuple[PlannedColumn, ...] | None = None
    skipped_ops: frozenset[str] = frozenset()
    skips_unchanged: bool = False
    table_columns: frozenset[str] | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
