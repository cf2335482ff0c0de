"""What is not the same, on purpose. ``docs/debezium.md`` shows this list, and a test compares the two."""

from typing import NamedTuple

from tests.compat.comparing import Difference

ANY = ".*"
MYSQL, MARIADB, POSTGRES = "(mysql|mariadb) .*", "mariadb .*", "postgres.*"
IMAGE = r"value[.](payload[.])?(before|after)[.]"
FIELDS = r"(value|key)[.]schema[.]fields[.]((before|after)[.]fields[.])?"


class Listed(NamedTuple):
    """``places`` are where it is seen: patterns over source and case, topic, path, what they say and what we say."""

    what: str
    theirs: str
    ours: str
    why: str
    places: tuple[tuple[str, str, str, str, str], ...]


def column(sources: str, table: str, name: str) -> tuple[tuple[str, str, str, str, str], ...]:
    """Whatever is said of a column: in values, in schemas beside them and in registered ones."""
    topic = rf"server[.][^.]+[.]{table}(-value|-key)?"
    return (
        (sources, topic, IMAGE + name + ANY, ANY, ANY),
        (sources, topic, FIELDS + name + ANY, ANY, ANY),
        (sources, topic, rf"subject.*fields[.]{name}.*|(key|value)[.]schema[.]fields.*fields[.]{name}.*", ANY, ANY),
        (sources, topic, r".*\(order\)", rf".*{name}.*|.*", rf".*{name}.*"),
    )


LISTED = [
    # --- copies of tables
    Listed(
        "Marks of copied rows", "`source.snapshot` tells the first and last row of the copy and of each table", "`true`",
        "Tables are copied side by side and in chunks, while the log is read: there is no first or last row.",
        ((ANY, ANY, r"value[.](payload[.])?source[.]snapshot", "first|last|first_in_data_collection|last_in_data_collection", "true"),),
    ),
    Listed(
        "Place of copied rows", "`server_id` 0, `row` 0, no `gtid`", "the server, and the place of the log as it was when the row was read",
        "It is known, and of use to who compares a copied row with a change.",
        ((MYSQL, ANY, r"value[.](payload[.])?source[.](server_id|row|gtid|thread)", "0|null", ANY),
         (POSTGRES, ANY, r"value[.](payload[.])?source[.](txId|lsn|sequence|xmin)", ANY, ANY)),
    ),
    Listed(
        "`float` in copied rows of MySQL and MariaDB", "six digits (`3.40282e+38`, `16777200`)", "the number (`3.4028235e+38`, `16777216`)",
        "Debezium takes the text of `select`, which is rounded; its changes have all digits.",
        ((MYSQL, ANY, IMAGE + "single.*", ANY, ANY),),
    ),
    Listed(
        "Generated columns in copied rows of PostgreSQL", "there, and missing in changes", "missing in both",
        "The log of PostgreSQL does not hold them: a copy would say more than the changes after it.",
        column(POSTGRES, "worked_out", "doubled"),
    ),
    Listed(
        "Statements at the start", "`SET`, `DROP`, `CREATE`, `USE` of every table on the topic of schema changes", "none",
        "Nobody has run them: Debezium makes them up for its own history. Statements of the log are written.",
        ((MYSQL, "server", "message", r"(SET|DROP|CREATE|USE) .*", r"\(missing\)"),),
    ),
    # --- values
    Listed(
        "Text of `json` and `jsonb`", "as the server or the log has it: with spaces in copies and on PostgreSQL, `1.50`, `1e300` as 301 digits",
        "one text for a value: no spaces, numbers as short as they can be; members that come twice once, the last",
        "A copy and a change of the same value give the same text, and so do the kernel and Python.",
        (*((ANY, ANY, IMAGE + name, ANY, ANY) for name in ("document(_b|_d|_n)?", "j", "jb", "extra", "documents(_b)?", "pairs")),
         (ANY, ANY, ".*document_[dn][.]default", ANY, ANY)),
    ),
    Listed(
        "JSON's own `null` in a column", "the text `null`", "null, as for NULL", "Native documents do not tell the two apart, and everything is made of their values.",
        ((ANY, ANY, IMAGE + "(scalar|document_b)", "null", "null"),),
    ),
    Listed(
        "`timestamp(n)` in copies of MySQL and MariaDB", "without zeros at the end (`12:34:56.78Z`)", "with the digits of the column (`12:34:56.780000Z`)",
        "Debezium's changes have the digits of the column, too.",
        ((MYSQL, ANY, IMAGE + "stamp.*", ANY, ANY),),
    ),
    Listed(
        "Year 0 of MySQL's `year`", "1900", "0", "It is not 1900.", ((MYSQL, ANY, IMAGE + "in_year", "1900", "0"),),
    ),
    Listed(
        "Zero timestamps in a column that is not null", "the column's default", "1970-01-01T00:00:00Z",
        "A zero timestamp is none; the default is a moment that nobody has written.",
        ((MYSQL, ANY, IMAGE + "stamp_n", ANY, ANY),),
    ),
    Listed(
        "Values that a form cannot hold", "something else: null, a number that has wrapped, a time of the next century",
        "no message: the row goes to the [dead letters](guarantees.md), or the sink ends, with the option that has the value",
        "TIME outside of a day with `connect` and `isostring`, moments outside of 64 bits with `nanoseconds`, infinite and very distant dates, `NaN` of `numeric`, "
        "arrays of arrays. A wrong value is never written.",
        ((ANY, r"server[.][^.]+[.]beyond", ANY, ANY, ANY), (ANY, "server[.]transaction", ANY, ".*beyond.*", ANY)),
    ),
    Listed(
        "`name` in changes of PostgreSQL", "null", "the text", "A fault of theirs.", ((POSTGRES, ANY, IMAGE + "object_name", "null", ANY),),
    ),
    Listed(
        "`numeric` with a negative scale", "hundreds of bytes with the scale 2046", "a decimal of scale 0 with as many digits as it takes",
        "A fault of theirs.", column(POSTGRES, "numbers", "exact_coarse"),
    ),
    Listed(
        "Arrays of `money`, `interval`, `point`, `bit(n)` and domains", "left out; `bit(n)[]` as one value that is always null", "arrays",
        "They are there in the log.",
        tuple(place for table, names in {"arrays": "(cashes|spans|places|bits)", "domains": "positives"}.items() for place in column(POSTGRES, table, names)),
    ),
    Listed(
        "Elements of arrays of enums", "never null: an array with NULL in it becomes null", "may be null",
        "A fault of theirs.", column(POSTGRES, "arrays", "labels"),
    ),
    # --- schemas
    Listed(
        "Defaults with quotes, of binary columns, and of columns that DDL adds", "`it''s \"q\"` or `it`; bytes with `\\0` written out", "`it's \"q\"`; no default for bytes",
        "Theirs are cut or garbled; a default that is not known for certain is not written.",
        ((ANY, ANY, r".*text_q.*default", ANY, ANY), (MYSQL, ANY, r".*(bytes_d|bytes_f).*", ANY, ANY),
         (MYSQL, ANY, r".*[.](v|z|kind)[.]default", ANY, r"\(missing\)")),
    ),
    Listed(
        "Elements of `vector` in schemas of MySQL", "never null", "may be null", "No vector has such an element: readers see no difference.",
        ((MYSQL, ANY, r".*vector_three.*", ANY, ANY),),
    ),
    # --- keys, headers, transactions
    Listed(
        "Key of a table without primary key, but with a unique one", "the columns of the unique key", "none, unless `message_key_columns` names them",
        "On MySQL. Rows of such a table are told apart by all of their columns here; a unique key may be changed or dropped without notice.",
        tuple((MYSQL, r"server[.][^.]+[.]only_unique(-key)?", path, ANY, ANY) for path in ("message", "key.*", "subject.*", "headers.*", "value.*")),
    ),
    Listed(
        "Key of a table that has lost it", "gone when Debezium has asked for it again, which it does not do after every DDL", "that of the definition which the row was written under",
        "Theirs depends on the moment at which the catalog was asked.",
        ((POSTGRES, r"server[.]other[.]renamed.*|server[.]public[.]orders.*", "key.*", ANY, ANY),),
    ),
    Listed(
        "Decimals in `__debezium.newkey` and `oldkey`", "numbers", "as in the key itself",
        "Connect writes headers by another converter than keys.",
        ((ANY, ANY, r"headers[.]__debezium[.](newkey|oldkey)\[1\]", r".*\"[du]\":[0-9].*", ANY),),
    ),
]  # fmt: skip
DIFFERENCES = [Difference(*place, listed.what) for listed in LISTED for place in listed.places]


def table() -> str:
    """The list as rows of the page."""
    head = ["| What | Debezium | DeltaForge | Why |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(f"| {one.what} | {one.theirs} | {one.ours} | {one.why} |" for one in LISTED)]) + "\n"
