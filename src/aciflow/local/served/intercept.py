"""
A proxy that leads Azure's own host names to the endpoint.

No environment variable tells an SDK where Resource Manager is, but all of them read ``HTTPS_PROXY``. A
client asks its proxy for a tunnel to ``management.azure.com:443`` and gets one to the endpoint, which has
a certificate of that name from an authority that only this client was told to trust. Every other tunnel
goes where it is meant to go, through the user's own proxy where there is one, and is not looked into.

Only this machine reaches the proxy, and it wants a password: it would lend other users the first one's
access to his proxy.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import re
import secrets
import socket
import threading

from collections.abc import Awaitable, Mapping
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from aciflow.errors import ConfigurationError
from aciflow.local.served.authority import INTERCEPTED


__all__ = ["Interceptor", "Upstream", "upstream_of"]

_HEAD = 32 * 1024
"""Bytes of a request's head."""

_PATIENCE = 30.0
"""Seconds for a head to come, or a connection to be made."""

_USER = "aciflow"
_PORT = re.compile(r"[0-9]{1,5}")


@frozen(kw_only=True)
class Upstream:
    """
    The proxy that the user has already.

    Attributes:
        host: Of the proxy.
        port: Of the proxy.
        authorization: What it is told in ``Proxy-Authorization``, or ``None``.
        direct: Domains that are reached without it.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    direct: tuple[str, ...] = ()

    def passes(self, host: str) -> bool:
        """Whether a host is reached through it."""
        name = host.lower()
        for entry in self.direct:
            if entry in ("*", name) or name.endswith(f".{entry}"):
                return False
        return name != "localhost" and not name.startswith("127.") and name != "::1"


def upstream_of(environment: Mapping[str, str] = os.environ) -> Upstream | None:
    """
    The proxy that ``HTTPS_PROXY`` or ``ALL_PROXY`` names, with ``NO_PROXY``.

    Raises:
        ConfigurationError: It is not an ``http://`` one.
    """
    names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    given = next((environment[name] for name in names if environment.get(name)), None)
    if given is None:
        return None
    # the URL is not repeated: it may hold a password
    try:
        url = urlsplit(given if "://" in given else f"http://{given}")
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if host is None or url.scheme.lower() != "http":
        raise ConfigurationError(
            "HTTPS_PROXY or ALL_PROXY is no http://host:port, and intercepting needs one of that kind "
            "(or none) for whatever is not intercepted"
        )
    authorization = None
    if url.username is not None:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    direct = (entry.strip().lower() for entry in listed.split(","))
    return Upstream(
        host=host,
        port=port or 80,
        authorization=authorization,
        direct=tuple(
            entry if entry == "*" else entry.lstrip("*").lstrip(".") for entry in direct if entry
        ),
    )


class Interceptor:
    """
    The proxy, in a thread of its own from the start until :meth:`close`.

    Args:
        port: Where on 127.0.0.1 the endpoint listens, with certificates for ``hosts``.
        hosts: The names that lead there, at port 443.
        upstream: What other tunnels go through.

    Raises:
        OSError: No port is free.
    """

    def __init__(
        self,
        port: int,
        *,
        hosts: tuple[str, ...] = INTERCEPTED,
        upstream: Upstream | None = None,
    ) -> None:
        self._target = ("127.0.0.1", port)
        self._hosts = frozenset(hosts)
        self._upstream = upstream
        self._secret = secrets.token_urlsafe(24)
        # Bound here, so that it is known at once; the loop runs in the thread alone, since the caller's
        # may be running one already.
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = self._loop.create_future()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="aciflow-intercept", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """For ``HTTPS_PROXY``; it holds the password."""
        return f"http://{_USER}:{self._secret}@127.0.0.1:{self.port}"

    def close(self) -> None:
        """End it and every tunnel."""

        def stop() -> None:
            if not self._stop.done():
                self._stop.set_result(None)

        with contextlib.suppress(RuntimeError):  # closed already
            self._loop.call_soon_threadsafe(stop)
        self._thread.join(timeout=10)

    def __repr__(self) -> str:
        return f"<Interceptor 127.0.0.1:{self.port}>"

    # --- inside ------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._socket.close()
            asyncio.set_event_loop(None)
            self._loop.close()

    async def _main(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._socket, limit=_HEAD)
        await self._stop
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._tunnel(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, _RefusedError) as error:
            # After the tunnel is there, its end is what tells the client.
            if isinstance(error, _RefusedError):
                with contextlib.suppress(OSError):
                    writer.write(error.reply())
                    await writer.drain()
        finally:
            await _close(writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        host, port = self._asked(head)
        try:
            there, back = await self._reach(host, port)
        except ValueError:  # neither a name nor an address; what says so is the codec
            raise _RefusedError("400 Bad Request", "CONNECT needs host:port") from None
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            raise _RefusedError("502 Bad Gateway", f"{host}:{port}: {_reason(error)}") from error
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await _both(_copy(reader, back), _copy(there, writer))
        finally:
            await _close(back)

    def _asked(self, head: bytes) -> tuple[str, int]:
        """The host and port of a CONNECT that knows the password."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, _, rest = first.partition(" ")
        authority = rest.partition(" ")[0]
        headers = {
            name.strip().lower(): value.strip()
            for name, found, value in (line.partition(":") for line in lines)
            if found
        }
        if not self._knows(headers.get("proxy-authorization", "")):
            raise _RefusedError(
                "407 Proxy Authentication Required",
                "the user and password are those in HTTPS_PROXY",
                'Proxy-Authenticate: Basic realm="aciflow"',
            )
        if method != "CONNECT":
            raise _RefusedError(
                "405 Method Not Allowed", "this proxy is for HTTPS alone", "Allow: CONNECT"
            )
        host, _, port = authority.rpartition(":")
        number = int(port) if _PORT.fullmatch(port) else 0
        if not host or not 0 < number < 65536:
            raise _RefusedError("400 Bad Request", "CONNECT needs host:port")
        return host.strip("[]"), number

    def _knows(self, authorization: str) -> bool:
        wanted = base64.b64encode(f"{_USER}:{self._secret}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {wanted}".encode())

    async def _reach(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(_PATIENCE):
            if port == 443 and host.lower().rstrip(".") in self._hosts:
                return await asyncio.open_connection(*self._target)
            upstream = self._upstream
            if upstream is None or not upstream.passes(host):
                return await asyncio.open_connection(host, port)
            reader, writer = await asyncio.open_connection(
                upstream.host, upstream.port, limit=_HEAD
            )
            try:
                await _connect(reader, writer, upstream, host, port)
            except BaseException:
                await _close(writer)
                raise
            return reader, writer


class _RefusedError(Exception):
    """A reply instead of a tunnel."""

    def __init__(self, status: str, reason: str, *headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers

    def reply(self) -> bytes:
        """As it is sent."""
        text = f"aciflow: {self}\n".encode()
        lines = [
            f"HTTP/1.1 {self.status}",
            *self.headers,
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(text)}",
            "Connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + text


async def _connect(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream: Upstream,
    host: str,
    port: int,
) -> None:
    """
    Ask the user's proxy for a tunnel.

    Raises:
        ConnectionError: It refuses.
    """
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    if upstream.authorization is not None:
        lines.append(f"Proxy-Authorization: {upstream.authorization}")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    await writer.drain()
    status = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] != ["200"]:
        raise ConnectionError(f"the proxy of HTTPS_PROXY says {status!r}")


def _reason(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else "closed")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the one side has said all, which the other is told."""
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _both(one: Awaitable[None], other: Awaitable[None]) -> None:
    """Either way, until both have ended or one has broken."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
