"""The control plane process: REST on one address, metrics on another, a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

from quart import Quart

from api.address import Address, resolve
from api.app import create_app, create_metrics_app
from api.guard import Guard, host_names
from api.listener import Listener
from api.tls import CHECK_SECS, Certificate, certificate_of
from deltaforge.control.audit import AuditLog
from deltaforge.control.metrics import ControlMetrics
from deltaforge.control.options import ServeOptions
from deltaforge.control.ownership import owned_storage
from deltaforge.control.service import PipelineService
from deltaforge.control.tokens import Tokens
from deltaforge.core.errors import DeltaForgeError, SpecError
from deltaforge.storage.backends import open_storage

log = logging.getLogger(__name__)

EXIT_BY_SIGNAL = 128
"""Added to the number of the signal, as shells do."""


def serve(options: ServeOptions) -> int:
    """Run until SIGTERM or SIGINT; pipelines are then stopped in good order. Returns the exit code.

    Raises:
        SpecError: An address, a token, a certificate, the storage, or a document of ``--config`` is wrong; or others
            could reach the server without a token.
    """
    return asyncio.run(_serve(options))


async def _serve(options: ServeOptions) -> int:
    tokens = Tokens(options.token, options.token_file)
    addresses = [resolve(text) for text in (options.api_addr, options.metrics_addr) if text]
    check_exposure(addresses, options, tokens)
    certificate = certificate_of(options)
    storage = open_storage(options.storage_backend, options.storage_path, options.storage_dsn)
    try:
        with owned_storage(storage, options):
            service = PipelineService(storage, options)
            guard = Guard(
                tokens, host_names([*options.allowed_hosts, *([] if tokens else [a.host for a in addresses])])
            )
            apps = _apps(service, guard, AuditLog(options.state_dir / "audit"))
            context = certificate.context if certificate else None
            listeners = [Listener(app, address, context) for app, address in zip(apps, addresses, strict=False)]
            return await _run(service, listeners, certificate, options)
    finally:
        storage.close()


async def _run(
    service: PipelineService, listeners: list[Listener], certificate: Certificate | None, options: ServeOptions
) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, number, ended, options.stop_grace_secs)
    try:
        async with asyncio.TaskGroup() as tasks:
            for listener in listeners:
                tasks.create_task(listener.run(ended))
            if certificate is not None:
                tasks.create_task(_follow(certificate, ended))
            tasks.create_task(service.open())
    except* DeltaForgeError as group:
        raise group.exceptions[0] from None
    finally:
        ended.set()
        await service.close()
    return 0


def _apps(service: PipelineService, guard: Guard, audit: AuditLog) -> list[Quart]:
    metrics = ControlMetrics(service)
    return [
        create_app(service, guard=guard, metrics=metrics, audit=audit),
        create_metrics_app(service, metrics, guard=guard, audit=audit),
    ]


async def _follow(certificate: Certificate, ended: asyncio.Event) -> None:
    while not ended.is_set():
        certificate.follow_files()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), CHECK_SECS)


def check_exposure(addresses: list[Address], options: ServeOptions, tokens: Tokens) -> None:
    """Nobody else reaches the server by accident.

    Raises:
        SpecError: Others can, and neither a token nor ``insecure`` was given.
    """
    for address in addresses:
        if address.is_loopback:
            continue
        if not tokens and not options.insecure:
            raise SpecError(
                f"others can reach {address}, and there is no token",
                hint="give --token-file or DELTAFORGE_TOKEN, or --insecure to let everybody in",
            )
        if not tokens:
            log.warning("everybody who can reach %s may do everything: there is no token", address)
        elif options.tls_cert is None:
            log.warning("tokens come to %s in the clear: there is no TLS, see --tls-cert", address)


def _end(number: int, ended: asyncio.Event, secs: float) -> None:
    """The first signal: stop everything. The second: do not wait for it."""
    if ended.is_set():
        log.warning("ended at once: pipelines that were asked to stop end by themselves")
        os._exit(EXIT_BY_SIGNAL + number)
    how = "press Ctrl-C again" if number == signal.SIGINT else "signal it again"
    log.warning("stopping every pipeline: up to %g s; %s to end now", secs, how)
    ended.set()
