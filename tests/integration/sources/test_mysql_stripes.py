"""Tables of MySQL and MariaDB that are divided: by keys of every kind, and again where a worker has nothing to do."""

import pytest

from tests.copied_chunks import copier_of
from tests.reading import mysql_reader, readers_of

ROWS = 240
KEYS = {
    "uuid_text": ("k char(36)", "concat(left(sha2(n, 224), 8), '-', substr(sha2(n, 224), 9, 27))"),
    "uuid_binary": ("k binary(16)", "unhex(left(sha2(n, 224), 32))"),
    "hex_ci": ("k varchar(40)", "left(sha2(n, 224), 40)"),
    "hex_bin": ("k varchar(40) collate utf8mb4_bin", "if(n % 2, upper(left(sha2(n, 224), 40)), left(sha2(n, 224), 40))"),
    "mixed_ci": ("k varchar(20)", "concat(if(n % 2, 'Z', 'a'), n)"),
    "prefixed": ("k varchar(40)", "concat('customer-', lpad(n, 9, '0'))"),
    "latin": ("k varchar(20) character set latin1", "concat(elt(1 + n % 4, 'a', 'g', 'm', 't'), if(n % 3, 'é', 'e'), n)"),
    "gbk": ("k varchar(20) character set gbk", "concat(elt(1 + n % 4, 'a', 'g', 'm', 't'), '中', n)"),
    "utf16": ("k varchar(20) character set utf16", "concat(elt(1 + n % 4, 'a', 'g', 'm', 't'), n)"),
    "ideographs": ("k varchar(20)", "convert(char(0x4e00 + n * 50 using utf16) using utf8mb4)"),
    "emoji": ("k varchar(20)", "concat(if(n % 2, '😀', 'a'), n)"),
    "varbinary": ("k varbinary(20)", "concat(unhex(lpad(hex(n % 200), 2, '0')), n)"),
    "decimal": ("k decimal(30,4)", "n * 1000000007.1234 - 50000000000"),
    "fraction": ("k decimal(30,20)", "n / 7000"),
    "bits": ("k bit(40)", "n * 4000000007"),
    "enum": ("k enum('z','b','a','d'), l int", "1 + n % 4, n"),
    "date": ("k date", "date_add('1999-12-31', interval n day)"),
    "zero_dates": ("k datetime", "if(n < 3, concat('2020-00-0', n, ' 00:00:00'), date_add('2020-01-01', interval n * 7 hour))"),
    "micros": ("k datetime(6)", "date_add('2024-02-29', interval n * 1234567 microsecond)"),
    "stamp": ("k timestamp(3)", "date_add('2024-02-29', interval n minute)"),
    "time": ("k time(2)", "sec_to_time(n * 1000 - 100000)"),
    "falls": ("k int", "n", "primary key (k desc)"),
    "text_falls": ("k varchar(40)", "left(sha2(n, 224), 40)", "primary key (k desc)"),
    "two": ("k varchar(60), l int", "sha2(n % 60, 224), n", "primary key (k, l)"),
    "same": ("k varchar(40), l int", "'same', n", "primary key (k, l)"),
}  # fmt: skip
UNDIVIDED = {"same"}
UNEVEN = {"same", "emoji"}


@pytest.fixture
def copier(any_mysql_database, tmp_path):
    database = any_mysql_database
    numbers = f"with recursive s (n) as (select 0 union all select n + 1 from s where n < {ROWS - 1})"
    statements = ["set sql_mode = ''"]
    for name, (columns, values, *key) in KEYS.items():
        names = "k, l" if ", l int" in columns else "k"
        statements += [
            f"create table `{name}` ({columns}, n int, {key[0] if key else f'primary key ({names})'})",
            f"insert into `{name}` ({names}, n) {numbers} select {values}, n from s",
        ]
    database.execute(*statements)
    with readers_of(mysql_reader, tmp_path) as make:
        copy = copier_of(make(database))
        yield database, copy
        copy.chunks.close()


def test_any_kind_of_key_is_divided_and_has_all_rows_once(copier):
    database, copy = copier
    for name in KEYS:
        assert database.rows(f"select count(*) from `{name}`") == [(ROWS,)], name
        plan = copy.plan(name, database.name, stripe_count=4)
        assert (len(plan.stripes) > 1) is (name not in UNDIVIDED), (name, plan.stripes)
        stripes, ends = [], [*plan.stripes]
        while ends:  # each is divided again until it cannot be
            stripe = ends.pop(0)
            middle = copy.chunks.split(plan, stripe) if len(stripes) + len(ends) < 5 else None
            if middle is None:
                stripes.append(stripe)
            else:
                assert middle not in (stripe.at, stripe.end), name
                ends += [type(stripe)(stripe.at, middle), type(stripe)(middle, stripe.end)]
        found = []
        for stripe in stripes:
            (chunk,) = copy.all(type(plan)(plan.table, plan.method, plan.detail, (stripe,)))
            assert name in UNEVEN or chunk.row_count < ROWS * 0.9, name
            found += [event.after["n"] for group in chunk.rows for event in group.events()]
        assert sorted(found) == list(range(ROWS)), name
