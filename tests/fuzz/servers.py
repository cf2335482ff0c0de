"""``python -m tests.fuzz.servers``: tables and rows out of hypothesis through real servers.

Every event is held against what the server's ``select`` says of the row, and its value, key and sample by the kernel
against those by the Python decoders, in every envelope. Rows that are selected as a snapshot selects them have to have
the values of the log.
"""

import argparse
import random
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deltaforge.core.json_text import encode_json
from deltaforge.kernel import compiled as kernel
from tests.copied_chunks import copied_events as chunk_events
from tests.copied_chunks import copier_of
from tests.copying import copied_events
from tests.copying import image as image_of
from tests.fuzz.mysql_columns import mysql_tables
from tests.fuzz.postgres_columns import postgres_tables
from tests.fuzz.tables import Change, Table, change_rows, tables
from tests.reading import ENCODERS, mysql_reader, postgres_reader, wire

DATABASES = ("mysql", "mariadb", "postgres", "postgres-15")
TABLE_ROWS = 1000
UNCHANGED = {"_unchanged": True}


def random_tables(name: str, seed: str, first: int = 0):
    """Tables of a database without end, with the literals of their columns."""
    is_postgres = name.startswith("postgres")
    drawn = postgres_tables(has_contrib=name == "postgres-15") if is_postgres else mysql_tables(name)
    return tables(drawn, f"{seed}-{name}", first)


class Counts(NamedTuple):
    """What was compared: changes, the values in their images, and how many changes the kernel took."""

    changes: int = 0
    values: int = 0
    by_kernel: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*map(sum, zip(self, other, strict=True)))


def run_table(server, name: str, table: Table, rnd: random.Random, rows: int) -> Counts:
    """Change about ``rows`` rows of a new table, read and compare them."""
    open_reader = postgres_reader if name.startswith("postgres") else mysql_reader
    with server.fresh_database() as database, tempfile.TemporaryDirectory() as folder:
        database.execute(*table.statements)
        reader = open_reader(database, Path(folder) / "state").open()
        try:
            with database.connect() as connection, connection.cursor() as cursor:
                changes = change_rows(cursor, table, rnd, rows)
            events = reader.read(len(changes), timeout_secs=300)
            if name.startswith("postgres"):
                check_copied_chunks(reader, events)
            else:
                check_copied(database.url(), reader, events)
        finally:
            reader.close()
        expected = {change.identity: change for change in changes}
        for event in events:
            before, after = wired(event.before), wired(event.after)
            assert event.source.table == table.name, f"{event.source.table!r} is not {table.name!r}"
            check(table, expected.pop((event.op, (after or before)["id"])), before, after)
        assert not expected, f"{len(expected)} changes came twice, others never"
    value_count = sum(len(image) for event in events for image in (event.before, event.after) if image)
    return Counts(len(changes), value_count, sum(map(count_by_kernel, reader.batches)))


def wired(image: dict | None) -> dict | None:
    """Each value as a consumer of the JSON sees it."""
    return None if image is None else {name: wire(value) for name, value in image.items()}


def count_by_kernel(batch) -> int:
    """Events that the kernel encodes: it leaves to Python what is rare."""
    if kernel is None:
        return 0
    return sum(map(_count_of_group, batch.groups))


def _count_of_group(group) -> int:
    values, at, row = kernel.EncodedEvents(), 0, 0
    while at == 0 and isinstance(group, kernel.RowGroup):
        at, row = values.extend([group], 0, row, ENCODERS[0].form)
        row += 1  # the one that is left to Python
    return len(values)


def check(table: Table, change: Change, before: dict | None, after: dict | None) -> None:
    """An event's images are those that the server printed, as far as it logs them."""
    if change.before is not None and table.key is not None:
        change_before = {name: value if name in table.key else None for name, value in change.before.items()}
    else:
        change_before = change.before
    kinds = {column.name: column.kind.declared for column in table.columns}
    for image, expected in ((before, change_before), (after, change.after)):
        assert (image is None) == (expected is None), f"{change.op}: {image} is not {expected}"
        for name in expected or ():
            if name not in image:
                is_left_out = "generated always" in kinds.get(name, "") and change.op != "c"  # by MariaDB
                assert table.is_partial or is_left_out, f"{change.op}: no {name!r} {kinds.get(name)} in the image"
                continue
            if image[name] == UNCHANGED and image is after and name not in change.assigned:
                continue  # a large value that stayed
            told = f"{change.op}: {name!r} {kinds.get(name)}: {image[name]!r:.300} is not {expected[name]!r:.300}"
            assert image[name] == expected[name], told


def check_copied(url: str, reader, events) -> None:
    """Rows that are still there as they were inserted are copied as they were logged, as far as they were."""
    table = next(group.table for batch in reversed(reader.batches) for group in batch.groups)
    inserted = {event.after["id"]: image_of(event) for event in events if event.op == "c"}
    copied = copied_events(url, table)
    assert len(copied) == sum({"c": 1, "d": -1}.get(event.op, 0) for event in events)
    for event in copied:
        selected = image_of(event)
        for name, value in inserted[event.after["id"]].items():
            assert selected[name] == value, f"{name!r} is copied as {selected[name]!r:.300}, not {value!r:.300}"


def check_copied_chunks(reader, events) -> None:
    """The rows of a table of PostgreSQL are copied as the log has left them."""
    last: dict = {}
    for event in events:
        if event.op == "d":
            del last[event.before["id"]]
        else:
            known = last.pop(-event.after["id"], {})  # what an update has made of it
            new = image_of(event).items()
            last[event.after["id"]] = {
                name: known.get(name) if value == encode_json(UNCHANGED) else value for name, value in new
            }
    copy = copier_of(reader)
    try:
        source = events[0].source
        copied = chunk_events(copy.all(copy.plan(source.table, source.schema)))
    finally:
        copy.chunks.close()
    ids = {event.after["id"] for event in copied}
    found = (len(copied), ids - set(last), set(last) - ids)
    assert found == (len(last), set(), set()), f"{found} of {len(last)} rows are copied"
    for event in copied:
        for name, value in image_of(event).items():
            logged = last[event.after["id"]][name]
            assert value == logged, f"{name!r} is copied as {value!r:.300}, not {logged!r:.300}"


@contextmanager
def repeatable(name: str, seed: str, number: int):
    """Says with an error how to come to it again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"again: python -m tests.fuzz.servers --database {name} --seed {seed} --first {number}")
        raise


def main() -> None:
    """Runs each database in turn until its changes are done."""
    from benchmarks.servers import Servers

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.servers", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each database")
    parser.add_argument("--table-rows", type=int, default=TABLE_ROWS, help="fewer rows of a table are more tables")
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--first", type=int, default=0, help="number of the table to begin with")
    parser.add_argument("--database", nargs="+", default=DATABASES, choices=DATABASES)
    options = parser.parse_args()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Servers() as servers, Progress(*columns, console=Console(stderr=True)) as progress:
        for name in options.database:
            task, done = progress.add_task(name, total=options.rows), Counts()
            for number, table in enumerate(random_tables(name, options.seed, options.first), options.first):
                if done.changes >= options.rows:
                    break
                with repeatable(name, options.seed, number):
                    rnd = random.Random(f"{options.seed}-{number}")
                    done = done.plus(run_table(servers.get(name), name, table, rnd, options.table_rows))
                progress.update(task, completed=done.changes)
            count = number - options.first
            found = f"{done.changes} changes with {done.values} values of {count} tables"
            print(f"{name}: {found} are as selected, seed {options.seed}", flush=True)
            print(
                f"{name}: {done.by_kernel} of the changes decoded by the kernel, the others left to Python", flush=True
            )


if __name__ == "__main__":
    main()
