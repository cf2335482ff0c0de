"""``deltaforge serve``: the control plane."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

from deltaforge.cli.options import add_state_dir, configure_logging, positive
from deltaforge.core.errors import SpecError

DEFAULT_ENV_PREFIX = "DELTAFORGE_VAR_"
KILL_AFTER_SECS = 5.0
"""How long after its limit a pipeline process that was stopped may still be there."""


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``serve``."""
    parser = verbs.add_parser("serve", help="start the control plane with its REST API")
    parser.add_argument(
        "-c", "--config", metavar="PATH", type=Path, help="document, or a directory searched for *.yaml and *.yml"
    )
    parser.add_argument("--api-addr", metavar="HOST:PORT", default="0.0.0.0:8080", help="default: %(default)s")
    parser.add_argument("--metrics-addr", metavar="HOST:PORT", default="0.0.0.0:9000", help="default: %(default)s")
    parser.add_argument("--storage-backend", choices=("sqlite", "memory", "postgres"), default="sqlite")
    parser.add_argument("--storage-path", type=Path, default=Path("data/deltaforge.db"), help="default: ./%(default)s")
    parser.add_argument("--storage-dsn", metavar="DSN", help="needed with --storage-backend postgres")
    add_state_dir(parser)
    parser.add_argument(
        "--output-dir",
        metavar="DIR",
        type=Path,
        default=Path("output"),
        help="below it file sinks of documents sent over REST may write (default: ./%(default)s)",
    )
    parser.add_argument(
        "--files-dir",
        metavar="DIR",
        type=Path,
        help="below it documents sent over REST may name certificates and the like (default: nowhere)",
    )
    parser.add_argument(
        "--env-prefix",
        metavar="PREFIX",
        type=_prefix,
        default=DEFAULT_ENV_PREFIX,
        help="variables that documents sent over REST may refer to begin with it (default: %(default)s)",
    )
    parser.add_argument(
        "--secrets-dir",
        metavar="DIR",
        type=Path,
        help="below it ${file:NAME} of documents leads; without it, of documents sent over REST, nowhere",
    )
    parser.add_argument(
        "--crash-limit",
        metavar="N",
        type=positive,
        default=8,
        help="ends of a pipeline process within --crash-window that make it failed (default: %(default)s)",
    )
    parser.add_argument(
        "--crash-window", metavar="SECS", type=positive, default=300, help="in seconds (default: %(default)s)"
    )
    token = parser.add_mutually_exclusive_group()
    token.add_argument("--token", help="bearer token that requests must carry; better: DELTAFORGE_TOKEN")
    token.add_argument("--token-file", metavar="PATH", type=Path, help="file that holds the bearer token")
    parser.set_defaults(verb=_serve)


def _own_environment() -> dict[str, str]:
    """The variables for operators' files. Those of libpq are taken out of this process: a server that a document sent
    over REST names must not be given the password of another one.
    """
    from deltaforge.control.environment import NOT_FOR_CLIENTS

    found = dict(os.environ)
    for name in found:
        if name.startswith("PG"):
            del os.environ[name]
    os.environ.update(NOT_FOR_CLIENTS)
    return found


def _prefix(text: str) -> str:
    """A beginning of names that no setting of ours has."""
    if not text.isidentifier() or not text.isascii() or "DELTAFORGE_TOKEN".startswith(text):
        raise argparse.ArgumentTypeError("expected a beginning of names that the names of tokens do not have")
    return text


def _serve(args: argparse.Namespace) -> int:
    configure_logging(None)
    from deltaforge.control.options import ServeOptions
    from deltaforge.runtime.context import stop_secs_of

    options = ServeOptions(
        config=args.config,
        api_addr=args.api_addr,
        metrics_addr=args.metrics_addr,
        storage_backend=args.storage_backend,
        storage_path=args.storage_path,
        storage_dsn=args.storage_dsn,
        state_dir=args.state_dir,
        output_dir=args.output_dir,
        files_dir=args.files_dir,
        environment=_own_environment(),
        env_prefix=args.env_prefix,
        secrets_dir=args.secrets_dir,
        token=_token(args),
        crash_limit=args.crash_limit,
        crash_window_secs=args.crash_window,
        stop_grace_secs=stop_secs_of(os.environ) + KILL_AFTER_SECS,
    )
    # By name: the engine does not know the API that is built on it.
    server = importlib.import_module("api.server")
    code: int = server.serve(options)
    return code


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is not None:
        try:
            found = args.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise SpecError(f"cannot read the token file {args.token_file}") from exc
        if not found:
            raise SpecError(f"the token file {args.token_file} is empty")
        return str(found)
    return args.token or os.environ.get("DELTAFORGE_TOKEN") or None
