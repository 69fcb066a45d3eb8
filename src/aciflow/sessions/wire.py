"""
Sessions over a WebSocket: the password first, then bytes both ways.

Trusts whom the ARM client trusts and goes through the same proxy. Its library's log is kept silent: at
debug level it would have the password.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import ssl
import threading

from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aciflow.arm.network import trusted
from aciflow.arm.routes import label
from aciflow.arm.settings import ArmSettings
from aciflow.errors import (
    ConfigurationError,
    ContainerNotRunningError,
    EndpointUnreachableError,
    ExecError,
    MissingExtraError,
)
from aciflow.sessions.grant import Grant


try:
    from websockets.asyncio.client import connect as _connect_async
    from websockets.exceptions import ConnectionClosed, InvalidProxy, WebSocketException
except ImportError:
    raise MissingExtraError("exec and attach on this target", extra="exec") from None


__all__ = ["AsyncWireTerminal", "WireTerminal", "connect", "connect_async", "proxy_for"]

R = TypeVar("R")

#: Seconds to connect, and to say goodbye.
OPENING = 20.0
CLOSING = 1.0
#: Seconds between pings, which keep a silent session alive; and until one must be answered.
PING = 20.0
PONG = 60.0

#: RFC 6455, 7.4.1: a policy, and an error of the server.
_FAILED = 1011
_REFUSED = {1008: "its password was not accepted, or has expired", _FAILED: "the service failed"}

_silent = logging.Logger("aciflow.sessions", level=logging.CRITICAL + 1)  # noqa: LOG001 (nobody's)


class AsyncWireTerminal:
    """A session as a terminal, awaited; see :class:`aciflow.local.runtime.base.Terminal`."""

    def __init__(self, socket: Any, *, resizes: bool) -> None:
        self._socket = socket
        self._resizes = resizes

    async def read(self) -> bytes:
        """
        What comes next.

        Raises:
            ContainerNotRunningError: The container has ended.
            ExecError: The password was not accepted.
        """
        data: str | bytes = b""
        try:
            while not data:
                data = await self._socket.recv()
        except ConnectionClosed as closed:
            return _ended(closed)
        return _bytes(data)

    async def write(self, data: bytes) -> None:
        """Input; nothing happens once it has ended."""
        with contextlib.suppress(ConnectionClosed):
            for piece in _pieces(data):
                await self._socket.send(piece)

    async def resize(self, rows: int, columns: int) -> None:
        """Another size, where the endpoint understands it."""
        if self._resizes:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(_size(rows, columns))

    async def close(self) -> None:
        """End it."""
        await self._socket.close()


class WireTerminal:
    """
    The same for callers that block, on an event loop in a thread of its own.

    Not websockets' own blocking client: that reads and writes one TLS connection from two threads, and
    the session tickets of TLS 1.3, which come while it writes, make it hang now and then.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._inner: AsyncWireTerminal | None = None
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="aciflow-session", daemon=True
        )
        self._thread.start()

    def open(self, opening: Coroutine[Any, Any, AsyncWireTerminal]) -> None:
        """Connect; whatever comes of it, :meth:`close` is needed."""
        self._inner = self._wait(opening)

    def read(self) -> bytes:
        """
        What comes next.

        Raises:
            ContainerNotRunningError: The container has ended.
            ExecError: The password was not accepted.
        """
        if self._inner is None:
            return b""
        return self._wait(self._inner.read()) or b""

    def write(self, data: bytes) -> None:
        """Input; nothing happens once it has ended."""
        if self._inner is not None:
            self._wait(self._inner.write(data))

    def resize(self, rows: int, columns: int) -> None:
        """Another size, where the endpoint understands it."""
        if self._inner is not None:
            self._wait(self._inner.resize(rows, columns))

    def close(self) -> None:
        """End it."""
        try:
            if self._inner is not None:
                self._wait(self._inner.close())
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ending = asyncio.run_coroutine_threadsafe(_end_tasks(), self._loop)
        ending.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, work: Coroutine[Any, Any, R]) -> R | None:
        """The result; ``None`` where the terminal has been closed meanwhile."""
        with self._lock:
            if self._closed:
                work.close()
                return None
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            return None
        except BaseException:  # Ctrl-C: nobody waits for it any more
            future.cancel()
            raise


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def connect_async(grant: Grant, settings: ArmSettings, *, resizes: bool) -> AsyncWireTerminal:
    """
    Connect to a session.

    Args:
        grant: Which.
        settings: Of the endpoint that granted it: whose certificates are trusted.
        resizes: Whether the other end understands our message for another size.

    Raises:
        EndpointUnreachableError: There is no connection.
        ConfigurationError: The environment names a proxy or certificates that cannot be used.
    """
    problem: Exception
    try:
        # All that has come waits here: what is typed is echoed while one types.
        socket = await _connect_async(grant.uri, max_queue=None, **_options(grant, settings))
        if not _named(grant):
            await socket.send(grant.password)
        return AsyncWireTerminal(socket, resizes=resizes)
    except asyncio.CancelledError:
        raise
    except (OSError, WebSocketException, ValueError, EOFError, ImportError) as error:
        problem = _unreachable(grant, error)
    raise problem


def connect(grant: Grant, settings: ArmSettings, *, resizes: bool) -> WireTerminal:
    """The same, blocking; with the same errors."""
    terminal = WireTerminal()
    try:
        terminal.open(connect_async(grant, settings, resizes=resizes))
    except BaseException:
        terminal.close()
        raise
    return terminal


def _options(grant: Grant, settings: ArmSettings) -> dict[str, Any]:
    parts = urlsplit(grant.uri)
    if parts.scheme != "wss" or not parts.hostname:
        raise ConfigurationError(f"a session on {label(grant.uri)} is not on TLS (wss)")
    context = trusted(settings)
    if context is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    options: dict[str, Any] = {
        "ssl": context,
        "proxy": proxy_for(parts.hostname, parts.port or 443),
        "compression": None,
        "max_size": None,
        "open_timeout": OPENING,
        "close_timeout": CLOSING,
        "ping_interval": PING,
        "ping_timeout": PONG,
        "logger": _silent,
        "user_agent_header": "aciflow",
    }
    if _named(grant):
        options["additional_headers"] = {"Authorization": grant.password}
    return options


def _named(grant: Grant) -> bool:
    """
    Whether the password is a header, not the first message.

    ACI's reference wants an attach's there, "as an Authorization header value" (ContainerAttachResponse),
    and az sends an exec's first.
    """
    return grant.kind == "attach"


def proxy_for(host: str, port: int) -> str | None:
    """
    The proxy that the environment names for a host: HTTPS_PROXY or ALL_PROXY, unless NO_PROXY has it.

    As httpx chooses for ARM itself. (websockets' own choice would prefer a SOCKS proxy.)
    """
    proxies = getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found or proxy_bypass(f"{host}:{port}"):
        return None
    return found if "://" in found else f"http://{found}"


def _unreachable(grant: Grant, error: Exception) -> Exception:
    where = label(grant.uri)
    if isinstance(error, ImportError):
        return ConfigurationError(
            "a SOCKS proxy is configured, which needs: pip install python-socks"
        )
    if isinstance(error, InvalidProxy | ValueError) and not isinstance(error, ssl.CertificateError):
        # Its text may hold the proxy's password.
        return ConfigurationError(
            "HTTPS_PROXY or ALL_PROXY is no URL of a proxy (http://host:port)"
        )
    if isinstance(error, ssl.SSLError):
        why = f"its certificate is not trusted, or it speaks no TLS: {error.reason or error}"
    elif isinstance(error, TimeoutError):
        why = f"no answer within {OPENING:g} s"
    elif isinstance(error, WebSocketException):
        why = type(error).__name__  # its text may have headers
        status = getattr(getattr(error, "response", None), "status_code", None)
        why += "" if status is None else f" (HTTP {status})"
    else:
        why = str(error) or type(error).__name__
    return EndpointUnreachableError(f"cannot connect to the session on {where}: {why}")


def _ended(closed: ConnectionClosed) -> bytes:
    """The end; how a service closes says nothing, except that a password is wrong, or that it failed."""
    if closed.rcvd is not None and closed.rcvd.code in _REFUSED:
        reason = closed.rcvd.reason or _REFUSED[closed.rcvd.code]
        if (
            closed.rcvd.code == _FAILED and "not run" in reason
        ):  # ARM takes an exec also where the container has ended
            raise ContainerNotRunningError(f"nothing can be run: {reason}") from None
        raise ExecError(f"the session was refused: {reason}") from None
    return b""


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _pieces(data: bytes, size: int = 16 * 1024) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _size(rows: int, columns: int) -> str:
    return json.dumps({"resize": {"rows": rows, "cols": columns}})
