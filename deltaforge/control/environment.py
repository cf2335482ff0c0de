"""What a pipeline process gets of the environment of the control plane: what it needs, and no more."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
        # What the interpreter and its libraries need to start at all.
        *("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "PYTHONUTF8", "PYTHONFAULTHANDLER", "PYTHONWARNINGS"),
        *("MALLOC_ARENA_MAX", "MALLOC_CONF", "LD_PRELOAD", "KRB5_CONFIG", "KRB5CCNAME"),
        *(
            "DELTAFORGE_KILL_POINT",
            "DELTAFORGE_LOG",
            "DELTAFORGE_LOG_FORMAT",
            "DELTAFORGE_PURE",
            "DELTAFORGE_STOP_SECS",
        ),
        "RUST_LOG",
    }
)
_BEGINNINGS = ("LC_",)
NOT_FOR_CLIENTS = {"PGPASSFILE": "/nonexistent", "PGSSLCERT": "/nonexistent"}
"""Keeps libpq from the password file and the certificate in the home folder: a document sent over REST would log in by
them. A DSN that names them has them.
"""


def child_environment(env: Mapping[str, str], env_prefix: str) -> dict[str, str]:
    """The environment of a pipeline process.

    Args:
        env: Of the control plane, with its token and whatever else the operator has set.
        env_prefix: Beginning of the names of variables that documents may refer to.
    """
    beginnings = (*_BEGINNINGS, env_prefix)
    kept = {name: value for name, value in env.items() if name in _NAMES or name.startswith(beginnings)}
    return {**kept, **NOT_FOR_CLIENTS, "RUST_BACKTRACE": "0"}
