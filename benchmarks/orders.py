"""The ``orders`` workload: 8 columns, one of them JSON; 10/14 inserts, 3/14 updates, 1/14 deletes.

``bulk`` changes 100 to 1,000 rows in a statement, ``single`` one row in a transaction. Seeded: the
same numbers of rows make the same changes on every database.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

TABLES = {
    "mysql": "create table orders (id bigint primary key, customer_id int not null,"
    " status enum('new','paid','shipped','cancelled') not null, amount decimal(10,2) not null, note varchar(200),"
    " created_at datetime(3) not null, updated_at timestamp(6) not null, meta json)",
    "postgres": "create table orders (id bigint primary key, customer_id int not null, status text not null,"
    " amount numeric(10,2) not null, note varchar(200), created_at timestamp(3) not null,"
    " updated_at timestamptz not null, meta jsonb)",
}
_STATUSES = ("new", "paid", "shipped", "cancelled")


def statements(changes: int, kind: str, seed: int = 7) -> Iterator[tuple[str, int]]:
    """SQL statements and the changes that each makes, ``changes`` in total."""
    random_ = random.Random(seed)
    last_id, first_id, left = 0, 1, changes
    while left:
        count = min(left, random_.randint(100, 1000) if kind == "bulk" else 1)
        dice = random_.random() * 14
        alive = last_id - first_id + 1
        if dice < 10 or alive < 2 * count:
            rows = ",".join(_row(random_, last_id + n + 1) for n in range(count))
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


def write(database: Any, changes: int, kind: str, progress: Callable[[int], None]) -> None:
    """Make the changes; ``progress`` is told of each statement's."""
    with database.connect() as connection, connection.cursor() as cursor:
        for sql, count in statements(changes, kind):
            cursor.execute(sql)
            assert cursor.rowcount == count, (sql[:80], cursor.rowcount, count)
            progress(count)
