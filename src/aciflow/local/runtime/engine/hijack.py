"""
A connection that the engine takes over: HTTP first, then the bytes of a process both ways.

httpx cannot do this, so the request goes out over a socket of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import h11

from aciflow.local.runtime.engine.address import EngineAddress
from aciflow.local.runtime.engine.client import EngineError, tls_context


__all__ = ["Wire", "upgrade"]

_CONNECT = 5.0
_ANSWER = 60.0
_CHUNK = 65536


class Wire:
    """
    Bytes both ways. One thread may read while another writes, and any may close.

    Args:
        raw: A connected socket, which is the wire's from now on.
        tls: How to secure it, if at all.
        hostname: Whose certificate is expected.

    Raises:
        OSError: TLS could not be agreed on.
    """

    def __init__(
        self, raw: socket.socket, tls: ssl.SSLContext | None = None, hostname: str | None = None
    ) -> None:
        self._raw = raw
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False
        self._first = b""
        self._tls = _Tls(raw, tls, hostname) if tls is not None else None

    def read(self, timeout: float | None = None) -> bytes:
        """
        What comes next; ``b""`` at the end, and when the wire is closed.

        Raises:
            TimeoutError: Nothing came for ``timeout`` seconds.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        with self._used() as usable:
            if not usable:
                return b""
            try:
                self._raw.settimeout(timeout)
                if self._tls is not None:
                    return self._tls.read(_CHUNK)
                return self._raw.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError:
                return b""

    def write(self, data: bytes) -> None:
        """
        Send it all.

        Raises:
            OSError: The other side has gone, or the wire is closed.
        """
        with self._used() as usable:
            if not usable:
                raise BrokenPipeError("closed")
            if self._tls is not None:
                self._tls.write(data)
            else:
                self._raw.sendall(data)

    def push_back(self, data: bytes) -> None:
        """Have it read again."""
        self._first = data + self._first

    def close(self) -> None:
        """End it; wakes a thread that reads."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with contextlib.suppress(OSError):
                self._raw.shutdown(socket.SHUT_RDWR)
            if self._users == 0:
                self._raw.close()

    @contextlib.contextmanager
    def _used(self) -> Iterator[bool]:
        """The socket's number must not become another's while a thread is about to use it."""
        with self._lock:
            usable = not self._closed
            self._users += usable
        try:
            yield usable
        finally:
            if usable:
                with self._lock:
                    self._users -= 1
                    if self._closed and self._users == 0:
                        self._raw.close()


class _Tls:
    """TLS over a socket that one thread reads while another writes, which Python's own does not bear."""

    def __init__(self, raw: socket.socket, context: ssl.SSLContext, hostname: str | None) -> None:
        self._raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self._state = threading.Lock()
        self._sending = threading.Lock()
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return

    def read(self, size: int) -> bytes:
        while True:
            with self._state:
                try:
                    return self._session.read(size)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
            self._flush()
            self._fill()

    def write(self, data: bytes) -> None:
        with self._state:
            self._session.write(data)
        self._flush()

    def _fill(self) -> None:
        received = self._raw.recv(_CHUNK)
        with self._state:
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()

    def _flush(self) -> None:
        with self._sending:  # what leaves the session first must be sent first
            with self._state:
                data = self._outgoing.read()
            self._raw.sendall(data)


def upgrade(address: EngineAddress, path: str, body: Mapping[str, Any]) -> Wire:
    """
    POST a request after which the connection is a process's.

    Args:
        address: The engine.
        path: With its version.
        body: JSON.

    Raises:
        EngineError: The engine refused, or did not answer.
    """
    try:
        wire = _connect(address)
    except OSError as error:
        raise EngineError(
            0, f"the container engine at {address.url} does not answer: {error}"
        ) from error
    try:
        _ask(wire, path, json.dumps(body, separators=(",", ":")).encode())
    except (OSError, h11.ProtocolError) as error:
        wire.close()
        raise EngineError(0, f"the container engine at {address.url} broke off: {error}") from error
    except BaseException:
        wire.close()
        raise
    return wire


def _connect(address: EngineAddress) -> Wire:
    if address.socket_path is not None:
        raw = socket.socket(socket.AF_UNIX)
        try:
            raw.settimeout(_CONNECT)
            raw.connect(address.socket_path)
        except BaseException:
            raw.close()
            raise
        return Wire(raw)
    parts = urlsplit(address.url)
    raw = socket.create_connection((parts.hostname or "", parts.port or 2375), timeout=_CONNECT)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            return Wire(raw, tls_context(address), parts.hostname)
    except BaseException:
        raw.close()
        raise
    return Wire(raw)


def _ask(wire: Wire, path: str, content: bytes) -> None:
    """Send the request and read the head of the answer, and not a byte more."""
    http = h11.Connection(h11.CLIENT)
    headers = {
        "Host": "engine",
        "Connection": "Upgrade",
        "Upgrade": "tcp",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
    }
    sent = b"".join(
        http.send(event) or b""
        for event in (
            h11.Request(method="POST", target=path, headers=list(headers.items())),
            h11.Data(data=content),
            h11.EndOfMessage(),
        )
    )
    wire.write(sent)
    until = time.monotonic() + _ANSWER
    status = 0
    refused = b""
    while True:
        event = http.next_event()
        match event:
            case h11.NEED_DATA:
                http.receive_data(wire.read(max(until - time.monotonic(), 0.01)))
            case h11.InformationalResponse(status_code=101):
                break
            case h11.Response(status_code=200):  # an engine that takes over without saying so
                break
            case h11.Response():
                status = event.status_code
            case h11.Data():
                refused += event.data
            case h11.EndOfMessage() | h11.ConnectionClosed():
                raise _refusal(status, refused)
            case _:
                pass
    wire.push_back(http.trailing_data[0])


def _refusal(status: int, body: bytes) -> EngineError:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace").strip() or f"HTTP {status}"
    return EngineError(status, message)
