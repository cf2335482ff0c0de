"""Runs one pipeline in this process: in the foreground, or as the child of a supervisor.

``python -m deltaforge.runtime.launcher --name NAME --state-dir DIR`` runs the document that the
supervisor has put at :attr:`PipelinePaths.document`.
"""

from __future__ import annotations

import gc

gc.disable()  # looks through all that is imported again and again, and none of it is garbage: a tenth of a start

import argparse
import hashlib
import json
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import msgspec

from deltaforge.checkpoint.reset import ResetRequest
from deltaforge.config.known_secrets import KNOWN_SECRETS
from deltaforge.core.errors import DeltaForgeError, SpecError, StorageError
from deltaforge.observability.logging import configure
from deltaforge.observability.metrics import PipelineMetrics
from deltaforge.runtime.cluster import cluster_of
from deltaforge.runtime.ending import CLOSE_SECS, Ending, stop_secs_of
from deltaforge.runtime.flow_run import prepare, run_flow
from deltaforge.runtime.lane_layout import settle_layout
from deltaforge.runtime.outcome import Outcome, read_outcome
from deltaforge.runtime.panics import Panics
from deltaforge.runtime.paths import PipelinePaths
from deltaforge.runtime.resets import new_sinks, resets_of_start
from deltaforge.runtime.run_info import RunInfo
from deltaforge.runtime.running import RunningPipeline
from deltaforge.runtime.status import say_what_was_delivered
from deltaforge.runtime.stop_signals import stop_on_signals
from deltaforge.spec import ParsedDocument, check_new_names, check_supported, load_file, parse_document
from deltaforge.spec.references import with_secret_files
from deltaforge.spec.remote import RemoteRules, read_rules
from deltaforge.spec.secrets import secrets_of

gc.enable()
log = logging.getLogger(__name__)

EPOCH_SECS = 0.5


def run_foreground(document: ParsedDocument, state_dir: Path, storage_path: Path | None = None) -> int:
    """Run one pipeline until it ends or Ctrl-C, with a progress line. Returns the exit code.

    Args:
        document: Of the pipeline.
        state_dir: Of the engine.
        storage_path: Of a control plane that runs this pipeline at other times.

    Raises:
        SpecError: It is new, and its name is none that a new one may have.
    """
    from deltaforge.runtime.progress import Progress

    if not PipelinePaths(state_dir, document.spec.metadata.name).root.exists():
        check_new_names(document.spec)
    pipeline = RunningPipeline(replace(run_info_of(document, state_dir), storage_path=storage_path))
    with Progress(pipeline):
        failure = run(pipeline)
    return _report(failure)


def run_info_of(document: ParsedDocument, state_dir: Path, rules: RemoteRules | None = None) -> RunInfo:
    """The facts of a pipeline that this process is going to run; more of them by ``dataclasses.replace``.

    Args:
        document: Of the pipeline.
        state_dir: Of the engine.
        rules: Of a document that came over the network.

    Raises:
        SpecError: The document asks for something that this version cannot do, or that its rules do not allow.
    """
    check_supported(document.spec)
    name = document.spec.metadata.name
    paths = PipelinePaths(state_dir, name)
    spec = document.spec
    if rules is not None:
        spec, put_in = rules.used(spec, os.environ)
        KNOWN_SECRETS.learn("references", put_in)
    KNOWN_SECRETS.learn(name, secrets_of(spec.model_dump()), shown=json.dumps(spec.echo()))
    return RunInfo(
        spec,
        paths,
        PipelineMetrics(name),
        rules=rules,
        panics=Panics(),
        ending=Ending(stop_secs_of(os.environ) - CLOSE_SECS),
        cluster=cluster_of(spec),
    )


def run(
    pipeline: RunningPipeline, *, lock_descriptor: int | None = None, epoch_secs: float = EPOCH_SECS
) -> DeltaForgeError | None:
    """Run a pipeline until it stops or fails. Returns why it failed, None after a clean stop.

    Args:
        pipeline: Is closed here.
        lock_descriptor: Of the lock file, held already: by the control plane that made this process.
        epoch_secs: Between two barriers.
    """
    prepare()
    from deltaforge.runtime.control_socket import ControlSocket

    info = pipeline.info
    paths, ending = info.paths, info.ending
    try:
        paths.create()
        with (
            info.ownership.held(paths, info.storage_path, lock_descriptor),
            stop_on_signals(ending, paths.outcome),
        ):
            before = read_outcome(paths.outcome)
            paths.outcome.unlink(missing_ok=True)
            resets = resets_of_start(info)
            pipeline.sinks_to_fill = {shard: new_sinks(of_log, "snapshot") for shard, of_log in info.logs().items()}
            socket = ControlSocket(pipeline)
            try:
                settle_layout(info, before)
                log.info("pipeline %s starts", info.name)
                _run_flow(pipeline, resets, epoch_secs)
            except DeltaForgeError as error:
                ending.fail(error)
            finally:
                pipeline.close()
                socket.close()
                say_what_was_delivered(pipeline)
            Outcome.of(ending.failure).write(paths.outcome)
    except DeltaForgeError as error:
        return error
    return ending.failure


def _run_flow(pipeline: RunningPipeline, resets: dict[str, ResetRequest], epoch_secs: float) -> None:
    info = pipeline.info
    if info.cluster.processes == 1:
        run_flow(pipeline, resets, epoch_secs, info.cluster)
        return
    from deltaforge.runtime.members import lead

    lead(pipeline, resets, epoch_secs)


def _report(failure: DeltaForgeError | None) -> int:
    if failure is None:
        return 0
    if failure.kind == "cancelled":
        log.warning("%s", failure)
        return 0
    log.error("pipeline failed (%s): %s", failure.kind, failure)
    return failure.exit_code


def _read_document(path: Path) -> tuple[ParsedDocument, str]:
    try:
        data = path.read_bytes()
        raw = msgspec.json.decode(data)
    except (OSError, msgspec.MsgspecError) as exc:
        raise SpecError(f"document {path} cannot be read: {exc}") from exc
    return parse_document(raw, is_stored=True), hashlib.sha256(data).hexdigest()


def main(argv: list[str] | None = None) -> int:
    """Entry point of a supervised pipeline process."""
    parser = argparse.ArgumentParser(prog="deltaforge.runtime.launcher", description=__doc__)
    parser.add_argument("--name", required=True, help="pipeline name")
    parser.add_argument("--state-dir", type=Path, required=True, help="the engine's state directory")
    parser.add_argument("--document", type=Path, help="document file; default: the one below the state directory")
    parser.add_argument(
        "--storage-path", type=Path, help="SQLite storage of the control plane; default: a file of its own"
    )
    parser.add_argument("--lock-fd", type=int, help="descriptor of the lock file, which the parent has locked for us")
    parser.add_argument("--secrets-dir", type=Path, help="where an operator's ${file:NAME} leads")
    parser.add_argument("--member", type=int, help="run as this member of a cluster; its leader says the rest")
    parser.add_argument("--paused", action="store_true", help="start without reading")
    parser.add_argument("--epoch-secs", type=float, default=EPOCH_SECS, help="checkpoint interval")
    args = parser.parse_args(argv)
    if args.member is not None:
        from deltaforge.runtime.member import run_member

        return run_member(args.name, args.state_dir)
    configure(os.environ, pipeline=args.name)
    paths = PipelinePaths(args.state_dir, args.name)
    try:
        if args.document:
            document, digest, rules = load_file(args.document, dict(os.environ)), "", None
        else:
            document, digest = _read_document(paths.document)
            rules = read_rules(paths.rules)
            if rules is None and args.secrets_dir is not None:
                spec, put_in = with_secret_files(document.spec, args.secrets_dir)
                KNOWN_SECRETS.learn("references", put_in)
                document = replace(document, spec=spec)
        info = replace(
            run_info_of(document, args.state_dir, rules),
            document_sha256=digest,
            storage_path=args.storage_path,
            starts_paused=args.paused,
        )
        return _report(run(RunningPipeline(info), lock_descriptor=args.lock_fd, epoch_secs=args.epoch_secs))
    except DeltaForgeError as error:
        _leave(error, paths)
        return _report(error)


def _leave(error: DeltaForgeError, paths: PipelinePaths) -> None:
    """Tell the supervisor why there is no run, if the state folder takes it."""
    try:
        paths.create()
        Outcome.of(error).write(paths.outcome)
    except (StorageError, OSError) as exc:
        log.warning("the outcome is not left for the supervisor: %s", exc)


if __name__ == "__main__":
    sys.exit(main())
