"""Rows that break the definition of their table."""

ZERO = "'0000-00-00'"


def insert_undated(database, rows):
    """Insert into ``orders`` rows whose ``day``, declared NOT NULL, arrives as null, in one transaction.

    MySQL logs the zero date. PostgreSQL takes nulls while the declaration is away; a reader that comes to know
    the table after the commit has the declaration again. The rows are deleted in the same transaction.

    Args:
        database: Of a test server.
        rows: Of ``values``, with ``{day}`` where the date belongs.
    """
    with database.connect() as connection, connection.cursor() as cursor:
        if database.server.scheme == "mysql":
            cursor.execute("set sql_mode = ''")
            cursor.execute(f"insert into orders values {rows.format(day=ZERO)}")
            return
        cursor.execute("begin")
        cursor.execute("alter table orders alter day drop not null")
        cursor.execute(f"insert into orders values {rows.format(day='null')}")
        cursor.execute("delete from orders where day is null")
        cursor.execute("alter table orders alter day set not null")
        cursor.execute("commit")
