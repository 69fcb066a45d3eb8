"""
The served endpoint as an ASGI application: HTTP in, the endpoint's requests out, and back.

It knows no framework: there is one handler, and what it does about paths is the endpoint's business.
Whatever a client sends, it gets an answer in ARM's shape; the process goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import traceback
import uuid

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from email.utils import formatdate
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

from aciflow.errors import ConfigurationError, EndpointUnreachableError
from aciflow.local.protocol import Dropped, Reply, Request
from aciflow.local.served.sessions import Connect, Sessions


__all__ = ["BODY_LIMIT", "App", "Pool"]

log = logging.getLogger("aciflow.served")

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of a request's body; ARM takes no more either."""

_DRAIN = 64 * 1024 * 1024
"""Bytes that are read and thrown away of a body that is too large, so that its sender hears why."""

_QUERY_FIELDS = 100

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_HOST = re.compile(r"[A-Za-z0-9._\-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Pool(Protocol):
    """Runs what blocks, as :class:`aciflow.drivers.workers.Workers` does."""

    def submit(self, work: Callable[[], Any]) -> None:
        """Run ``work`` soon, in some thread."""
        ...


class App:
    """
    Serves one endpoint.

    Args:
        answer: Answers what needs no token of the endpoint, or ``None`` for everything else.
        handle: Answers everything else; may block.
        connect: Opens a session that exec or attach has promised; may block.
        pool: Where both run.
    """

    def __init__(
        self,
        *,
        answer: Callable[[Request], Reply | None],
        handle: Callable[[Request], Reply],
        connect: Connect,
        pool: Pool,
    ) -> None:
        self._answer = answer
        self._handle = handle
        self._pool = pool
        self._waiting: set[asyncio.Future[Any]] = set()
        self.sessions = Sessions(connect, self.blocking)
        self._busy = 0
        self._last = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or one WebSocket."""
        self._busy += 1
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send)
            elif scope["type"] == "websocket":
                await self.sessions.serve(scope, receive, send)
        finally:
            self._busy -= 1
            self._last = time.monotonic()

    def idle(self) -> float:
        """Seconds since the last request or session ended; 0 while one is under way."""
        return 0.0 if self._busy else time.monotonic() - self._last

    @property
    def working(self) -> bool:
        """Whether anything is being done for a client, and not only waited for one."""
        return bool(self._waiting)

    def give_up(self) -> None:
        """In the loop's thread: what is still under way is answered with 503."""
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(EndpointUnreachableError("this local endpoint is closing"))

    async def blocking(self, work: Callable[[], Any]) -> Any:
        """
        Run what blocks in a thread of the pool.

        Raises:
            EndpointUnreachableError: The server stops and does not wait any longer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():  # given up, or cancelled
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def run() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:  # the loop is closed: nobody waits
                log.debug("an answer came after the end of the server")

        self._waiting.add(future)
        try:
            self._pool.submit(run)
            return await future
        finally:
            self._waiting.discard(future)

    # --- HTTP ------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await self._request(scope, receive)
            if request is None:  # the client has gone
                return
            status, headers, content = await self.blocking(lambda: self._reply(request))
        except Dropped:
            await _drop(scope, receive)
            return
        except _BadRequestError as problem:
            status, headers, content = _encoded(problem.reply, scope["method"])
        except Exception as problem:
            status, headers, content = _encoded(_failure(problem), scope["method"])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _request(self, scope: Scope, receive: Receive) -> Request | None:
        """
        A request of the wire as the endpoint takes it.

        Raises:
            _BadRequestError: It cannot be understood, or is too large.
        """
        headers = _headers(scope["headers"])
        path = _path(scope["raw_path"])
        query = _query(scope["query_string"])
        base_url = f"{scope['scheme']}://{_authority(scope, headers)}"
        body = await _body(headers, receive)
        if body is None:
            return None
        return Request(
            method=scope["method"].upper(),
            path=path,
            query=query,
            headers=headers,
            body=body,
            base_url=base_url,
        )

    def _reply(self, request: Request) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """In a thread of the pool."""
        reply = self._answer(request)
        if reply is None:
            reply = self._handle(request)
        return _encoded(reply, request.method)


class _BadRequestError(Exception):
    """What came is refused before the endpoint sees it."""

    def __init__(self, code: str, message: str, *, status: int = 400, close: bool = False) -> None:
        super().__init__(message)
        headers = {"Connection": "close"} if close else {}
        self.reply = _error(status, code, message, headers)


def _error(status: int, code: str, message: str, headers: Mapping[str, str]) -> Reply:
    return Reply(status=status, body={"error": {"code": code, "message": message}}, headers=headers)


def _failure(problem: Exception) -> Reply:
    """
    What a client hears of an exception.

    The log has the lines of code, and not the exception's message, which might carry what the client
    has sent: passwords, say.
    """
    if isinstance(problem, EndpointUnreachableError | ConfigurationError):
        return _error(503, "ServiceUnavailable", str(problem), {"Retry-After": "5"})
    correlation = str(uuid.uuid4())
    where = "".join(traceback.format_tb(problem.__traceback__))
    log.error("request %s failed: %s\n%s", correlation, type(problem).__name__, where)
    return _error(
        500,
        "InternalServerError",
        f"The local endpoint failed ({type(problem).__name__}); its log has correlation ID "
        f"'{correlation}'.",
        {"x-ms-correlation-request-id": correlation, "x-ms-request-id": correlation},
    )


async def _drop(scope: Scope, receive: Receive) -> None:
    """End the connection without a reply, as a network that fails does."""
    scope["state"]["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _path(raw: bytes) -> str:
    """
    The path, decoded; ``//subscriptions`` stays as it is, since the router takes it as az means it.

    Raises:
        _BadRequestError: It is not UTF-8, or has control characters.
    """
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise _BadRequestError("BadRequest", "The request's path is not UTF-8.") from None
    if _CONTROL.search(path):
        raise _BadRequestError("BadRequest", "The request's path has control characters.")
    return path


def _query(raw: bytes) -> dict[str, str]:
    try:
        fields = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_QUERY_FIELDS,
            errors="strict",
        )
    except UnicodeDecodeError:
        raise _BadRequestError("BadRequest", "The request's query is not UTF-8.") from None
    except ValueError:
        raise _BadRequestError(
            "BadRequest", f"The request's query has more than {_QUERY_FIELDS} parameters."
        ) from None
    query: dict[str, str] = {}
    for name, value in fields:
        query.setdefault(name.lower(), value)
    return query


def _authority(scope: Scope, headers: Mapping[str, str]) -> str:
    """
    Host and port as the client knows them: URLs in replies begin with them.

    Raises:
        _BadRequestError: The Host header is no host.
    """
    host = headers.get("host", "")
    if not host and scope["server"] is not None:  # HTTP/1.0
        name, port = scope["server"]
        host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    if not _HOST.fullmatch(host) or not _splits(host):
        raise _BadRequestError("BadRequest", "The request's Host header is not a host.")
    return host


def _splits(host: str) -> bool:
    """Whether a URL with it can be taken apart again: what is in brackets must be an IPv6 address."""
    try:
        return urlsplit(f"https://{host}").port != 0
    except ValueError:
        return False


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """
    The whole body, or ``None`` if the client has gone.

    Raises:
        _BadRequestError: It is too large.
    """
    announced = headers.get("content-length", "")
    large = announced.isdigit() and int(announced[:20]) > BODY_LIMIT
    if large and ("expect" in headers or int(announced[:20]) > _DRAIN):
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_LIMIT:
            parts.clear()
        else:
            parts.append(part)
        if size > _DRAIN or not message.get("more_body", False):
            break
    if size > BODY_LIMIT:
        raise _too_large()
    return b"".join(parts)


def _too_large() -> _BadRequestError:
    return _BadRequestError(
        "RequestEntityTooLarge",
        f"The request content exceeds the maximum of {BODY_LIMIT} bytes.",
        status=413,
        close=True,
    )


def _encoded(reply: Reply, method: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and content as ASGI has them; the length is that of what a GET would bring."""
    content = b"" if reply.body is None else json.dumps(reply.body, separators=(",", ":")).encode()
    headers = [
        (
            name.encode("latin-1"),
            _UNSAFE.sub(lambda found: quote(found[0]), value).encode("latin-1"),
        )
        for name, value in reply.headers.items()
    ]
    if content and not any(name.lower() == b"content-type" for name, _ in headers):
        headers.append((b"Content-Type", b"application/json; charset=utf-8"))
    if not any(name.lower() == b"date" for name, _ in headers):
        headers.append((b"Date", formatdate(usegmt=True).encode()))
    if reply.status >= 200 and reply.status not in (204, 304):
        headers.append((b"Content-Length", str(len(content)).encode()))
    return reply.status, headers, b"" if method == "HEAD" or reply.status in (204, 304) else content
