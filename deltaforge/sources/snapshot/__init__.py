"""Copies of the rows that were there before the log, merged into it: chunks marked by what they can have seen."""
