"""Sinks: put batches somewhere durable, in order."""
