"""The demo's workload: a shop with customers and orders."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import TupleRow

TABLES = """
create table customers (id serial primary key, name text not null, email text, tags text[]);
create table orders (
  id serial primary key, customer_id int not null, status text not null, amount numeric(10,2) not null,
  details jsonb, created_at timestamptz not null default now());
alter table customers replica identity full;
alter table orders replica identity full;
create publication shop for all tables;
"""
FILLED = """
insert into customers (name, email, tags)
select (array['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Tony', 'Radia'])[1 + n % 8],
       'customer' || n || '@example.com', array['old']
  from generate_series(1, {customers}) n;
insert into orders (customer_id, status, amount, details)
select 1 + n % {customers}, (array['new', 'paid', 'shipped', 'cancelled'])[1 + n % 4], (100 + n * 7919 % 99900) / 100.0,
       jsonb_build_object('items', 1 + n % 9, 'gift', n % 5 = 0)
  from generate_series(1, {orders}) n;
analyze;
"""

NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Tony", "Radia")
CUSTOMERS, ORDERS = 5_000, 100_000
"""What the shop has when the pipeline is made."""
NEW_COLUMN = "priority"
"""What the orders get in the middle."""
STATUSES = ("new", "paid", "shipped", "cancelled")


class Shop:
    """Writes to the shop's database; equal seeds do equal things.

    Args:
        connection: To an empty database; its tables are made, and filled.
        seed: Of everything by chance.
    """

    def __init__(self, connection: psycopg.Connection[TupleRow], seed: int = 7) -> None:
        self._connection = connection
        self._rng = random.Random(seed)
        connection.execute(TABLES.encode())
        connection.execute(FILLED.format(customers=CUSTOMERS, orders=ORDERS).encode())
        self._customers = CUSTOMERS
        self._orders = list(range(1, ORDERS + 1))
        self._has_priority = False
        self.new_count = 0  # orders that were made with the new column

    def work(self, steps: int, after_step: Callable[[int], None]) -> None:
        """Do ``steps`` transactions; in the middle the orders get a new column."""
        for step in range(steps):
            if step == steps // 2:
                self._connection.execute(f"alter table orders add column {NEW_COLUMN} int not null default 0".encode())
                self._has_priority = True
            with self._connection.transaction():
                self._step()
            after_step(step)

    def _step(self) -> None:
        pick = self._rng.random()
        if pick < 0.1:
            name = self._rng.choice(NAMES)
            self._run(
                "insert into customers (name, email, tags) values (%s, %s, %s)",
                name,
                f"{name.lower()}{self._customers}@example.com",
                ["new", "web"],
            )
            self._customers += 1
        elif pick < 0.6:
            self._insert_orders()
        elif pick < 0.9:
            self._run("update orders set status = %s where id = %s", self._rng.choice(STATUSES), self._any_order())
        else:
            number = self._any_order()
            self._orders.remove(number)
            self._run("delete from orders where id = %s", number)

    def _insert_orders(self) -> None:
        for _ in range(self._rng.randint(1, 5)):
            amount = Decimal(self._rng.randint(100, 99_999)) / 100
            details = f'{{"items": {self._rng.randint(1, 9)}, "gift": {str(pick_gift(self._rng)).lower()}}}'
            columns, marks = "customer_id, status, amount, details", "%s, 'new', %s, %s"
            values: list[Any] = [self._rng.randint(1, self._customers), amount, details]
            if self._has_priority:
                columns, marks = f"{columns}, {NEW_COLUMN}", marks + ", %s"
                values.append(self._rng.randint(0, 2))
                self.new_count += 1
            query = f"insert into orders ({columns}) values ({marks}) returning id"  # noqa: S608 - constants
            row = self._connection.execute(query.encode(), values).fetchone()
            if row is not None:
                self._orders.append(int(row[0]))

    def _any_order(self) -> int:
        return self._rng.choice(self._orders)

    def _run(self, query: str, *values: object) -> None:
        self._connection.execute(query.encode(), values)


def pick_gift(rng: random.Random) -> bool:
    """Whether an order is a gift."""
    return rng.random() < 0.2
