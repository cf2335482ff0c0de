"""Changes of one table, ``orders``: 10/14 inserts, 3/14 updates, 1/14 deletes.

``bulk`` changes 100 to 1,000 rows of 8 columns, one of them JSON, in a statement, ``single`` one such row in a
transaction. ``wide`` rows have 600 bytes, ``columns`` has 60 columns, ``json`` two documents of 1 KB; all of them
as many in a statement as ``bulk``. Seeded: the same numbers of rows make the same changes on every database.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

WORKLOADS = ("bulk", "single", "wide", "columns", "json")
_BULK = {
    "mysql": "create table orders (id bigint primary key, customer_id int not null,"
    " status enum('new','paid','shipped','cancelled') not null, amount decimal(10,2) not null, note varchar(200),"
    " created_at datetime(3) not null, updated_at timestamp(6) not null, meta json)",
    "postgres": "create table orders (id bigint primary key, customer_id int not null, status text not null,"
    " amount numeric(10,2) not null, note varchar(200), created_at timestamp(3) not null,"
    " updated_at timestamptz not null, meta jsonb)",
}
_TIMES = {"mysql": "updated_at timestamp(6) not null", "postgres": "updated_at timestamptz not null"}
_JSON = {"mysql": "json", "postgres": "jsonb"}
_STATUSES = ("new", "paid", "shipped", "cancelled")


def table(database: str, kind: str) -> str:
    """The statement that makes the table of a workload on ``mysql`` or ``postgres``."""
    common = "create table orders (id bigint primary key, status varchar(20) not null, amount decimal(10,2) not null"
    if kind == "wide":
        return f"{common}, a varchar(200), b varchar(200), c varchar(200), {_TIMES[database]})"
    if kind == "columns":
        numbers = ", ".join(f"n{n} int, t{n} varchar(20), d{n} decimal(12,4)" for n in range(19))
        return f"{common}, {numbers})"
    if kind == "json":
        return f"{common}, cart {_JSON[database]}, history {_JSON[database]})"
    return _BULK[database]


def statements(changes: int, kind: str, seed: int = 7) -> Iterator[tuple[str, int]]:
    """SQL statements and the changes that each makes, ``changes`` in total."""
    random_ = random.Random(seed)
    last_id, first_id, left = 0, 1, changes
    while left:
        count = min(left, 1 if kind == "single" else random_.randint(100, 1000))
        dice = random_.random() * 14
        alive = last_id - first_id + 1
        if dice < 10 or alive < 2 * count:
            rows = ",".join(_ROWS[kind](random_, last_id + n + 1) for n in range(count))
            yield f"insert into orders values {rows}", count
            last_id += count
        elif dice < 13:
            start = random_.randint(first_id, last_id - count + 1)
            where = f"id between {start} and {start + count - 1}"
            yield f"update orders set status = 'paid', amount = amount + 1 where {where}", count
        else:
            yield f"delete from orders where id between {first_id} and {first_id + count - 1}", count
            first_id += count
        left -= count


def _row(random_: random.Random, number: int) -> str:
    meta = json.dumps({"items": [random_.randint(1, 99), 2], "gift": number % 2 == 0, "code": f"c{number % 997}"})
    created = f"2026-01-{number % 28 + 1:02} 10:{number % 60:02}:05.123"
    return (
        f"({number},{random_.randint(1, 99_999)},'{random_.choice(_STATUSES)}',{random_.randint(100, 999_999) / 100},"
        f"'note {random_.randint(1, 10**9)} of some length','{created}','{created}','{meta}')"
    )


def _wide(random_: random.Random, number: int) -> str:
    texts = ",".join(f"'{random_.randbytes(95).hex()}'" for _ in range(3))
    return (
        f"({number},'{random_.choice(_STATUSES)}',{random_.randint(100, 999_999) / 100},{texts},'2026-01-01 10:00:05')"
    )


def _columns(random_: random.Random, number: int) -> str:
    values = ",".join(f"{random_.getrandbits(30)},'text {random_.getrandbits(20)}',{n}.1234" for n in range(19))
    return f"({number},'{random_.choice(_STATUSES)}',{random_.randint(100, 999_999) / 100},{values})"


def _json(random_: random.Random, number: int) -> str:
    items = [
        {"sku": f"s{random_.getrandbits(20)}", "count": n, "price": n * 1.25, "gift": n % 2 == 0} for n in range(16)
    ]
    history = {f"step{n}": {"at": f"2026-01-{n + 1:02}", "by": f"user {random_.getrandbits(16)}"} for n in range(20)}
    documents = f"'{json.dumps(items)}','{json.dumps(history)}'"
    return f"({number},'{random_.choice(_STATUSES)}',{random_.randint(100, 999_999) / 100},{documents})"


_ROWS = {"bulk": _row, "single": _row, "wide": _wide, "columns": _columns, "json": _json}


def row(kind: str, random_: random.Random, number: int) -> str:
    """The values of one row, in parentheses."""
    return _ROWS[kind](random_, number)


def write(database: Any, changes: int, kind: str, progress: Callable[[int], None]) -> None:
    """Make the changes; ``progress`` is told of each statement's."""
    with database.connect() as connection, connection.cursor() as cursor:
        for sql, count in statements(changes, kind):
            cursor.execute(sql)
            assert cursor.rowcount == count, (sql[:80], cursor.rowcount, count)
            progress(count)
