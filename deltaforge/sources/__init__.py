"""Sources: read a database's log and turn it into batches of change events."""
