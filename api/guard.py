"""What every request has to pass before its handler sees it: host, origin, token and role, form."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from quart import Quart, Response, g, request

from api.access import PUBLIC, ROLES, route_of
from api.errors import error_body, unauthorized
from api.operations import OPERATIONS
from deltaforge.control.tokens import Role, Token, Tokens
from deltaforge.core.errors import SpecError

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_MAX_QUERY_BYTES = 4096
_FORM_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""What a page of another site can send without being asked whether it may."""
_EMPTY_BODIES = (b"", b"{}", b"null")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

Refusal = tuple[Response, int]


@dataclass(frozen=True)
class Guard:
    """Who may ask what.

    Attributes:
        tokens: Without any, everybody who reaches the server may do everything.
        hosts: Names that requests may address besides addresses and ``localhost``. With tokens and no names, any:
            a page that makes its own name point to us has no token.
    """

    tokens: Tokens = field(default_factory=Tokens)
    hosts: frozenset[str] = frozenset()

    def install(self, app: Quart) -> None:
        """Check the requests of an application, and put the headers that browsers obey on its answers."""
        app.before_request(self.check)
        app.after_request(_secured)

    async def check(self) -> Refusal | None:
        """The refusal of the present request; None: its handler may have it.

        Raises:
            SpecError: Its query or the form of its body is not understood.
        """
        refused = self._check_site() or self._check_token()
        if refused is None and request.url_rule is not None:
            await _check_form(route_of(request.method, request.url_rule))
        return refused

    def _check_site(self) -> Refusal | None:
        if not self._knows_host(request.headers.get("Host")):
            hint = "address the server by its IP address or start it with --allowed-host"
            return error_body(403, "HOST_NOT_ALLOWED", f"the host that the request names is not ours: {hint}")
        if request.method in SAFE:
            return None
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
        is_ours = origin is None or origin.lower() in _origins(request.headers.get("Host", ""))
        if is_ours and site in ("same-origin", "none"):
            return None
        return error_body(403, "CROSS_SITE", "a page of another site must not change anything here")

    def _knows_host(self, given: str | None) -> bool:
        if given is None or (self.tokens and not self.hosts):
            return True  # browsers always send one
        name = _host_name(given)
        return _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in self.hosts

    def _check_token(self) -> Refusal | None:
        route = route_of(request.method, request.url_rule)
        if not self.tokens:
            g.is_trusted = True
            return None
        token = self._token()
        g.token, g.is_trusted = token, token is not None
        if route == PUBLIC:
            return None
        if token is None:
            return unauthorized()
        needed = ROLES.get(route, Role.READ if not route else None)
        if needed is not None and token.role >= needed:
            return None
        return forbidden(needed or Role.ADMIN)

    def _token(self) -> Token | None:
        given = request.headers.getlist("Authorization")
        scheme, _, text = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        found = self.tokens.find(text.strip())
        return found if scheme.lower() == "bearer" else None


def forbidden(needed: Role, what: str = "this") -> Refusal:
    """The refusal of a request that needs a higher role."""
    answer = error_body(403, "FORBIDDEN", f"{what} needs the role {needed.name.lower()}")
    answer[0].headers["WWW-Authenticate"] = 'Bearer realm="deltaforge", error="insufficient_scope"'
    return answer


async def _check_form(route: str) -> None:
    """Query and body as the route takes them.

    Raises:
        SpecError: Something that it does not take.
    """
    operation = OPERATIONS.get(route)
    if operation is None:
        return
    _check_query({p.name: p.schema.get("type") == "array" for p in operation.query})
    if request.method in SAFE:
        return
    if request.mimetype in _FORM_TYPES:
        raise SpecError(
            f"content type is {request.mimetype}, expected application/json",
            hint="send the header Content-Type: application/json",
        )
    if operation.body is None and (await request.get_data()).strip() not in _EMPTY_BODIES:
        raise SpecError("this takes no body")


def _check_query(known: dict[str, bool]) -> None:
    if len(request.query_string) > _MAX_QUERY_BYTES:
        raise SpecError(f"the query is longer than {_MAX_QUERY_BYTES} bytes")
    for key, values in request.args.lists():
        if key not in known:
            takes = f"known are {', '.join(known)}" if known else "none is known here"
            raise SpecError(f"unknown query parameter {key[:64]!r}; {takes}")
        if len(values) > 1 and not known[key]:
            raise SpecError("given more than once", path=key)


async def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def host_names(names: Iterable[str]) -> frozenset[str]:
    """Names as they are compared with the ``Host`` of a request."""
    return frozenset(_host_name(name) for name in names)


def is_trusted() -> bool:
    """Whether who sent the present request may see details."""
    return bool(g.get("is_trusted", False))


def may(role: Role) -> bool:
    """Whether who sent the present request may do what needs a role: where its body, not its route, asks for more."""
    token: Token | None = g.get("token")
    return is_trusted() and (token is None or token.role >= role)


def _host_name(given: str) -> str:
    name = given.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.count(":") == 1 else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _origins(host: str) -> tuple[Any, ...]:
    """Origins of our own pages. A proxy in front of us may speak TLS where we do not."""
    return (f"http://{host.lower()}", f"https://{host.lower()}")
