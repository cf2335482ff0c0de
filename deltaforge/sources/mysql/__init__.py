"""Read a MySQL or MariaDB database through its binary log."""
