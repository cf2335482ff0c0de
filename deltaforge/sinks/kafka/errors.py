"""What librdkafka's errors are to us, by their names."""

from __future__ import annotations

from typing import NamedTuple

from deltaforge.core.errors import SinkError

_KINDS = {
    "auth": ("_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM",
             "ILLEGAL_SASL_STATE", "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED",
             "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"),
    "incompatible": ("INVALID_TRANSACTION_TIMEOUT", "UNSUPPORTED_VERSION", "_UNSUPPORTED_FEATURE"),
    "connect": ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE"),
    "timeout": ("_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "REQUEST_TIMED_OUT"),
    "fatal": ("_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"),
    "serialization": ("MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"),
    "routing": ("_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "UNKNOWN_TOPIC_OR_PART", "TOPIC_EXCEPTION"),
}  # fmt: skip
KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_ABOUT_TOPIC = {
    "_UNKNOWN_TOPIC": "has no topic ",
    "UNKNOWN_TOPIC_OR_PART": "has no topic ",
    "_UNKNOWN_PARTITION": "has lost a partition of topic ",
    "TOPIC_AUTHORIZATION_FAILED": "did not let us use topic ",
}
_CREATE = "create the topic, or let the brokers create topics (auto.create.topics.enable)"
_HINTS = {
    "MSG_SIZE_TOO_LARGE": "raise message.max.bytes in client_conf and max.message.bytes of the topic",
    "INVALID_TRANSACTION_TIMEOUT": "the broker's transaction.max.timeout.ms is below transaction.timeout.ms",
    "_UNKNOWN_TOPIC": _CREATE,
    "UNKNOWN_TOPIC_OR_PART": _CREATE,
    "_UNKNOWN_PARTITION": f"if it was deleted: {_CREATE}",
    "TOPIC_AUTHORIZATION_FAILED": "give the user Write and Describe on the topic, and Create if it is to be made",
}


def kind_of(name: str) -> str:
    """The kind of our error for the name of one of librdkafka's."""
    return KIND_OF.get(name, "io")


class StalledError(SinkError):
    """No progress for too long; the messages still wait in the producer."""


class Sent(NamedTuple):
    """What is known of a message that failed: enough to find it again among those that were sent."""

    topic: str
    key: bytes | None
    value: bytes | None

    @property
    def size(self) -> int:
        """Of what counts most in it."""
        return len(self.key or b"") + len(self.value or b"")


class FailedError(SinkError):
    """A message, or the whole producer, failed for good.

    Attributes:
        sent: The message, if it was one.
        index: The place of its event, if the producer did not even take it, has no other message of that event, and is
            as good as before.
        is_alone: Whether no other message failed like it: then it was the only one in its request.
    """

    is_alone = True

    def __init__(  # noqa: PLR0913 - all that is known of a failure
        self,
        name: str,
        text: str,
        sent: Sent | None,
        *,
        topic: str = "",
        index: int | None = None,
        what: str = "take a message",
    ) -> None:
        # Named where it is what has to be mended, and only there: it may be made of a row's values.
        topic = sent.topic if sent is not None else topic
        about = _ABOUT_TOPIC.get(name) if topic else None
        super().__init__(
            f"kafka {f'did not {what}' if about is None else about + topic}: {text} ({name})",
            kind=kind_of(name),
            hint=_HINTS.get(name, ""),
        )
        self.sent = sent
        self.index = index
