"""
A local endpoint listening on this machine, in a daemon thread.

uvicorn speaks HTTP (with httptools: the load that fifty polling clients make is mostly parsing) and
WebSockets (with the sans-IO half of ``websockets``: uvicorn's default implementation is of that library's
deprecated half and warns). It gets its socket and its TLS from here, so a port that is taken is
an error of the caller's, and no key stays on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import threading

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from aciflow.drivers.workers import Workers
from aciflow.errors import ConfigurationError, MissingExtraError
from aciflow.local.own import Identity as Whoever
from aciflow.local.served.facts import Facts
from aciflow.local.served.folder import Folder
from aciflow.local.served.sockets import EVERYWHERE, is_loopback, listen, names, shown
from aciflow.local.service import OwnService, new_id


try:
    import uvicorn

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    from aciflow.local.served.authority import Authority, write_bundle
except ImportError as missing:
    raise MissingExtraError(
        "serving the local endpoint to other processes", extra="local"
    ) from missing

from aciflow.local.served.app import App
from aciflow.local.served.environment import environ
from aciflow.local.served.identity import Identity


if TYPE_CHECKING:
    from aciflow.local.azure import LocalAzure


__all__ = ["Served"]

log = logging.getLogger("aciflow.served")

GRACE = 10.0
"""Seconds that a stopping server waits for requests that are under way."""

_GOODBYE = 0.5
"""Seconds that clients then have to close their side."""

_STALLED = 2.0
"""Seconds that a client has then to send the rest of a request, or to take the rest of a reply."""

_HANDS = 0.05
"""Seconds for the loop to notice that a client has gone in the middle of a handshake."""

_START = 30.0
_KEEP_ALIVE = 120
"""Seconds: longer than the slowest default poller's interval, so that it finds its connection open."""

_THREADS = 256
"""A DELETE and the log of a slow container hold a thread each; idle ones cost next to nothing."""


class Served:
    """
    A local endpoint that other processes reach; a context manager that stops listening, and no more.

    Made by :meth:`aciflow.local.azure.LocalAzure.serve`.

    Attributes:
        url: Where it is, ``https://localhost:PORT``.
        port: Its port.
        ca_file: A file of certificates to trust: this machine's own and the endpoint's.
    """

    def __init__(
        self, local: LocalAzure, *, host: str, port: int, secret: str | None, intercept: bool
    ) -> None:
        given: object = port
        if not isinstance(given, int) or not 0 <= port <= 65535:
            raise ConfigurationError(f"port={port!r} is none: 1 to 65535, or 0 for a free one")
        if secret is None and not is_loopback(host):
            raise ConfigurationError(
                f"host={host!r} can be reached from other machines: set secret= (--secret-file), "
                "which a client then needs for a token"
            )
        if secret is not None and not secret:
            raise ConfigurationError("secret= is empty")
        if intercept and host not in EVERYWHERE:
            raise ConfigurationError(f"intercept= is for this machine, and host={host!r} is not")
        self._pid = os.getpid()
        self._local = local
        self._lock = threading.Lock()
        self._closed = False
        self._pool = Workers(_THREADS, "aciflow-served-request")
        with contextlib.ExitStack() as undo:
            sockets = listen(host, port)
            for one in sockets:
                undo.callback(one.close)
            self.port: int = sockets[0].getsockname()[1]
            self.url = f"https://{shown(host)}:{self.port}"
            folder = Folder()
            undo.callback(folder.remove)
            self._directory = folder.path
            self.ca_file = self._directory / "ca-bundle.pem"
            authority = Authority()
            own_ca_file = self._directory / "ca.pem"
            own_ca_file.write_text(authority.pem, encoding="ascii")
            write_bundle(self.ca_file, authority.pem, os.environ)
            context = authority.context(self._directory, names(host), intercept=intercept)
            service = local._service
            # Who signed in before an endpoint with a state directory was killed, is known afterwards.
            own = service.identity if isinstance(service, OwnService) else Whoever.new(new_id)
            identity = Identity(
                service.tokens,
                tenant_id=service.tenant_id,
                subscription_id=service.subscription_id,
                client_id=own.client_id,
                client_secret=secret if secret is not None else own.client_secret,
                mi_secret=own.identity_secret,
            )
            self._app = App(
                answer=identity.answer,
                handle=local.handle,
                connect=service.connect,
                pool=self._pool,
            )
            self._listener = _Listener(self._app, sockets, context)
            undo.callback(self._listener.stop)
            proxy_url = None
            if intercept:
                from aciflow.local.served.intercept import Interceptor, upstream_of

                proxy = Interceptor(self.port, upstream=upstream_of(os.environ))
                undo.callback(proxy.close)
                proxy_url = proxy.url
            self._facts = Facts(
                url=self.url,
                subscription_id=identity.subscription_id,
                tenant_id=identity.tenant_id,
                client_id=identity.client_id,
                client_secret=identity.client_secret,
                identity_secret=identity.mi_secret,
                ca_file=self.ca_file,
                directory=self._directory,
                own_ca_file=own_ca_file,
                proxy_url=proxy_url,
            )
            self._undo = undo.pop_all()

    @property
    def facts(self) -> Facts:
        """All that a client needs to know, secrets included."""
        return self._facts

    @property
    def closed(self) -> bool:
        """Whether it has stopped."""
        return self._closed

    def environ(self) -> dict[str, str]:
        """
        Environment variables with which az, the SDKs, curl and aciflow find this endpoint.

        To be put over a process's own; each is explained in the how-to page on other tools.
        """
        if self._closed:
            raise ConfigurationError("this endpoint is not served any more")
        return environ(self._facts)

    @property
    def has_groups(self) -> bool:
        """Whether the endpoint has container groups; always for one that others use too."""
        service = self._local._service
        return not (isinstance(service, OwnService) and service.endpoint.idle)

    def idle(self) -> float:
        """Seconds since the last request or session ended; 0 while one is under way."""
        return self._app.idle()

    def close(self) -> None:
        """
        Stop listening; requests that are under way end first, for ten seconds at most.

        Sessions of exec and attach are closed. The endpoint and its groups go on.
        """
        if os.getpid() != self._pid:  # a fork has neither the thread nor the right to the files
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._undo.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Served {self.url}{' closed' if self._closed else ''}>"


class _Listener:
    """
    uvicorn in a thread of its own; returns once connections are accepted.

    Args:
        app: What is served.
        sockets: Listening; closed by :meth:`stop`.
        context: Our TLS.
    """

    def __init__(self, app: App, sockets: list[socket.socket], context: ssl.SSLContext) -> None:
        self._app = app
        self._sockets = sockets
        self._context = context
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="aciflow-served", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START):
            raise ConfigurationError(f"the endpoint's server did not start in {_START:g} s")
        if self._failed is not None:
            raise ConfigurationError("the endpoint's server did not start") from self._failed

    def stop(self) -> None:
        """End, and wait for it."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stop)
        self._thread.join(GRACE + 20.0)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as problem:
            self._failed = problem
            if self._ready.is_set():
                log.exception("the endpoint's server has ended")
        finally:
            self._ready.set()

    async def _main(self) -> None:
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http=_Http,
            ws=_WebSocket,
            lifespan="off",
            log_config=None,  # nobody's logging is set up from here
            server_header=False,
            date_header=False,  # the endpoint's own clock says the time
            proxy_headers=False,
            ws_per_message_deflate=False,
            ws_ping_timeout=None,  # a client that does not look for a while is still there
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        config.ssl = self._context
        stopped = asyncio.Event()
        self._loop, self._stop = asyncio.get_running_loop(), stopped.set
        server = _Server(config, self._app, stopped, self._ready.set)
        await server.serve(sockets=self._sockets)


class _Server(uvicorn.Server):
    """Started and stopped by events: uvicorn itself looks ten times a second whether it has to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        app: App,
        stopped: asyncio.Event,
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._app = app
        self._stopped = stopped
        self._ready = ready

    async def main_loop(self) -> None:
        """Until it is told to stop."""
        self._ready()
        await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and let what is under way end, or give up on it."""
        timer = asyncio.get_running_loop().call_later(GRACE, self._app.give_up)
        cutting = asyncio.create_task(self._cut())
        self._app.sessions.close()
        try:
            await self._accept_no_more(sockets or [])
            await super().shutdown(sockets)
            await self._let_go()
            await asyncio.sleep(_HANDS)
        finally:
            timer.cancel()
            cutting.cancel()

    async def _accept_no_more(self, sockets: list[socket.socket]) -> None:
        """
        Stop accepting, a moment before the servers close.

        asyncio fails on a connection that it accepts in the very step in which its server is closed, and
        leaves the socket open.
        """
        loop = asyncio.get_running_loop()
        with contextlib.suppress(
            NotImplementedError
        ):  # Windows has another way, without that fault
            for one in sockets:
                loop.remove_reader(one)
        for _ in range(3):  # those that are accepted become transports
            await asyncio.sleep(0)

    async def _let_go(self) -> None:
        """End what was only shaking hands: those are no connections of uvicorn's yet."""
        shaking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in shaking:
            task.cancel()
        await asyncio.gather(*shaking, return_exceptions=True)

    async def _cut(self) -> None:
        """
        Once nothing is under way, TLS need not wait half a minute for each client's good-bye.

        What is under way and has no work to be done waits for a client, who may never come back to it.
        """
        loop = asyncio.get_running_loop()
        worked = loop.time()
        while self.server_state.tasks and loop.time() - worked < _STALLED:
            if self._app.working:
                worked = loop.time()
            await asyncio.sleep(0.02)
        await asyncio.sleep(_GOODBYE)
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Http | _WebSocket):
                connection.cut()


class _Cut:
    """
    A connection that can be ended at once.

    asyncio's TLS transport forgets what to abort once it was closed twice, and uvicorn does close it
    twice; the socket below it does not forget.
    """

    _socket: Any = None

    def _remember(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport.get_extra_info("socket")

    def cut(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class _Http(_Cut, HttpToolsProtocol):
    """A connection: its requests can end it without a reply, and hear of their mistakes as ARM says it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = log
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Requests find ``abort`` in their state."""
        self._remember(transport)
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        body = json.dumps({"error": {"code": "BadRequest", "message": msg}}).encode()
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        self.transport.close()


class _WebSocket(_Cut, WebSocketsSansIOProtocol):
    """Logs to our logger, and no frames: the first one is a session's password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = log
        self.conn.debug = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It was HTTP until now."""
        self._remember(transport)
        super().connection_made(transport)
