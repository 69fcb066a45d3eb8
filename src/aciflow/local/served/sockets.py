"""Where the endpoint listens, and what that is called in its URL and its certificate."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from aciflow.errors import ConfigurationError


__all__ = ["EVERYWHERE", "is_loopback", "listen", "names", "shown"]

EVERYWHERE = ("127.0.0.1", "localhost", "0.0.0.0")  # noqa: S104 - compared; reached by "localhost"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shown(host: str) -> str:
    """The host in the URL: localhost where that leads there, since some clients refuse addresses."""
    if host.lower() in EVERYWHERE or host == "::":
        return "localhost"
    return f"[{host}]" if ":" in host else host


def names(host: str) -> list[str]:
    """What the leaf is good for beside loopback."""
    names = [host]
    if not is_loopback(host):
        names.append(socket.gethostname())
    return [name.lower() for name in names if name.isascii()]


def listen(host: str, port: int) -> list[socket.socket]:
    """
    Listening sockets, all on one port.

    "localhost" is two addresses on most machines. Where only one of them were ours, another program
    could have the other, and clients would try that first.

    Raises:
        ConfigurationError: The port is taken, or the host is not this machine's.
    """
    if host.lower() not in ("127.0.0.1", "localhost"):
        return [_bound(host, port)]
    for last in (False, False, False, True):
        first = _bound("127.0.0.1", port)
        try:
            return [first, _bound("::1", first.getsockname()[1])]
        except ConfigurationError as problem:
            taken = getattr(problem.__cause__, "errno", None) == errno.EADDRINUSE
            if port or last or not taken:  # no IPv6 here, or what one was told to take
                return [first]
            first.close()
    raise AssertionError("the last try returns")


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as problem:
        raise ConfigurationError(f"cannot listen on {host!r}, port {port}: {problem}") from problem
    try:
        if os.name == "posix":  # elsewhere it would let two programs have one port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)
        found.listen(1024)  # at once: until then another could bind it too
    except (OSError, OverflowError) as problem:
        found.close()
        if getattr(problem, "errno", None) == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} of {host} is taken by another program; choose another, or 0 for a free one"
            ) from problem
        raise ConfigurationError(f"cannot listen on {host!r}, port {port}: {problem}") from problem
    return found
