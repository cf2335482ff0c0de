"""Which settings of librdkafka a document may make. Names and aliases: CONFIGURATION.md of librdkafka 2.16.

A setting that is not listed here is refused: some load a library or run a command in our process, some belong to
consumers, and some are how this sink finds out what became of its messages. A test compares the lists with what the
bundled library knows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deltaforge.config.local import LocalUse

_TUNING = """
    acks batch.num.messages batch.size compression.codec compression.level compression.type delivery.timeout.ms
    enable.gapless.guarantee enable.idempotence linger.ms max.in.flight max.in.flight.requests.per.connection
    message.copy.max.bytes message.max.bytes message.send.max.retries message.timeout.ms partitioner
    queue.buffering.backpressure.threshold queue.buffering.max.kbytes queue.buffering.max.messages
    queue.buffering.max.ms queuing.strategy request.required.acks request.timeout.ms retries retry.backoff.max.ms
    retry.backoff.ms sticky.partitioning.linger.ms transaction.timeout.ms transactional.id
"""
_CONNECTION = """
    allow.auto.create.topics api.version.fallback.ms api.version.request api.version.request.timeout.ms
    bootstrap.servers broker.address.family broker.address.ttl broker.version.fallback client.dns.lookup client.id
    client.rack connections.max.idle.ms metadata.broker.list metadata.max.age.ms
    metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy receive.message.max.bytes
    reconnect.backoff.jitter.ms reconnect.backoff.max.ms reconnect.backoff.ms socket.blocking.max.ms
    socket.connection.setup.timeout.ms socket.keepalive.enable socket.max.fails socket.nagle.disable
    socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms topic.blacklist
    topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt topic.metadata.refresh.fast.interval.ms
    topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse
"""
_SECURITY = """
    enable.sasl.oauthbearer.unsecure.jwt enable.ssl.certificate.verification https.ca.pem sasl.kerberos.principal
    sasl.kerberos.min.time.before.relogin sasl.kerberos.service.name sasl.mechanism sasl.mechanisms
    sasl.oauthbearer.assertion.algorithm sasl.oauthbearer.assertion.claim.aud
    sasl.oauthbearer.assertion.claim.exp.seconds sasl.oauthbearer.assertion.claim.iss
    sasl.oauthbearer.assertion.claim.jti.include sasl.oauthbearer.assertion.claim.nbf.seconds
    sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.private.key.passphrase
    sasl.oauthbearer.assertion.private.key.pem sasl.oauthbearer.client.credentials.client.id
    sasl.oauthbearer.client.credentials.client.secret sasl.oauthbearer.client.id sasl.oauthbearer.client.secret
    sasl.oauthbearer.config sasl.oauthbearer.extensions sasl.oauthbearer.grant.type
    sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method sasl.oauthbearer.scope
    sasl.oauthbearer.sub.claim.name sasl.oauthbearer.token.endpoint.url sasl.password sasl.username
    security.protocol ssl.ca.pem ssl.certificate.pem ssl.cipher.suites ssl.curves.list
    ssl.endpoint.identification.algorithm ssl.key.password ssl.key.pem ssl.keystore.password ssl.providers
    ssl.sigalgs.list
"""
_DIAGNOSTICS = """
    debug enable.metrics.push enable.random.seed log.connection.close log.thread.name log_level
    statistics.interval.ms
"""
_PEM_OF_FILE = {
    "https.ca.location": "https.ca.pem",
    "sasl.kerberos.keytab": "",
    "sasl.oauthbearer.assertion.file": "",
    "sasl.oauthbearer.assertion.jwt.template.file": "",
    "sasl.oauthbearer.assertion.private.key.file": "sasl.oauthbearer.assertion.private.key.pem",
    "ssl.ca.location": "ssl.ca.pem",
    "ssl.certificate.location": "ssl.certificate.pem",
    "ssl.crl.location": "",
    "ssl.key.location": "ssl.key.pem",
    "ssl.keystore.location": "ssl.certificate.pem and ssl.key.pem",
}
"""Settings that name a file, and the setting that takes its content instead."""
ALLOWED = frozenset((_TUNING + _CONNECTION + _SECURITY + _DIAGNOSTICS).split()) | _PEM_OF_FILE.keys()
_CODE = "interceptors plugin.library.paths sasl.kerberos.kinit.cmd ssl.engine.id ssl.engine.location"
RUNS_CODE = frozenset(_CODE.split())
"""Settings that load a library or run a command in our process."""
_KERBEROS = "sasl.kerberos."
_KERBEROS_VALUE = re.compile(r"[A-Za-z0-9._@/:-]*")
"""What is safe in the command line of ``kinit``, which librdkafka gives to a shell."""
_PROVIDERS = re.compile(r"[a-z0-9_, ]*")
_OPERATOR_ONLY = {
    "debug": "",
    "log_level": "",
    "ssl.providers": "",
    "sasl.oauthbearer.metadata.authentication.type": "sasl.oauthbearer.method: oidc with a client id and secret",
}
"""Settings that fill our log, choose what is loaded, or lend out the identity of this machine."""
_KERBEROS_MECHANISM = "GSSAPI"
"""Also what librdkafka takes when none is named."""
_PROBE = "probe"
"""The value of ``ssl.ca.location`` that means: wherever the system has them."""
_CLOSE, _LONGEST, _NAMED = 0.6, 60, 20
"""When a name is near, how much of it is compared, and how many are: comparing takes time."""


def texts(settings: Any) -> Any:
    """Client settings as librdkafka wants them: YAML numbers and booleans become text."""
    if not isinstance(settings, dict):
        return settings
    return {
        name: str(value).lower() if isinstance(value, bool | int | float) else value for name, value in settings.items()
    }


def faults_of(client_conf: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Settings that no document may make, each with the reason."""
    named = 0
    for name, value in client_conf.items():
        if name in RUNS_CODE:
            yield name, "is refused: it loads a library or runs a command in the engine's process"
        elif name not in ALLOWED:
            near = difflib.get_close_matches(name[:_LONGEST], sorted(ALLOWED), 1, _CLOSE) if named < _NAMED else []
            named += 1
            yield (
                name,
                "is no setting of a Kafka producer that may be made here" + "".join(f"; near: {x}" for x in near),
            )
        elif name.startswith(_KERBEROS) and not _KERBEROS_VALUE.fullmatch(value):
            yield name, "may hold letters, digits and . _ @ / : - only: it is put into a command"
        elif name == "ssl.providers" and not _PROVIDERS.fullmatch(value):
            yield name, "is a list of provider names, such as default,legacy"


def local_uses_of(client_conf: Mapping[str, str]) -> Iterator[LocalUse]:
    """What the settings name of this machine; see :class:`LocalUse`."""
    for name, value in client_conf.items():
        steps = ("client_conf", name)
        if name.startswith(_KERBEROS):
            yield LocalUse(steps, value, "other")  # kinit is run with it
        elif name in _PEM_OF_FILE and value not in ("", _PROBE):
            yield LocalUse(steps, value, "read", f"PEM text in {_PEM_OF_FILE[name]}" if _PEM_OF_FILE[name] else "")
        elif name in _OPERATOR_ONLY:
            yield LocalUse(steps, value, "other", _OPERATOR_ONLY[name])
    mechanisms = {name: client_conf[name] for name in ("sasl.mechanisms", "sasl.mechanism") if name in client_conf}
    if client_conf.get("security.protocol", "").lower().startswith("sasl_"):
        for name, value in (mechanisms or {"security.protocol": _KERBEROS_MECHANISM}).items():
            if _KERBEROS_MECHANISM in value.upper():
                yield LocalUse(("client_conf", name), value, "other", "another sasl.mechanisms, such as SCRAM-SHA-512")
