"""Processors: change, drop or add events between source and sinks."""
