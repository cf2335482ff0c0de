"""``python -m tests.fuzz``: damaged rows into the kernel until it breaks. Exit code 1 with the seed if it does.

Without ``--compare`` only the kernel runs, which is what a build with AddressSanitizer is for
(``make fuzz-asan``); with it each result is held against the Python decoders.
"""

import argparse
import contextlib
import random
import sys
import time
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deltaforge.core.errors import DeltaForgeError, ProtocolError
from deltaforge.kernel import backend, description
from deltaforge.kernel import compiled as kernel
from tests.fuzz import copied_rows, mysql_results, mysql_rows, postgres_rows, records, transactions
from tests.fuzz.mysql_input import damaged

WHOLE_TRANSACTIONS = 0.3
"""Share of inputs that go through what takes transactions whole."""

RESULTS = 0.2
"""Share of inputs that are rows of a select."""

COPIED = 0.2
"""Share of inputs that are copied rows."""

VARIATIONS = 500
"""Damages of one valid input: making the table costs more than reading its rows."""


def main() -> int:
    """Runs until the number of inputs is reached."""
    options = _options()
    if kernel is None:
        print(f"there is no kernel to test: {description}", file=sys.stderr)
        return 2
    seed = options.seed if options.seed is not None else time.time_ns()
    print(f"seed {seed}", flush=True)
    columns = (TextColumn("inputs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    done = taken = 0
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=options.inputs)
        while done < options.inputs:
            seed_of_round = f"{seed}-{done}"
            count, ok = _round(random.Random(seed_of_round), compare=options.compare)
            if ok is None:
                print(f"kernel and Python differ: seed of the round {seed_of_round!r}")
                return 1
            done, taken = done + count, taken + ok
            progress.update(task, completed=done)
    print(f"{done} inputs, {taken} of them decoded by the kernel, the others left to Python")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--compare", action="store_true")
    return parser.parse_args()


def _round(rnd: random.Random, *, compare: bool) -> tuple[int, int | None]:
    """The number of inputs, and how many of them the kernel took; None for a difference."""
    if compare:
        kinds = (mysql_rows.Case, postgres_rows.Case, copied_rows.MysqlCase, copied_rows.PostgresCase)
        case = rnd.choice(kinds)(rnd, damage=0.8)
        if case.by_kernel() != case.by_python():
            return 1, None
        return 1, records.compared(case, rnd)
    if rnd.random() < RESULTS:
        return VARIATIONS, mysql_results.taken_of_damaged(rnd, VARIATIONS)
    case, by_rows, copied, whole = rnd.choice((
        (copied_rows.MysqlCase(rnd, 0), _mysql, _mysql_copied, transactions.taken_from_mysql),
        (copied_rows.PostgresCase(rnd, 0), _postgres, _postgres_copied, transactions.taken_from_postgres),
    ))  # fmt: skip
    taken = 0
    for _ in range(VARIATIONS):
        if rnd.random() < COPIED:
            taken += copied(case, rnd)
        elif rnd.random() < WHOLE_TRANSACTIONS:
            taken += sum(_read(case, _unpacked(group, rnd), rnd) for group in whole(case, rnd, damage=1)) > 0
        else:
            taken += by_rows(case, rnd)
    return VARIATIONS, taken


def _mysql(case: mysql_rows.Case, rnd: random.Random) -> bool:
    rows = msgspec.structs.replace(case.rows, data=damaged(rnd, case.rows.data))
    transaction = backend.Transaction("mysql", "server-1", "f:4", case.gtid, None)
    group = kernel.mysql_group(case.table, rows, transaction, *mysql_rows.PLACE)
    return group is not None and _read(case, _unpacked(group, rnd), rnd)


def _postgres(case: postgres_rows.Case, rnd: random.Random) -> bool:
    frame = b"w" + bytes(24)
    block = kernel.copy_data([frame + damaged(rnd, message) for message in case.messages])
    transaction = kernel.Transaction("postgresql", "sys", "0/1", "", None)
    _, group, _, _ = block.rows(0, {77: case.table}, transaction, 1, 9, b"0/1")
    return group is not None and _read(case, _unpacked(group, rnd), rnd)


def _mysql_copied(case: copied_rows.MysqlCase, rnd: random.Random) -> bool:
    images = damaged(rnd, case.images)
    group = kernel.mysql_copied_rows(case.table, images, case.transaction(backend), *mysql_rows.PLACE)
    return group is not None and _read(case, _unpacked(group, rnd), rnd)


def _postgres_copied(case: copied_rows.PostgresCase, rnd: random.Random) -> bool:
    inserts = kernel.copy_data([copied_rows.FRAME + damaged(rnd, message) for message in case.inserts])
    group = kernel.postgres_copied_rows(case.table, inserts, case.transaction(backend), 1, "0/1")
    return group is not None and _read(case, _unpacked(group, rnd), rnd)


def _unpacked(group: Any, rnd: random.Random) -> Any:
    """The group, or what it is after it was packed and damaged, if that is still a group."""
    if rnd.random() < 0.5:
        return group
    block, tables, _ = kernel.pack_groups([group], 0)
    try:
        return kernel.unpack_groups(damaged(rnd, block), tables)[0]
    except (ProtocolError, IndexError):
        return group


def _read(case: mysql_rows.Case | postgres_rows.Case, group: Any, rnd: random.Random) -> bool:
    """Encode and sample a group, and tell its rows apart."""
    with contextlib.suppress(DeltaForgeError):
        touched = group.touched_rows(group.transaction.ids)
        if group.op == "r":
            group.without(set(sorted(touched.split())[::2]))
    names = [column.name for column in case.table.schema.columns][:60]
    kernel.row_sample([group], names, 0, 1, 2, 5)
    records.taken(group, rnd)
    return kernel.EncodedEvents().extend([group], 0, 0, case.encoder.form)[0] == 1


if __name__ == "__main__":
    sys.exit(main())
