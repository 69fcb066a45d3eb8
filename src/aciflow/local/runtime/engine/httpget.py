"""
One HTTP GET as the kubelet's prober makes it, whose failures read like the kubelet's.

The time is for all of it, however the other side doles out its bytes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit

import h11

from aciflow.local.protocol import Probe


__all__ = ["check"]

_MOST_REDIRECTS = 10
_MOST_BODY = 10 * 1024
_CHUNK = 16384


class _FailedError(Exception):
    """Why, in the words that follow the URL."""


def check(
    host: str, port: int, probe: Probe, holding: Callable[[socket.socket], None]
) -> tuple[bool, str]:
    """
    Ask once.

    A redirect to the same host is followed, any other one counts as it is.

    Args:
        host: An address.
        port: Where the probe's port is reached on it.
        probe: What to ask, and for how many seconds.
        holding: Given each socket, to shut it down where nobody waits for the answer any more.

    Returns:
        Whether the status was from 200 to 399, and otherwise what was wrong.
    """
    until = time.monotonic() + probe.timeout
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    first = url = f"{probe.scheme}://{host}:{port}{path}"
    try:
        for _ in range(_MOST_REDIRECTS):
            status, location = _get(url, probe.headers, until, holding)
            if not 200 <= status < 400:
                return False, f"HTTP probe failed with statuscode: {status}"
            following = urljoin(url, location) if status >= 300 and location else ""
            if not following or urlsplit(following).hostname != urlsplit(first).hostname:
                return True, ""
            url = following
    except _FailedError as failed:
        return False, f'Get "{url}": {failed}'
    except ValueError:  # where it leads to is no URL
        return False, f'Get "{first}": failed to parse Location header'
    return False, f'Get "{url}": stopped after {_MOST_REDIRECTS} redirects'


def _get(
    url: str,
    headers: Sequence[tuple[str, str]],
    until: float,
    holding: Callable[[socket.socket], None],
) -> tuple[int, str]:
    """The status and ``Location``."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = f"{parts.hostname}:{port}"
    with contextlib.ExitStack() as stack:
        try:
            raw = socket.create_connection((parts.hostname or "", port), timeout=_left(until))
        except TimeoutError as error:
            raise _FailedError(
                f"dial tcp {where}: i/o timeout (Client.Timeout exceeded while awaiting headers)"
            ) from error
        except OSError as error:
            raise _FailedError(f"dial tcp {where}: connect: {_words(error)}") from error
        stack.callback(raw.close)
        holding(raw)
        try:
            connection = raw
            if parts.scheme == "https":
                connection = stack.enter_context(_tls().wrap_socket(raw))
            return _ask(connection, parts.path, parts.query, where, headers, until)
        except TimeoutError as error:
            raise _FailedError(
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            ) from error
        except ssl.SSLError as error:
            if "WRONG_VERSION" in str(error.reason) or "HTTP_REQUEST" in str(error.reason):
                raise _FailedError("http: server gave HTTP response to HTTPS client") from error
            raise _FailedError(f"tls: {str(error.reason).lower().replace('_', ' ')}") from error
        except OSError as error:
            raise _FailedError(f"read tcp {where}: read: {_words(error)}") from error
        except h11.RemoteProtocolError as error:
            raise _FailedError(f"net/http: malformed HTTP response: {error}") from error
        except h11.LocalProtocolError as error:
            raise _FailedError(f"net/http: invalid request: {error}") from error


def _ask(
    connection: socket.socket,
    path: str,
    query: str,
    where: str,
    headers: Sequence[tuple[str, str]],
    until: float,
) -> tuple[int, str]:
    wanted = {"host": where, "user-agent": "kube-probe/1.0", "accept": "*/*", "connection": "close"}
    given = {name.lower() for name, _ in headers}
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET",
        target=(path or "/") + (f"?{query}" if query else ""),
        headers=[*((k, v) for k, v in wanted.items() if k not in given), *headers],
    )
    connection.settimeout(_left(until))
    connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, location, size = 0, "", 0
    received = 0
    while size <= _MOST_BODY:  # nobody reads more, and the status is known
        event = http.next_event()
        match event:
            case h11.NEED_DATA:
                connection.settimeout(_left(until))
                data = connection.recv(_CHUNK)
                received += len(data)
                if not received:
                    raise _FailedError("EOF")
                http.receive_data(data)
            case h11.Response():
                status = event.status_code
                found = [value for name, value in event.headers if name == b"location"]
                location = found[0].decode("latin-1") if found else ""
            case h11.Data():
                size += len(event.data)
            case h11.InformationalResponse():
                pass
            case _:
                break
    return status, location


def _tls() -> ssl.SSLContext:
    """The kubelet checks no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
