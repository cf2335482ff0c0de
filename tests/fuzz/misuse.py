"""``python -m tests.fuzz.misuse``: every entry of the kernel with wrong arguments, until the process dies of one.

What may go in is anything: numbers out of range, None, objects of other types, objects that nothing has filled, things
that are closed. What may come out is a value or an exception. The call under way stands in a file, for the one that
does not come back. The address of a connection, which nothing can check, is always a true one or 0.
"""

import argparse
import contextlib
import faulthandler
import random
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import msgspec
from psycopg import pq

from deltaforge.core.errors import DeltaForgeError
from deltaforge.kernel import backend
from deltaforge.kernel import compiled as kernel
from deltaforge.protocol.mysql.types import Code, ColumnType
from deltaforge.sources.postgres.client import libpq_path
from tests.fuzz import copied_rows, mysql_results, mysql_rows, records, transactions

NUMBERS = (-(2**63), -10_000_000, -1, 0, 1, 2, 7, 1000, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64, 1.5, True)
MILLISECONDS = (-(2**63), -10_000_000, -1, 0, 1, 2**31, 2**64, None, "1")
"""For the Kafka producer, which waits as long as it is told to."""
OTHERS = (None, "", "mysql", "native", "t", "\ud800", b"", b"x", b"a" * 70, bytearray(b"\5\0\0\0\0abcd"), (), (1, 2),
          (None, None), (1 << 30, 1 << 30), object, lambda *_: 1)  # fmt: skip
WITH_STATE = (
    "values",
    "groups",
    "block",
    "tables",
    "table",
    "form",
    "transaction",
    "plan",
    "texts",
    "template",
    "targets",
    "record_plan",
    "program",
    "program_of",
)


class World:
    """Good objects of every kind, to be mixed with wrong ones."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd
        mysql, postgres = copied_rows.MysqlCase(rnd, 0), copied_rows.PostgresCase(rnd, 0)
        self.transaction = backend.Transaction("mysql", "s", "f:4", "g:1", None)
        self.block = kernel.copy_data([b"w" + bytes(24) + message for message in postgres.messages])
        rows = self.block.rows(0, {77: postgres.table}, kernel.Transaction("p", "s", "0/1", "", 1), 1, 9, b"0/1")
        row_event = kernel.mysql_group(mysql.table, mysql.rows, self.transaction, *mysql_rows.PLACE)
        self.groups = [group for group in (rows[1], row_event) if group is not None]
        self.groups += [
            *transactions.taken_from_mysql(mysql, rnd, 0), *transactions.taken_from_postgres(postgres, rnd, 0),
            *(group for case in (mysql, postgres) for group in case.groups() if type(group) is kernel.RowGroup),
        ]  # fmt: skip
        self.form, self.values = kernel.JsonForm("native"), kernel.EncodedEvents()
        self.values.append(b"{}", b"key")
        self.values.extend(self.groups, 0, 0, self.form)
        self.rows = mysql.rows
        self.table = rnd.choice((mysql.table, postgres.table))
        self.plan = self.table.plan
        self.tables = {77: postgres.table, 78: None, transactions.MAP_BODY: mysql.table}
        self.texts = kernel.TableTexts(*[b"x"] * 6)
        parts = ("t.", ("after", "a"), ("source", "pos"))
        self.template = kernel.TargetTemplates(parts, rnd.choice((None, parts)), rnd.choice((None, bool)))
        self.targets = self.template.targets()
        self.record_plan = records.plan_of(rnd, self.table)
        self.program = kernel.RecordProgram(self.record_plan, self.plan)
        self.program_of = lambda _: self.program
        self.ids = self.transaction.ids
        self.row_ids = {row_id for group in self.groups[-2:] for row_id in _row_ids(group)}
        self.packed = kernel.pack_groups(self.groups, 0)
        self.instances = [
            *self.groups, self.values, self.form, self.transaction, self.block, self.plan, self.texts,
            self.template, self.targets, self.program,
            kernel.TransactionScanner(rnd.random() < 0.5, rnd.random() < 0.5, "s", self.tables),
            kernel.CopyTransactions(self.block, 0, self.tables, b"o", 1 << 60, (9, 9), (9, 9)),
            kernel.ResultRows(mysql_results.Case(rnd, 0).columns),
            kernel.RowPlan(self.table, ["a", "b"], ["a"], self.texts, self.texts),
            *self._sampled(), *self._empty(),
        ]  # fmt: skip

    def _sampled(self) -> list[Any]:
        sample = kernel.row_sample(self.groups[:1], ["a"], 0, 1, 2, 5) if self.groups else None
        return [sample] if sample is not None else []

    def _empty(self) -> Iterator[Any]:
        """What nobody has filled: made without ``__init__``."""
        for kind in classes():
            with contextlib.suppress(TypeError):
                yield kind.__new__(kind)

    def argument(self, depth: int = 0) -> Any:
        """Something to be passed, now and then the right thing."""
        rnd = self.rnd
        draw = rnd.random()
        if draw < 0.3:
            return rnd.choice(NUMBERS)
        if draw < 0.45:
            return rnd.choice(OTHERS)
        if draw < 0.7:
            return getattr(self, rnd.choice(WITH_STATE))
        if draw < 0.8:
            return rnd.choice(self.instances)
        if draw < 0.84:
            return rnd.choice((*self.packed, self.ids, self.row_ids))
        if draw < 0.88:
            return self._column_type()
        if draw < 0.92:
            names = ("data", "kind", "start", "column_count", "before", "after", "plan")
            names += records.PLAN_FIELDS
            wrong = {name: self.argument(2) for name in names if depth < 2}
            return rnd.choice((SimpleNamespace(**wrong), self._wrong_rows()))
        return [self.argument(depth + 1) for _ in range(rnd.randint(0, 4))] if depth < 2 else []

    def _wrong_rows(self) -> Any:
        return msgspec.structs.replace(self.rows, start=self.rnd.choice(NUMBERS), before=self.rnd.choice(NUMBERS))

    def _column_type(self) -> ColumnType:
        rnd = self.rnd
        sizes = [rnd.choice((*NUMBERS, 3, 64)) for _ in range(3)]
        labels = rnd.choice((None, (), ("a",), ("a",) * 70))
        charset = rnd.choice((None, "binary", "utf8mb4", "latin1"))
        about = dict(zip(("length", "precision", "scale"), sizes, strict=True))
        return ColumnType(code=rnd.choice(list(Code)), charset=charset, labels=labels, **about)


def _row_ids(group: Any) -> AbstractSet[bytes]:
    try:
        return group.touched_rows(group.transaction.ids).split()
    except DeltaForgeError:  # a value that nothing can decode
        return frozenset()


def classes() -> list[type]:
    """Of the kernel, but those that need more than objects."""
    found = [
        value
        for value in vars(kernel).values()
        if isinstance(value, type) and value.__module__.endswith("kernel._compiled")
    ]
    others = ("KafkaProducer", "CopyReader", "CopiedRows", "KafkaRefusal")
    return [kind for kind in found if kind.__name__ not in others]


def functions() -> list[Callable[..., Any]]:
    """Of the kernel's module."""
    return [value for name, value in vars(kernel).items() if type(value).__name__ in ("builtin_function_or_method",
            "cython_function_or_method") and getattr(value, "__module__", "").endswith("kernel._compiled")]  # fmt: skip


def members(item: Any) -> list[str]:
    """What Python can reach of an object of the kernel."""
    names = [name for name in dir(type(item)) if not name.startswith("__")]
    return [*names, "__init__", *(name for name in ("__getitem__", "__len__") if hasattr(item, name))]


def misuse(rnd: random.Random, world: World, note: Callable[[str, list[Any]], None]) -> None:
    """One call."""
    count = rnd.choice((1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8))
    arguments = [world.argument() for _ in range(count)]
    draw = rnd.random()
    if draw < 0.3:
        called, name = rnd.choice(functions()), ""
    elif draw < 0.45:
        called, name = rnd.choice(classes()), ""
    else:
        item = rnd.choice(world.instances)
        name = rnd.choice(members(item))
        note(f"{type(item).__name__}.{name}", arguments)
        called = getattr(item, name)
        if not callable(called):
            setattr(item, name, arguments[0])
            return
        arguments = arguments[: rnd.randint(0, len(arguments))]
    note(f"{name or called}", arguments)
    made = called(*arguments)
    if isinstance(made, tuple(classes())):
        world.instances.append(made)


def misuse_producer(rnd: random.Random, producers: list[Any], note: Callable[[str, list[Any]], None]) -> None:
    """One call of a producer without brokers, open or closed."""
    producer = rnd.choice(producers)
    name = rnd.choice([name for name in members(producer) if name != "__getitem__"])
    filled = kernel.EncodedEvents()
    filled.append(b"value", b"")
    choices = (*MILLISECONDS, "", "topic", b"", b"key", {}, {"h": "v"}, {"h": None}, {None: None}, filled, [])
    arguments = [rnd.choice(choices) for _ in range(rnd.randint(0, 4))]
    if name == "produce" and rnd.random() < 0.5:
        arguments = ["topic", b"value", rnd.choice((b"", b"key")), {}]
    note(f"KafkaProducer.{name}", arguments)
    if name == "close" and sum(len(other) >= 0 for other in producers) < 2:
        return
    getattr(producer, name)(*arguments)


def main() -> int:
    """Runs until the number of calls is reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.misuse", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--note", type=Path, default=Path("misuse.txt"), help="where the call under way is written")
    options = parser.parse_args()
    faulthandler.enable()
    rnd = random.Random(options.seed)
    library = str(
        next(Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs").glob("librdkafka-*.so*"))
    )
    refused = 0
    with options.note.open("w") as file:

        def note(what: str, arguments: list[Any]) -> None:
            file.seek(0)
            file.truncate()
            file.write(f"{what}{[repr(argument)[:300] for argument in arguments]}\n")
            file.flush()

        world = World(rnd)
        producers = [kernel.KafkaProducer(library, {"log_level": "0"}) for _ in range(3)]
        producers[0].close()
        broken = pq.PGconn.connect(b"host=/nowhere")
        path = libpq_path()
        readers = []
        if path is not None:
            readers += [kernel.CopyReader(path, broken.pgconn_ptr), kernel.CopiedRows(path, broken.pgconn_ptr, 1, 2)]
        for number in range(options.calls):
            if number % 200 == 199:
                world = World(rnd)
                world.instances += readers
            try:
                if number % 50 == 0:
                    misuse_producer(rnd, producers, note)
                else:
                    misuse(rnd, world, note)
            except Exception:  # noqa: BLE001 - any exception is an answer
                refused += 1
        for wrong in ((None, 1), (path, 0), (path, -1), ("/nowhere", 1), (path, "x"), ()):
            with contextlib.suppress(TypeError, ValueError, OSError, OverflowError):
                kernel.CopyReader(*wrong)
                raise AssertionError(wrong)
            with contextlib.suppress(TypeError, ValueError, OSError, OverflowError):
                kernel.CopiedRows(*wrong, 1, 1)
                raise AssertionError(wrong)
        for producer in producers:
            producer.close()
            producer.close()
    print(f"{options.calls} calls, {refused} of them refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
