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
]  # fmt: skip
