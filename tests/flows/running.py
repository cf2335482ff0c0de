"""A dataflow over fakes, run in process."""

import threading
from datetime import timedelta

from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from deltaforge.core.lanes import ONE_LOG
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.dataflow import build_dataflow
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.testing.fakes import fake_spec
from tests.unit.waiting import wait_until


class FakePipeline:
    """One run of a pipeline of fakes; ``reset`` is what it has to carry out."""

    def __init__(self, tmp_path, stream, sinks, *, starts_paused=False, **options):
        self.paths = PipelinePaths(tmp_path, "p")
        self.spec = fake_spec(stream, sinks, **options)
        self.info = RunInfo(self.spec, self.paths, PipelineMetrics("p"), starts_paused=starts_paused)
        self.ending = self.info.ending
        self.running = RunningPipeline(self.info)
        self.reset = None
        self.paths.create()
        if not list(self.paths.recovery.glob("part-*")):
            init_db_dir(self.paths.recovery, 1)

    @property
    def failure(self):
        return self.ending.failure

    @property
    def delivery(self):
        return self.running.delivery


def run(pipeline, *, until, epoch_secs=0.02, workers=1):
    """Run until ``until()`` is true, then stop."""
    failed, ended = [], threading.Event()

    def stop():
        try:
            wait_until(lambda: ended.is_set() or until() or pipeline.failure is not None)
            assert pipeline.failure is not None or until(), "it has ended by itself"
        except AssertionError as error:
            failed.append(error)
        pipeline.ending.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        cli_main(
            build_dataflow(pipeline.running, {ONE_LOG: pipeline.reset} if pipeline.reset else {}),
            epoch_interval=timedelta(seconds=epoch_secs),
            recovery_config=RecoveryConfig(str(pipeline.paths.recovery)),
            workers_per_process=workers,
        )
    finally:
        ended.set()
        thread.join()
    assert not failed, failed
