"""``deltaforge serve``: the control plane."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
from pathlib import Path

from deltaforge.cli.options import add_state_dir, configure_logging, positive
from deltaforge.kernel import check_kernel

DEFAULT_ENV_PREFIX = "DELTAFORGE_VAR_"
KILL_AFTER_SECS = 5.0
"""How long after its limit a pipeline process that was stopped may still be there."""


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``serve``."""
    parser = verbs.add_parser("serve", help="start the control plane with its REST API")
    parser.add_argument(
        "-c", "--config", metavar="PATH", type=Path, help="document, or a directory searched for *.yaml and *.yml"
    )
    _add_network(parser)
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
        "--allow-code",
        action="store_true",
        help="take code over REST from who has the role admin, such as the SQL that says which rows a snapshot copies",
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


def _add_network(parser: argparse.ArgumentParser) -> None:
    """Where to listen, and for whom. ``docs/security.md`` explains them."""
    parser.add_argument("--api-addr", metavar="HOST:PORT", default="127.0.0.1:8080", help="default: %(default)s")
    parser.add_argument("--metrics-addr", metavar="HOST:PORT", default="127.0.0.1:9000", help="default: %(default)s")
    parser.add_argument(
        "--token-file",
        metavar="PATH",
        type=Path,
        help="file with a token, or with lines role:name:token (read, operate, admin); one token: DELTAFORGE_TOKEN",
    )
    parser.add_argument("--token", type=_refused_token, help=argparse.SUPPRESS)
    parser.add_argument(
        "--insecure", action="store_true", help="allow an address that others can reach without any token"
    )
    parser.add_argument("--tls-cert", metavar="PATH", type=Path, help="certificate chain of both addresses, PEM")
    parser.add_argument("--tls-key", metavar="PATH", type=Path, help="its key, PEM")
    parser.add_argument(
        "--tls-client-ca", metavar="PATH", type=Path, help="authorities of the certificates that clients need, PEM"
    )
    parser.add_argument(
        "--allowed-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name that requests may address; again for more",
    )


def _refused_token(_: str) -> str:
    raise argparse.ArgumentTypeError("everybody on the machine could read it: use --token-file or DELTAFORGE_TOKEN")


def _serve(args: argparse.Namespace) -> int:
    configure_logging(None)
    check_kernel()
    from deltaforge.control.options import ServeOptions
    from deltaforge.runtime.ending import stop_secs_of

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
        allow_code=args.allow_code,
        crash_limit=args.crash_limit,
        crash_window_secs=args.crash_window,
        insecure=args.insecure,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        tls_client_ca=args.tls_client_ca,
        allowed_hosts=tuple(args.allowed_host),
        token=os.environ.get("DELTAFORGE_TOKEN") or None,
        token_file=args.token_file,
        stop_grace_secs=stop_secs_of(os.environ) + KILL_AFTER_SECS,
    )
    gc.disable()  # none of what is imported is garbage
    # By name: the engine does not know the API that is built on it.
    server = importlib.import_module("api.server")
    gc.freeze()
    gc.enable()
    code: int = server.serve(options)
    return code
