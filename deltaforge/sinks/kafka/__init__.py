"""The ``kafka`` sink: one message per event, through an idempotent producer.

Delivery: at least once, in order. A batch is acked when the broker has acknowledged every message
of it with ``acks=all``. A duplicate is the same message, with the same event id, once more: after a
restart, or after an error that the client could not mend. Needs Kafka 0.11 or later.

The key is the primary key as JSON, so all changes of a row share a partition; an update that changed
the key goes by the new key. Rows without a key have the idempotency key.

Order over an outage: requests that went out before it may still be under way when a new connection
is up. Only the producer that sent them can tell the broker that they are old. So an outage does not
end the producer: messages have no time limit in it, ``flush`` reports the outage after
``send_timeout_secs``, and the batches that the caller writes again are recognized as those that
still wait in the producer. A producer whose messages failed is thrown away with all it holds.

With ``exactly_once``: no gap and no duplicate for readers with ``isolation.level=read_committed``, over
any crash. All batches between two flushes are one Kafka transaction, and a record of how far the
source is is committed with them, on a compacted topic ``__deltaforge_positions.<transactional.id>``
that the sink creates. At the start it is read back and wins over the saved position. A second instance
fences the first, which fails. Readers with ``read_uncommitted`` see what was aborted, too. Needs the
rights on the ``transactional.id``, and to write, read and create (or find) that topic.
"""

from deltaforge.sinks.kafka.config import KafkaSinkConfig
from deltaforge.sinks.kafka.spec import KafkaSinkSpec

__all__ = ["KafkaSinkConfig", "KafkaSinkSpec"]
