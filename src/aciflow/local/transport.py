"""httpx transports that reach an endpoint in this process; the URL stays ``https``."""

from __future__ import annotations

import asyncio
import contextlib
import json

from collections.abc import Callable

import httpx

from aciflow.local.protocol import Dropped, Reply, Request


__all__ = ["AsyncLocalTransport", "LocalTransport"]


Handle = Callable[[Request], Reply]


class LocalTransport(httpx.BaseTransport):
    """
    Reaches the endpoint by a call.

    Args:
        handle: Answers a request, from any thread; may block.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer in process."""
        wire = _request(request, request.read())
        try:
            reply = self._handle(wire)
        except Dropped as problem:
            raise httpx.ReadError(str(problem), request=request) from problem
        return _response(request, reply)


class AsyncLocalTransport(httpx.AsyncBaseTransport):
    """
    The same, awaited.

    Args:
        handle: Answers a request, from any thread; may block.
        submit: Runs a function soon in another thread. Not the loop's own executor: a held DELETE
            would keep one of its few threads, and it is gone before the interpreter is.
    """

    def __init__(self, handle: Handle, submit: Callable[[Callable[[], None]], None]) -> None:
        self._handle = handle
        self._submit = submit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer in process, without blocking the loop."""
        wire = _request(request, await request.aread())
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Reply] = loop.create_future()

        def settle(reply: Reply | None, error: BaseException | None) -> None:
            if done.done():  # cancelled meanwhile
                return
            if error is not None:
                done.set_exception(error)
            elif reply is not None:
                done.set_result(reply)

        def work() -> None:
            reply, error = None, None
            try:
                reply = self._handle(wire)
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, reply, error)

        self._submit(work)
        try:
            reply = await done
        except Dropped as problem:
            raise httpx.ReadError(str(problem), request=request) from problem
        return _response(request, reply)


def _request(request: httpx.Request, body: bytes) -> Request:
    url = request.url
    query: dict[str, str] = {}
    for name, value in url.params.multi_items():
        query.setdefault(name.lower(), value)
    return Request(
        method=request.method.upper(),
        path=url.path,
        query=query,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        base_url=f"{url.scheme}://{url.netloc.decode('ascii')}",
    )


def _response(request: httpx.Request, reply: Reply) -> httpx.Response:
    content = b""
    if reply.body is not None and request.method != "HEAD":
        content = json.dumps(reply.body, separators=(",", ":")).encode()
    return httpx.Response(
        reply.status, headers=dict(reply.headers), content=content, request=request
    )
