"""MySQL and MariaDB binary log events."""
