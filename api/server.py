"""The control plane process: REST on one address, metrics on another, a graceful end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from quart import Quart, Response

from api.app import create_app
from deltaforge.control.metrics import ControlMetrics
from deltaforge.control.options import ServeOptions
from deltaforge.control.ownership import owned_storage
from deltaforge.control.service import PipelineService
from deltaforge.core.errors import DeltaForgeError, SpecError
from deltaforge.storage.base import Storage, open_storage

log = logging.getLogger(__name__)

EXIT_BY_SIGNAL = 128
"""Added to the number of the signal, as shells do."""


def serve(options: ServeOptions) -> int:
    """Run until SIGTERM or SIGINT; pipelines are then stopped in good order. Returns the exit code.

    Raises:
        SpecError: An address, the storage, or a document of ``--config`` is wrong.
    """
    return asyncio.run(_serve(options))


async def _serve(options: ServeOptions) -> int:
    storage = open_storage(options.storage_backend, options.storage_path, options.storage_dsn)
    try:
        with owned_storage(storage, options):
            return await _serve_owned(storage, options)
    finally:
        storage.close()


async def _serve_owned(storage: Storage, options: ServeOptions) -> int:
    service = PipelineService(storage, options)
    metrics = ControlMetrics(service)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _end, number, ended, options.stop_grace_secs)
    servers = [_listen(create_app(service, token=options.token, metrics=metrics), options.api_addr, ended)]
    if options.metrics_addr:
        servers.append(_listen(_metrics_app(metrics), options.metrics_addr, ended))
    try:
        async with asyncio.TaskGroup() as tasks:
            for server in servers:
                tasks.create_task(server)
            tasks.create_task(service.open())
    except* DeltaForgeError as group:
        raise group.exceptions[0] from None
    finally:
        ended.set()
        await service.close()
    return 0


def _end(number: int, ended: asyncio.Event, secs: float) -> None:
    """The first signal: stop everything. The second: do not wait for it."""
    if ended.is_set():
        log.warning("ended at once: pipelines that were asked to stop end by themselves")
        os._exit(EXIT_BY_SIGNAL + number)
    how = "press Ctrl-C again" if number == signal.SIGINT else "signal it again"
    log.warning("stopping every pipeline: up to %g s; %s to end now", secs, how)
    ended.set()


async def _listen(app: Quart, address: str, ended: asyncio.Event) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SpecError(f"address {address!r} is not host:port")
    config = Config()
    config.bind = [address]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.graceful_timeout = 2.0
    try:
        await hypercorn_serve(app, config, shutdown_trigger=ended.wait)
    except OSError as exc:
        raise SpecError(f"cannot listen on {address}: {exc.strerror or exc}", hint="choose another address") from exc


def _metrics_app(metrics: ControlMetrics) -> Quart:
    app = Quart("deltaforge-metrics")

    @app.get("/metrics")
    async def text() -> Response:
        return Response(await metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return app
