"""The copying of tables of MySQL and MariaDB: keys, ranges, marks, and the reader of chunks."""
