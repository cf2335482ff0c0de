"""Copies of tables that are there before the pipeline, into sinks, beside a reader that throws the same rows away.

A copy is timed from the first rows that the sink has acknowledged to the last ones, so that the start of the process is
not in it; its CPU seconds are the process's. The reader frames what the server sends and does nothing else with it: one
statement for each connection, by ranges of the key. The database's CPU seconds are those of all its processes.

``tables``: 200 small ones. ``load``: one large table is copied again and again while rows are written to another at a
steady rate, and their delay is measured by ``benchmarks.latency``'s consumer.
"""
