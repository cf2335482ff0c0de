"""DeltaForge beside Debezium: the same rows, the same database server, the same broker, one after the other.

Drain: every contender is started once, so that its position is saved, and stopped. The backlog is written, and each
drains it in turn into a topic of its own; who is first changes from round to round. An observer, the same for all, asks
the broker every 40 ms for the end of the topic, and the kernel for CPU time and memory of the process tree. The rate is
taken from the first message it sees to the last: starting Python or a JVM is not in it. CPU seconds are given twice,
from the start of the process on and over the second half of the rows ("warm"), when most of the JVM's code is compiled.
A topic that does not hold every change exactly once is an error.

Latency: each contender alone at a steady rate, with the writer and the consumer of ``benchmarks.latency``.

The messages are schemaless JSON with full ``before`` and ``after`` (``replica identity full`` on PostgreSQL).
"""
