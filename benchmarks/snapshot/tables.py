"""Tables that are filled before anything reads them."""

from __future__ import annotations

import random
from typing import Any

from rich.progress import Progress

from benchmarks import orders

KINDS = ("bulk", "wide", "columns", "json", "uuid")
FIRST_ROWS, STATEMENT_ROWS = 50_000, 500
"""So many rows are made here, and the others by the server from them."""
_UUID = {
    "mysql": "create table orders (id char(36) character set ascii primary key, customer_id int not null,"
    " note varchar(200), updated_at timestamp(6) not null default current_timestamp(6))",
    "postgres": "create table orders (id uuid primary key, customer_id int not null, note varchar(200),"
    " updated_at timestamptz not null default now())",
}
_NEW_UUID = {"mysql": "uuid()", "postgres": "gen_random_uuid()"}


def fill(database: Any, kind: str, rows: int, progress: Progress) -> None:
    """A table ``orders`` with so many rows, analysed."""
    server = "postgres" if database.server.scheme == "postgres" else "mysql"
    database.execute(_UUID[server] if kind == "uuid" else orders.table(server, kind))
    task = progress.add_task(f"{server}: filling {kind}", total=rows)
    with database.connect() as connection, connection.cursor() as cursor:
        count = _first(cursor, kind, server, rows)
        columns = _columns(cursor)
        while count < rows:
            progress.update(task, completed=count)
            more = min(count, rows - count, 500_000)
            key = _NEW_UUID[server] if kind == "uuid" else f"id + {count}"
            limit = f"where id <= {more}" if kind != "uuid" else f"limit {more}"
            into, selected = (", ".join([first, *columns]) for first in ("id", key))
            cursor.execute(f"insert into orders ({into}) select {selected} from orders {limit}")
            count += more
        cursor.execute("analyze table orders" if server == "mysql" else "analyze orders")
    progress.remove_task(task)


def _first(cursor: Any, kind: str, server: str, rows: int) -> int:
    random_, count = random.Random(7), min(rows, FIRST_ROWS)
    for start in range(0, count, STATEMENT_ROWS):
        numbers = range(start + 1, min(start + STATEMENT_ROWS, count) + 1)
        if kind == "uuid":
            values = ",".join(f"({_NEW_UUID[server]},{number},'note {number} of some length')" for number in numbers)
            cursor.execute(f"insert into orders (id, customer_id, note) values {values}")
        else:
            cursor.execute(
                f"insert into orders values {','.join(orders.row(kind, random_, number) for number in numbers)}"
            )
    return count


def _columns(cursor: Any) -> list[str]:
    cursor.execute("select * from orders limit 0")
    return [column[0] for column in cursor.description][1:]


def fill_small(database: Any, tables: int, rows: int) -> None:
    """Tables ``small0`` and so on, of so many rows each."""
    values = ",".join(f"({number},'text {number} of a small table',{number}.25)" for number in range(1, rows + 1))
    with database.connect() as connection, connection.cursor() as cursor:
        for number in range(tables):
            cursor.execute(f"create table small{number} (id int primary key, t varchar(100), d decimal(10,2))")
            cursor.execute(f"insert into small{number} values {values}")
