"""What is not the same, on purpose. ``docs/debezium.md`` shows this list, and a test compares the two."""

from tests.compat.comparing import Difference
from tests.compat.differences_mariadb import LISTED_FOR_MARIADB
from tests.compat.listed import ANY, IMAGE, MYSQL, POSTGRES, Listed, column

LISTED = [
    # --- copies of tables
    Listed(
        "Marks of copied rows", "`source.snapshot` is `first` and `last` for the tables that come first and last by name", "for those that did",
        "Tables are copied side by side: which of them is the first is not known before.",
        ((ANY, ANY, r"value[.](payload[.])?source[.]snapshot", "first|last|true|first_in_data_collection|last_in_data_collection", "first|last|true|first_in_data_collection|last_in_data_collection"),),
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
        (*column(POSTGRES, "worked_out", "doubled"), (POSTGRES, r"server[.]public[.]worked_out-value", "subject.*", ANY, ANY)),
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
        (*((ANY, ANY, IMAGE + name, ANY, ANY) for name in ("document(_b|_d|_n)?", "j", "jb", "extra", r"documents(_b)?\[[0-9]+\]", "pairs")),
         (ANY, ANY, ".*document_[dn][.].*default", ANY, ANY)),
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
        "Time 24:00:00 with `isostring`", "00:00:00", "24:00:00", "It is the end of the day.", ((POSTGRES, ANY, IMAGE + "clock.*", "00:00:00.*", "24:00:00.*"),),
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
        ((ANY, r"server[.][^.]+[.]beyond", ANY, ANY, ANY), (ANY, "server[.]transaction", ANY, ".*beyond.*", ANY), ("postgres.* (connect|nanos)", r"server[.]public[.]times", "message", ANY, r"\(missing\)")),
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
        "A fault of theirs.", column(POSTGRES, "arrays", "labels") + column(POSTGRES, "colored", "cs"),
    ),
    Listed(
        "`time[]`", "cut to milliseconds", "microseconds", "A fault of theirs: a `time` has them.", ((POSTGRES, ANY, IMAGE + "clocks.*", ANY, ANY),),
    ),
    Listed(
        "`sparsevec` of pgvector", "a struct", "left out", "Not made yet.", column(POSTGRES, "others", "vector_sparse"),
    ),
    Listed(
        "`ltree[]`", "null", "an array", "A fault of theirs.", ((POSTGRES, ANY, IMAGE + "trees", "null", ANY),),
    ),
    Listed(
        "Partitioned tables and parents of PostgreSQL in copies", "rows of the table as a whole, and again those of its partitions or children", "rows of the partitions or children; with `publish_via_partition_root` those of the table",
        "Each row is there once, under the table that its changes come from.",
        ((POSTGRES, r"server[.]public[.](by_range|by_hash|base)(-key|-value)?", "message|subject.*", ANY, r"\(missing\)"),
         ("postgres.* root", r"server[.]public[.]by_(range|hash)_[0-9]", "message", "r .*", r"\(missing\)")),
    ),
    Listed(
        "Unlogged tables of PostgreSQL in copies", "there", "left out", "The log does not have them, so that a copy would never be brought up to date.",
        ((POSTGRES, r"server[.]public[.]forgotten(-key|-value)?", "message|subject", ANY, r"\(missing\)"),),
    ),
    Listed(
        "Types that Debezium does not know, with `include_unknown_datatypes`", "the bytes of what Java's driver prints (`{1.0,2.0,3.0}`)", "the bytes of what the server prints (`{1,2,3}`)",
        "The driver is not there.", (("postgres.* text", r"server[.]public[.](shapes|texts|domains|others)", IMAGE + ".*", ANY, ANY),),
    ),
    Listed(
        "TOAST values of `bytea` with `base64`, `base64-url-safe` or `hex`", "null", "the placeholder, as for every type",
        "Null would say that the value is gone.", (("postgres.* (connect|micros|text)", ANY, IMAGE + "b", "null", ".*"),),
    ),
    Listed(
        "What stands for `money` that the log does not hold, with `decimal_handling: string`", "`0.00`", "the empty text, as for other texts", "It is no value in either.",
        (("postgres.* text", ANY, IMAGE + "cash_n", "0.00", ""),),
    ),
    # --- schemas
    Listed(
        "Default of `bigint unsigned` beyond 2^63 with `long`", "9223372036854775807", "as it is written in rows, negative", "The default is the value that a row gets.",
        ((MYSQL, ANY, r".*big_u[.]default.*", ANY, ANY),),
    ),
    Listed(
        "`numeric` with more decimals than digits, in Avro", "a `decimal` whose scale is larger than its precision", "the same bytes without the logical type",
        "Avro forbids it: readers refuse the schema.", tuple((".* avro", ANY, path, ANY, ANY) for path in (r".*exact_fine.*(scale|precision|logicalType)",)),
    ),
    Listed(
        "Defaults with quotes, of binary columns, and of columns that DDL adds", "`it''s \"q\"` or `it`; bytes with `\\0` written out", "`it's \"q\"`; no default for bytes",
        "Theirs are cut or garbled; a default that is not known for certain is not written.",
        ((ANY, ANY, r".*text_q.*default", ANY, ANY), (MYSQL, ANY, r".*(bytes_d|bytes_f).*", ANY, ANY),
         (MYSQL, ANY, r".*[.](v|z|kind)[.](default|type.*)", ANY, ANY), (POSTGRES, ANY, IMAGE + "text_q", "it", ANY)),
    ),
    Listed(
        "Types of the source in copies of PostgreSQL, with `column_propagate_source_type`", "`SERIAL`, `BIGSERIAL`; `numeric` of length 0 without a scale", "as in changes: `INT4`, `INT8`, of length 131089 and scale 0",
        "Their changes say it so, too.", ((POSTGRES, ANY, r".*(count_n|count_big|exact_free)[.]parameters[.]__debezium[.]source[.]column[.](type|length|scale)", ANY, ANY),),
    ),
    Listed(
        "Columns of a domain that is not null", "not optional", "optional", "The catalog says of the column that it may be null.",
        column(POSTGRES, "colored", "a"),
    ),
    Listed(
        "`MODIFY` of a column of the primary key without `NOT NULL`, `ALTER COLUMN … SET DEFAULT`", "the column is optional; the default is the one of before", "it is not; the new one",
        "Faults of theirs.", (*column(MYSQL, "swap_b", "(id|c)"), (MYSQL, "server", r"value[.](payload[.])?tableChanges.*columns[.]id[.]optional", "true", "false"), (MYSQL, r"server[.][^.]+[.]swap_b-key", "subject.*", ANY, ANY)),
    ),
    Listed(
        "Elements of vectors in schemas", "never null", "may be null", "No vector has such an element: readers see no difference.",
        ((ANY, ANY, r".*vector_(three|half).*items.*", ANY, ANY),),
    ),
    # --- keys, headers, transactions
    Listed(
        "Key of a table without primary key, but with a unique one", "the columns of the unique key", "none, unless `message_key_columns` names them",
        "On MySQL. Rows of such a table are told apart by all of their columns here; a unique key may be changed or dropped without notice.",
        tuple((MYSQL, r"server[.][^.]+[.]only_unique(-key)?", path, ANY, ANY) for path in ("message", "key.*", "subject.*", "headers.*", "value.*")),
    ),
    Listed(
        "Key of a table that has lost it, labels of an enum that has got new ones, on PostgreSQL", "those of before, until Debezium has asked the catalog again, which it does not do after every DDL", "those of the definition which the row was written under",
        "Theirs depends on the moment at which the catalog was asked.",
        ((POSTGRES, r"server[.]other[.]renamed.*|server[.]public[.]orders.*", "key.*", ANY, ANY),
         (POSTGRES, r"server[.]public[.]defaults.*", ".*label_[dn].*allowed", "sad,fine,it's.*", ".*new.*"),
         (POSTGRES, r"server[.]public[.]defaults-value", r"subject\[[0-9]\]", r"\(missing\)", ".*sad,new,fine.*")),
    ),
    Listed(
        "Columns of `message_key_columns` that PostgreSQL's log does not hold of an old row", "zero or an empty text in the key", "no key is made up: a delete goes to the dead letters, an update stays one",
        "A wrong key. With `REPLICA IDENTITY FULL` the log holds them.",
        (("postgres.* (micros|chosen)", r"server[.]public[.]orders", "message", '.*"customer": "".*', r"\(missing\)"),
         ("postgres.* (micros|chosen)", r"server[.]public[.]orders", r"value.*(before|op)|headers.*oldkey", "null|c|.*customer.*", ANY),
         ("postgres.* (micros|chosen)", r"server[.]public[.]orders", "message", "c .*Dan.*", r"\(missing\)")),
    ),
    Listed(
        "Key columns that column lists leave out, on PostgreSQL", "optional and without a default in keys of changes", "as in keys of copied rows",
        "A fault of theirs.", (("postgres.* (micros|chosen)", ANY, r"key[.]schema[.]fields[.].*[.](optional|default)", ANY, ANY),),
    ),
    Listed(
        "Logical messages in the counts of END", "`io.debezium.…LogicalDecodingMessageId@3927dd0a`", "`LOGICAL_DECODING_MESSAGE`",
        "Theirs is another name each time.", ((POSTGRES, ANY, r"value[.](payload[.])?data_collections[.].*(LogicalDecodingMessageId@.*|LOGICAL_DECODING_MESSAGE)", ANY, ANY),),
    ),
    Listed(
        "Count of an update that writes the same `numeric` of a key in another way (0 as 0.00)", "one event", "two, as if the key had changed",
        "Events are counted before it is known how records write them.",
        ((POSTGRES, "server[.]transaction", r"value[.](payload[.])?(data_collections[.]public[.]wide_decimal_key[.])?event_count", "3", "4"),),
    ),
    Listed(
        "XA transactions of MySQL", "no `transaction`, BEGIN and END", "as of other transactions", "They have a GTID as others do.",
        ((MYSQL, r"server[.][^.]+[.]parent", r"value[.](payload[.])?transaction", "null", ".*total_order.*"), (MYSQL, "server[.]transaction", "message", r"\(missing\)", "(BEGIN|END) .*")),
    ),
    Listed(
        "Dates before 1970 in headers of changed keys, with `time_precision: connect`", "the time alone (`04:05:06.700Z`)", "with the date (`1960-02-03T04:05:06.700Z`)",
        "A fault of Kafka Connect.", ((ANY, r"server[.][^.]+[.]moment_key", r"headers[.]__debezium[.](new|old)key\[1\]", ".*[:](0[04]:0[05]:0[06]).*", ".*19(60|59)-.*"),),
    ),
    Listed(
        "`id` of END on PostgreSQL", "the transaction and the end of its commit record", "the transaction and the beginning of its commit record",
        "The beginning is the position by which everything else here names a commit.",
        ((POSTGRES, "server[.]transaction", r"(key|value)[.](payload[.])?id", ANY, ANY),),
    ),
    Listed(
        "Time of a logical message outside of transactions", "microseconds", "milliseconds", "Such a message has no commit; its moment is kept in milliseconds.",
        ((POSTGRES, "server[.]message", r"value[.](payload[.])?source[.]ts_(us|ns)", ANY, ANY),),
    ),
    Listed(
        "Statements that define nothing (`FLUSH TABLES`)", "a message without changes", "none", "Nobody's tables change.",
        ((MYSQL, "server", "message", "flush .*", r"\(missing\)"),),
    ),
    Listed(
        "`source.table` of a statement with several tables", "by name", "as the statement has them", "It is the order in which they are dropped.",
        ((MYSQL, "server", r"value[.](payload[.])?source[.]table", ANY, ANY),),
    ),
    Listed(
        "`source.snapshot` of changes, where NULL is not replaced by defaults", "null", "`false`", "`false` is what its schema says for null.",
        ((".* (json|micros)", ANY, r"value[.]source[.]snapshot", "null", "false"),),
    ),
    *LISTED_FOR_MARIADB,
]  # fmt: skip
DIFFERENCES = [Difference(*place, listed.what) for listed in LISTED for place in listed.places]


def table() -> str:
    """The list as rows of the page."""
    head = ["| What | Debezium | DeltaForge | Why |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *(f"| {one.what} | {one.theirs} | {one.ours} | {one.why} |" for one in LISTED)]) + "\n"
