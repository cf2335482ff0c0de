"""Copying the tables of a PostgreSQL publication."""
