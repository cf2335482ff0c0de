"""What MySQL and MariaDB say when they refuse, as our errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from deltaforge.core.errors import DeltaForgeError, PositionLostError, SourceError

_KINDS = {
    1044: ("permission", "grant SELECT on the database to the user"),
    1045: ("auth", "check user and password in the DSN"),
    1049: ("not_found", "create the database or correct the DSN"),
    1054: ("incompatible", "the server has not got what this version asks it for"),
    1064: ("incompatible", "the server does not understand a statement of this version"),
    1130: ("auth", "let the user log in from this host"),
    1142: ("permission", "grant SELECT to the user"),
    1143: ("permission", "grant SELECT to the user"),
    1193: ("incompatible", "the server has not got what this version asks it for"),
    1227: ("permission", "grant REPLICATION SLAVE, REPLICATION CLIENT on *.* to the user"),
    1251: ("auth", "the server asks for an authentication that this client does not have"),
    1370: ("permission", "grant EXECUTE to the user"),
    1401: ("permission", "grant XA_RECOVER_ADMIN on *.* to the user"),  # of `xa recover`; the text says something else
    1698: ("auth", "check user and password in the DSN"),
    1820: ("auth", "set a new password for the user, and in the DSN"),
    1862: ("auth", "set a new password for the user, and in the DSN"),
    2059: ("auth", "the server asks for an authentication that this client does not have"),
    3118: ("auth", "unlock the account of the user"),
    3159: ("auth", "the server requires TLS: add ?ssl-mode=required to the DSN"),
}


# The server sends one number for whatever ends a dump; the log is not gone in these cases.
_DUMP_ENDS = {
    "same server_uuid/server_id": (
        "connect", "another process reads with the same source id: stop it, or give this source another id",
    ),
    "max_allowed_packet": ("incompatible", "raise max_allowed_packet on the server: an event of the log is larger"),
}  # fmt: skip


def error_of(code: int, text: str, doing: str) -> DeltaForgeError:
    """Our error for an error of the server; its number is ``code`` in the context."""
    if code == 1236:
        for part, (kind, hint) in _DUMP_ENDS.items():
            if part in text:
                return SourceError(f"{doing}: {text} (error {code})", kind=kind, hint=hint, code=code)
        return PositionLostError(
            f"position lost: {text}. Re-snapshot required.",
            hint="delete the pipeline and create it again; keep binary logs longer than the longest stop",
        )
    kind, hint = _KINDS.get(code, ("connect", ""))
    return SourceError(f"{doing}: {text} (error {code})", kind=kind, hint=hint, code=code)


def error_of_packet(payload: bytes, doing: str) -> DeltaForgeError:
    """Our error for the bytes of an error packet, the mark at its beginning included."""
    code = int.from_bytes(payload[1:3], "little")
    text = payload[3:].decode("utf-8", "replace")
    return error_of(code, text[6:] if text.startswith("#") else text, doing)


@contextmanager
def source_errors(doing: str) -> Iterator[None]:
    """Turns PyMySQL's errors into ours."""
    try:
        yield
    except pymysql.err.MySQLError as exc:
        code = exc.args[0] if exc.args and isinstance(exc.args[0], int) else 0
        text = str(exc.args[1]) if len(exc.args) > 1 else str(exc)
        cause = getattr(exc, "original_exception", None)
        if isinstance(cause, ssl.SSLError):
            raise SourceError(f"{doing}: {cause}", kind="incompatible", hint="check ssl-mode and ssl-ca") from exc
        raise error_of(code, text, doing) from exc
    except RuntimeError as exc:  # PyMySQL without the cryptography package
        raise SourceError(f"{doing}: {exc}", kind="auth") from exc
    except OSError as exc:
        raise SourceError(f"{doing}: {exc}", kind="connect") from exc
