"""Connection strings of MySQL and MariaDB: ``mysql://user:password@host:port/database?ssl-mode=…``."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from deltaforge.core.errors import SpecError

PORT = 3306
SCHEMES = ("mysql", "mariadb")
FILE_PARAMETERS = ("ssl-ca", "ssl-cert", "ssl-key")
PARAMETERS = ("ssl-mode", *FILE_PARAMETERS)
_HINT = (
    "write mysql://user:password@host:3306/database, an IPv6 host in brackets; : / ? # @ % of user and password are"
    " percent-encoded (%40 for @)"
)


class Dsn(msgspec.Struct, frozen=True):
    """The parts of a connection string. ``parameters`` are some of :data:`PARAMETERS`."""

    host: str
    port: int
    user: str
    password: str
    parameters: dict[str, str]

    def __repr__(self) -> str:
        return f"Dsn({self.host}:{self.port})"


def read_dsn(text: str) -> Dsn:
    """Take a connection string apart. The password ends at the last ``@`` before the parameters.

    Raises:
        SpecError: It is none, or has a parameter that is not known. The message holds no part of a password.
    """
    scheme, _, rest = text.partition("://")
    place, _, query = rest.partition("?")
    login, _, place = place.rpartition("@")
    user, _, password = login.partition(":")
    try:
        url = urlsplit(f"//{place}")
        host, port = url.hostname, url.port or PORT
    except ValueError:  # also of a port that is a piece of a password
        host, port = None, PORT
    if scheme not in SCHEMES or not host or "@" in query or "#" in rest:
        raise SpecError("the MySQL DSN cannot be read", hint=_HINT)
    parameters = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=True).items()}
    unknown = [name for name in parameters if name not in PARAMETERS]
    if unknown:
        text = f"the MySQL DSN has unknown parameters: {', '.join(unknown)}"
        raise SpecError(text, hint=f"known: {', '.join(PARAMETERS)}")
    return Dsn(host, port, unquote(user), unquote(password), parameters)
