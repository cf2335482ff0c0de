"""A ``redis`` sink: the server, the right to add, and what becomes of what was added."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deltaforge.core.routing import Destination
from deltaforge.doctor.finding import Check, Notes, Subject
from deltaforge.doctor.templates import note_template
from deltaforge.sinks.redis import RedisSinkConfig
from deltaforge.sinks.redis_client import asked

if TYPE_CHECKING:
    from redis import Redis

CHECKS = {
    "redis.connect": Check(
        "the server answers and lets the user in",
        "as the message says: address, user, password, `redis://` or `rediss://`",
    ),
    "redis.version": Check("Redis 5 or newer, which has streams", "upgrade the server"),
    "redis.cluster": Check("the server is none of a cluster", "give the sink a server that is not in a cluster"),
    "redis.write": Check(
        "the server takes new entries from this user",
        "as the message says; rights: `acl setuser … +xadd ~stream`, a replica: lead the URI to the master",
    ),
    "redis.type": Check("the stream is a stream, or is not there", "name another `stream`, or delete that key"),
    "redis.eviction": Check(
        "the server does not throw streams away when it is full", "`config set maxmemory-policy noeviction`"
    ),
    "redis.durability": Check(
        "the server writes entries to disk (`appendonly yes`)",
        "`config set appendonly yes`, and `appendfsync always` if no acknowledged entry may be lost",
    ),
    "redis.key": Check(
        "the key of every change of a row is the same, also of its delete",
        "leave `key` out, or use a field that deletes have",
    ),
}

_TEMPLATE = re.compile(r"\$\{[^}]*\}")
_OLDEST = 5


def where(config: RedisSinkConfig) -> str:
    """The address of the server."""
    return urlsplit(config.uri.get_secret_value()).netloc.rpartition("@")[2] or "local socket"


def examine(subject: Subject, config: RedisSinkConfig, notes: Notes) -> None:
    """Ask the server of a sink."""
    note_template(notes, "redis.key", "key", config.key)
    secs = min(subject.patience_secs / 2, config.connect_timeout_secs)
    patient = config.model_copy(update={"connect_timeout_secs": secs, "send_timeout_secs": secs})
    client = notes.result_of("redis.connect", lambda: patient.connected("deltaforge-doctor"))
    if client is None:
        return
    try:
        notes.ok("redis.connect", f"the server answers at {notes.where}")
        _server(notes, client)
        _stream(notes, client, config)
    finally:
        client.close()


def _server(notes: Notes, client: Redis) -> None:
    from redis.exceptions import NoPermissionError

    with notes.of("redis.version"):
        try:
            with asked("ask redis about itself"):
                facts = client.info()
        except NoPermissionError:
            return  # the sink does not need to know either
        version = str(facts.get("redis_version", ""))
        if version.split(".", maxsplit=1)[0].isdigit() and int(version.split(".", maxsplit=1)[0]) < _OLDEST:
            notes.error("redis.version", f"the server is Redis {version}")
        else:
            notes.ok("redis.version", f"Redis {version}")
        if facts.get("redis_mode") == "cluster":
            notes.error("redis.cluster", "the server is part of a cluster: the sink follows no redirections")
        policy = str(facts.get("maxmemory_policy", "noeviction"))
        if facts.get("maxmemory") and policy.startswith("allkeys"):
            notes.warn("redis.eviction", f"maxmemory-policy is {policy}: a full server throws whole streams away")
        if not facts.get("aof_enabled"):
            notes.warn("redis.durability", "appendonly is no: acknowledged entries may be lost when the server dies")
        else:
            notes.ok("redis.durability", "the server writes entries to disk")


def _stream(notes: Notes, client: Redis, config: RedisSinkConfig) -> None:
    """Entry 0-0 is refused for its id, which says that nothing else stands in its way: nothing is written.

    Source: ``t_stream.c``, ``xaddGenericCommand``: the id is looked at before the stream is made.
    """
    from redis.exceptions import NoPermissionError, ResponseError

    fixed = Destination(config.stream, "stream").fixed
    stream = fixed or _TEMPLATE.sub("x", config.stream)
    with notes.of("redis.write"), asked("add to redis"):
        try:
            client.xadd(stream, {"df-event": ""}, id="0-0")
        except NoPermissionError:
            if fixed is None:
                notes.warn("redis.write", f"the user may not add to stream {stream}, one of {config.stream}")
                return
            raise
        except ResponseError as reply:
            if "must be greater than 0-0" not in str(reply):
                raise
        notes.ok("redis.write", f"the user may add to stream {stream}")
    if fixed is None:
        return
    try:
        kind = bytes(client.type(fixed)).decode()  # type: ignore[arg-type]  # not decoded: see the client's settings
    except ResponseError:
        return  # the user may not ask
    if kind not in ("stream", "none"):
        notes.error("redis.type", f"key {fixed} is a {kind}, not a stream")
