"""PostgreSQL logical replication messages (pgoutput)."""
