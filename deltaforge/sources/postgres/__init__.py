"""Read a PostgreSQL database through logical replication."""
