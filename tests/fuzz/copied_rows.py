"""Copied rows of random tables through the kernel, and through the Python decoders beside it."""

import random
import struct

from deltaforge.core.batch import EventGroup
from deltaforge.core.errors import DeltaForgeError
from deltaforge.kernel import backend, pure
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.mysql.rows import Rows
from deltaforge.sources.mysql import group as mysql
from deltaforge.sources.postgres import group as postgres
from tests.fuzz import mysql_rows, postgres_rows
from tests.fuzz.mysql_input import damaged, images
from tests.fuzz.postgres_rows import keyed

PLACE = mysql_rows.PLACE
FRAME = b"w" + struct.pack(">QQQ", 1, 2, 3)
COPY = "snapshot|j1|d.t"


class MysqlCase(mysql_rows.Case):
    """Rows that hold all columns, as a chunk has them; see the class of the rows of a log."""

    def __init__(self, rnd: random.Random, damage: float) -> None:
        super().__init__(rnd, 0)
        self.images = images(rnd, self.table.columns, rnd.randint(1, 4))
        if rnd.random() < damage:
            self.images = damaged(rnd, self.images)

    def groups(self) -> list[EventGroup]:
        """As the source makes them."""
        return mysql.copied_rows(self.table, self.images, self.transaction(backend), PLACE)

    def row_groups(self) -> list[EventGroup]:
        return self.groups()

    def python_groups(self) -> list[EventGroup]:
        """The same without a kernel."""
        count = len(self.table.columns)
        rows = Rows("write", 0, count, 0, (1 << count) - 1, self.images, 0)
        return [mysql.RowGroup(self.table, rows, self.transaction(pure), PLACE, "r")] if self.images else []

    def inserted(self) -> EventGroup | None:
        """The rows as a write event of the log."""
        count = len(self.table.columns)
        rows = Rows("write", 0, count, 0, (1 << count) - 1, self.images, 0)
        return mysql.row_group(self.table, rows, self.transaction(backend), PLACE)

    def transaction(self, of):
        """Of the rows, in the kernel or in Python."""
        transaction = of.Transaction("mysql", "server-1", COPY, "", None)
        transaction.ordinal = 3
        return transaction

    def by_kernel(self) -> list[bytes] | str:
        return result_of(self, lambda: self.encoder.encode_groups(self.groups()))

    def by_python(self) -> list[bytes] | str:
        return result_of(self, lambda: self.encoder.encode_each(self.python_groups()))


class PostgresCase(postgres_rows.Case):
    """Rows as ``Insert`` messages; see the class of the rows of a log."""

    def __init__(self, rnd: random.Random, damage: float) -> None:
        super().__init__(rnd, 0)
        oids = [column.type_oid for column in self.table.relation.columns]
        self.inserts = [self._message(rnd, ord("I"), oids) for _ in range(rnd.randint(1, 4))]
        if rnd.random() < damage:
            self.inserts = [damaged(rnd, self.inserts[0])]

    def groups(self) -> list[EventGroup]:
        """As the source makes them."""
        inserts = self.inserts if kernel is None else kernel.copy_data([FRAME + message for message in self.inserts])
        return postgres.copied_rows(self.table, inserts, self.transaction(backend), PLACE[0], "0/1")

    def row_groups(self) -> list[EventGroup]:
        return self.groups()

    def python_groups(self) -> list[EventGroup]:
        """The same without a kernel."""
        return postgres.copied_rows(self.table, self.inserts, self.transaction(pure), PLACE[0], "0/1")

    def inserted(self) -> EventGroup | None:
        """The rows as those of a transaction of the log."""
        block = kernel.copy_data([FRAME + message for message in self.inserts])
        return block.rows(0, {77: self.table}, self.transaction(backend), PLACE[0], 0, b"0/1")[1]

    def transaction(self, of):
        """Of the rows, in the kernel or in Python."""
        transaction = of.Transaction("postgresql", "sys", COPY, "", None)
        transaction.ordinal = 1 << 25
        return transaction

    def by_kernel(self) -> list[bytes] | str:
        return result_of(self, lambda: self.encoder.encode_groups(self.groups()))

    def by_python(self) -> list[bytes] | str:
        return result_of(self, lambda: self.encoder.encode_each(self.python_groups()))


def result_of(case, encode) -> list[bytes] | str:
    """Values with their keys, or the error."""
    try:
        return keyed(encode())
    except DeltaForgeError as error:
        return f"{type(error).__name__}: {error}"
