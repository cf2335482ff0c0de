"""``python -m tests.fuzz.servers``: random tables and rows through real servers, kernel against Python.

Every event is encoded by both in every envelope, and so is its key.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.fuzz import server_rows
from tests.reading import mysql_reader, postgres_reader

TABLE_ROWS = 5000


def run_mysql(database, folder: Path, rnd: random.Random, rows: int, flavor: str) -> int:
    """Changes of one random table, about ``rows``, read and compared; their number."""
    create, makers = server_rows.mysql_table(rnd, "t", flavor)
    database.execute(create)
    statements, count = server_rows.changes(rnd, "t", makers, rows)
    folder.mkdir(exist_ok=True)
    reader = mysql_reader(database, folder / "state").open()
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set sql_mode = ''")
        for statement in statements:
            cursor.execute(statement)
    reader.read(count, timeout_secs=120)
    reader.close()
    return count


def run_postgres(database, folder: Path, rnd: random.Random, rows: int) -> int:
    """The same for PostgreSQL."""
    create, makers = server_rows.postgres_table(rnd, "t")
    identity = rnd.choice(("full", "default"))
    database.execute(create, f"alter table t replica identity {identity}", "create publication pub for all tables")
    statements, count = server_rows.changes(rnd, "t", makers, rows)
    folder.mkdir(exist_ok=True)
    reader = postgres_reader(database, folder / "state").open()
    database.execute(*statements)
    reader.read(count, timeout_secs=120)
    reader.close()
    database.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")
    return count


def main() -> None:
    """Prints the seed of each database's run, so that it can be repeated."""
    from benchmarks.servers import Servers

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.servers", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each database")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--database", nargs="+", default=["mysql", "mariadb", "postgres"])
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Servers() as servers, Progress(*columns, console=Console(stderr=True)) as progress:
        for name in options.database:
            task, done = progress.add_task(name, total=options.rows), 0
            while done < options.rows:
                round_seed = f"{seed}-{name}-{done}"
                with servers.get(name).fresh_database() as database, tempfile.TemporaryDirectory() as folder:
                    rnd = random.Random(round_seed)
                    try:
                        if name == "postgres":
                            done += run_postgres(database, Path(folder), rnd, TABLE_ROWS)
                        else:
                            done += run_mysql(database, Path(folder), rnd, TABLE_ROWS, name)
                    except BaseException:
                        print(f"failed with the seed {round_seed!r}")
                        raise
                progress.update(task, completed=done)
            print(f"{name}: {done} changes, seed {seed}: kernel and Python gave the same", flush=True)


if __name__ == "__main__":
    main()
