"""A dataflow over fakes, run in process."""

import threading
from datetime import timedelta

from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.context import PipelineContext
from deltaforge.runtime.dataflow import build_dataflow
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.testing.fakes import fake_spec
from tests.unit.waiting import wait_until


def context_of(tmp_path, stream, sinks, **options):
    context = PipelineContext(fake_spec(stream, sinks, **options), PipelinePaths(tmp_path, "p"), PipelineMetrics("p"))
    context.paths.create()
    if not list(context.paths.recovery.glob("part-*")):
        init_db_dir(context.paths.recovery, 1)
    return context


def run(context, *, until, epoch_secs=0.02, workers=1):
    """Run until ``until()`` is true, then stop."""
    failed = []

    def stop():
        try:
            wait_until(lambda: until() or context.failure is not None)
        except AssertionError as error:
            failed.append(error)
        context.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        cli_main(
            build_dataflow(context),
            epoch_interval=timedelta(seconds=epoch_secs),
            recovery_config=RecoveryConfig(str(context.paths.recovery)),
            workers_per_process=workers,
        )
    finally:
        thread.join()
    assert not failed, failed
