"""Where a server listens, and who can reach it there."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from deltaforge.core.errors import SpecError

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^\s\[\]]+)):(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True)
class Address:
    """An address that was resolved: what is judged is what is listened on.

    Attributes:
        host: As it was given, without brackets.
        ip: What it resolved to.
        port: 0: any free one.
        family: Of the socket.
        sockaddr: For ``bind``.
    """

    host: str
    ip: str
    port: int
    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        ip = ipaddress.ip_address(self.ip.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        return bool((mapped or ip).is_loopback)

    def listen(self) -> socket.socket:
        """A socket that listens there.

        Raises:
            SpecError: It cannot; says why.
        """
        listening = socket.socket(self.family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(self.sockaddr)
            listening.setblocking(False)
        except OSError as exc:
            listening.close()
            reason = exc.strerror or exc
            raise SpecError(f"cannot listen on {self}: {reason}", hint="choose another address") from exc
        return listening

    def at(self, port: int) -> str:
        """The address with the port that was got in the end."""
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"

    def __str__(self) -> str:
        return self.at(self.port)


def resolve(text: str) -> Address:
    """``host:port``, ``[IPv6]:port`` or ``IPv6:port``, resolved; IPv4 is preferred where a name has both.

    Raises:
        SpecError: It is none, or the name is not known.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 0xFFFF:
        raise SpecError(f"address {text!r} is not host:port", hint="such as 127.0.0.1:8080, or [::1]:8080")
    host, port = match["v6"] or match["host"], int(match["port"])
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise SpecError(f"address {text!r}: the name {host!r} is not known") from exc
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    family, _, _, _, sockaddr = found[0]
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise SpecError(f"address {text!r} is no internet address")
    return Address(host, str(sockaddr[0]), port, family, sockaddr)  # type: ignore[arg-type]  # of these two families
