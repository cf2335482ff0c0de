"""What is not the same on MariaDB alone, whose connector is compared in version 3.5."""

from tests.compat.listed import ANY, IMAGE, MARIADB, Listed, column

CHANGE = r"value[.](payload[.])?tableChanges.*[.]"
LISTED_FOR_MARIADB = [
    Listed(
        "`uuid` of MariaDB that ends with a zero byte", "moved to the right in changes, with zeros before it: `00123e45-…`", "as it is",
        "A fault of theirs: the log leaves zeros at the end out.",
        ((MARIADB, ANY, IMAGE + "identity", "00123e45-67e8-9b12-d3a4-564266141740", "123e4567-e89b-12d3-a456-426614174000"),),
    ),
    Listed(
        "`json` of MariaDB", "of the type `JSON` where the connector has read it in DDL, `LONGTEXT` and a text without a name where it has read the catalog",
        "`LONGTEXT` and a text without a name",
        "That is what it is. A restart of theirs changes the schema.",
        ((MARIADB, ANY, CHANGE + "columns[.]extra[.](jdbcType|typeName|typeExpression|charsetName)", ANY, ANY), *column(MARIADB, "orders", "extra")),
    ),
    Listed(
        "Comments of MariaDB's tables and columns", "in schemas, and in schema changes, whatever `include.schema.comments` says", "none",
        "The property is off by default, and has an effect in their other connectors.",
        ((MARIADB, ANY, CHANGE + "(table[.]|columns[.][^.]+[.])comment", ANY, "null"),
         (MARIADB, ANY, r"value[.]schema[.]fields[.].*[.]doc", ANY, r"\(missing\)"), (MARIADB, ANY, r"(value[.]schema|subject.*)[.]fields[.].*", ".*connect.doc.*", ANY)),
    ),
    Listed(
        "Transactions of DDL on MariaDB", "BEGIN of each statement, which no END follows; a `TRUNCATE` has a number in it", "none",
        "A statement is no transaction: their other connectors do not write it.",
        ((MARIADB, r"server[.]transaction", "message", "BEGIN .*", r"\(missing\)"),
         (MARIADB, ANY, r"value[.](payload[.])?transaction", ".*total_order.*", "null")),
    ),
    Listed(
        "END of XA transactions on MariaDB", "none", "there, as of every other transaction", "A fault of theirs: a reader waits for it for ever.",
        ((MARIADB, "server[.]transaction", r"(key|value)[.](payload[.])?id", ANY, ANY), (MARIADB, "server[.]transaction", r"value[.](payload[.])?status", "BEGIN", "END"),
         (MARIADB, "server[.]transaction", r"value[.](payload[.])?(event_count|data_collections)", "null", ANY), (MARIADB, "server[.]transaction", "message", r"\(missing\)", "END.*")),
    ),
    Listed(
        "`CREATE OR REPLACE TABLE` of MariaDB", "passed over where the table is there: its rows are read as those of the one before", "a new definition",
        "A fault of theirs: values come under the wrong names.",
        ((MARIADB, "server", r"value[.](payload[.])?tableChanges\[0\]", r"\(missing\)", ".*made_again.*"), (MARIADB, r"server[.]the_db[.]made_again(-value|-key)?", ANY, ANY, ANY)),
    ),
    Listed(
        "`charsetName` of MariaDB's columns that name a collation alone", "the character set of the table", "that of the collation", "A fault of theirs.",
        ((MARIADB, "server", CHANGE + "columns[.]a[.]charsetName", "utf8mb4", "utf8mb3"),),
    ),
    Listed(
        "`ADD COLUMN IF NOT EXISTS` of a column that is there", "as if it was added: its default is gone", "nothing has changed", "A fault of theirs.",
        ((MARIADB, "server", CHANGE + "columns[.]w[.]defaultValueExpression", "null", "3"), (MARIADB, r"server[.]the_db[.]two_domains(-value)?", r"(value[.]schema|subject.*)[.]fields[.].*", ANY, ANY)),
    ),
    Listed(
        "Width of MariaDB's integers in `__debezium.source.column.length`", "as the table was declared first", "missing in rows that come at once after DDL", "`int(11)` holds what `int` does.",
        ((MARIADB, ANY, r".*parameters[.]__debezium[.]source[.]column[.]length", "[0-9]+", r"\(missing\)"),),
    ),
]  # fmt: skip
