"""
What exec and attach lead to: a WebSocket with a process's terminal at its other end.

The client's first text message is the password; attach takes it as the Authorization header too. From
then on binary and text messages are input, and binary messages bring output. The socket closes with
1000 when the process has ended, whose exit code is not told; all of this is as on ACI. A text message
``{"resize":{"rows":24,"cols":80}}`` gives the terminal another size: that is this endpoint's own, what ACI
has for it is not known.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import threading
import time

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from aciflow.errors import AciflowError
from aciflow.local.runtime.base import Terminal


__all__ = ["Connect", "Sessions"]

log = logging.getLogger("aciflow.served")

Connect: TypeAlias = Callable[[str, str], Terminal | None]
"""Session and password to its terminal, or ``None``; see :meth:`aciflow.local.service.Service.connect`."""

Blocking: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]

PASSWORD_WAIT = 30.0
"""Seconds that a client has to send the password."""

_PATH = re.compile(r"/+(execstream|logstream)/sessionId/([^/]+)/?", re.IGNORECASE)
_AHEAD = 16
"""Pieces of output that may wait for a client that reads slowly; then the process waits."""

_INPUT = 1024 * 1024
"""Bytes of input that may wait for a process that reads slowly; then the client waits."""

_CLOSING = 10.0
"""Seconds to wait for a terminal to be let go of; its threads are daemons and need no more."""

_NORMAL = 1000
_REFUSED = 1008
_FAILED = 1011

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Sessions:
    """
    Serves WebSockets.

    Args:
        connect: Opens a session's terminal.
        blocking: Runs what blocks in a thread.
    """

    def __init__(self, connect: Connect, blocking: Blocking) -> None:
        self._connect = connect
        self._blocking = blocking
        self._open: set[_Session] = set()

    async def serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One WebSocket from its handshake to its end."""
        await receive()  # websocket.connect
        found = _PATH.fullmatch(scope["path"])
        if found is None:
            await send({"type": "websocket.close", "code": _REFUSED})  # a 403, before the handshake
            return
        await send({"type": "websocket.accept"})
        try:
            await self._serve(found, dict(scope["headers"]), receive, send)
        except OSError:  # ASGI: the client went while we wrote
            log.debug("a session's client has gone")

    async def _serve(
        self, found: re.Match[str], headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        password = None
        if found[1].lower() == "logstream" and b"authorization" in headers:
            password = headers[b"authorization"].decode("latin-1")
        if password is None:
            try:
                async with asyncio.timeout(PASSWORD_WAIT):
                    message = await receive()
            except TimeoutError:
                await _close(send, _REFUSED, "no password came")
                return
            if message["type"] != "websocket.receive":
                return
            password = message.get("text")
            if password is None:
                password = (message.get("bytes") or b"").decode("utf-8", "replace")
        try:
            terminal = await self._blocking(lambda: self._connect(found[2], password))
        except LookupError as problem:
            await _close(send, _FAILED, str(problem.args[0] if problem.args else problem))
            return
        except AciflowError as problem:
            await _close(send, _FAILED, str(problem))
            return
        except Exception as problem:  # the message may have the command in it, so only its kind
            log.error("a session could not be opened: %s", type(problem).__name__)  # noqa: TRY400
            await _close(send, _FAILED, "the session could not be opened")
            return
        if terminal is None:
            await _close(
                send,
                _REFUSED,
                "no such session, or it was used, has expired, or the password is wrong",
            )
            return
        session = _Session(terminal)
        self._open.add(session)
        try:
            await session.run(receive, send)
        finally:
            self._open.discard(session)
            await session.close()

    def close(self) -> None:
        """In the loop's thread: end every session."""
        for session in self._open:
            session.end()


class _Session:
    """
    Bytes both ways between a WebSocket and a terminal.

    Reading and writing a terminal block, so each has a thread of its own while the session lasts.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._loop = asyncio.get_running_loop()
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._room = threading.Semaphore(_AHEAD)
        self._input: list[str | bytes] = []
        self._pending = 0
        self._changed = threading.Condition()
        self._fits = asyncio.Event()
        self._ended = asyncio.Event()
        self._stopped = False
        self._threads = [
            threading.Thread(target=target, name="aciflow-session", daemon=True)
            for target in (self._read, self._write)
        ]

    async def run(self, receive: Receive, send: Send) -> None:
        """Until the process ends, the client goes or the server stops."""
        for thread in self._threads:
            thread.start()
        tasks = [
            asyncio.ensure_future(self._send(send)),
            asyncio.ensure_future(self._receive(receive)),
            asyncio.ensure_future(self._ended.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if tasks[0] in done:
            tasks[0].result()  # an OSError where the client went
            await _close(send, _NORMAL, "")

    def end(self) -> None:
        """In the loop's thread: let :meth:`run` return."""
        self._ended.set()

    async def close(self) -> None:
        """Let go of the terminal; its threads end by themselves, at once unless the process hangs."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._room.release(_AHEAD)
        # A thread of its own: the pool may be full of requests, and may be closed already.
        gone = asyncio.Event()
        closing = threading.Thread(
            target=self._close, args=(gone,), name="aciflow-session", daemon=True
        )
        closing.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING + 1.0):
                await gone.wait()

    def _close(self, gone: asyncio.Event) -> None:
        """In its thread: let go, and see the others end."""
        with contextlib.suppress(Exception):  # it is gone either way
            self._terminal.close()
        until = time.monotonic() + _CLOSING
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(until - time.monotonic(), 0.0))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(gone.set)

    # --- output ----------------------------------------------------------------------------

    def _read(self) -> None:
        """In its thread: what the process writes."""
        data = b"-"
        while data:
            try:
                data = self._terminal.read()
            except Exception as problem:
                log.debug("a terminal cannot be read: %s", type(problem).__name__)
                data = b""
            self._room.acquire()
            if self._stopped:
                return
            try:
                self._loop.call_soon_threadsafe(self._output.put_nowait, data)
            except RuntimeError:  # the loop is closed
                return

    async def _send(self, send: Send) -> None:
        while data := await self._output.get():
            await send({"type": "websocket.send", "bytes": data})
            self._room.release()

    # --- input -----------------------------------------------------------------------------

    async def _receive(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            data = text if text is not None else message.get("bytes") or b""
            with self._changed:
                self._input.append(data)
                self._pending += len(data)
                self._fits.clear()
                full = self._pending > _INPUT
                self._changed.notify_all()
            if full:
                await self._fits.wait()

    def _write(self) -> None:
        """In its thread: what the client sends."""
        while True:
            with self._changed:
                while not self._input and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                waiting, self._input = self._input, []
                self._pending = 0
            for data in waiting:
                try:
                    self._put(data)
                except Exception as problem:
                    log.debug("a terminal cannot be written: %s", type(problem).__name__)
            try:
                self._loop.call_soon_threadsafe(self._fits.set)
            except RuntimeError:
                return

    def _put(self, data: str | bytes) -> None:
        if isinstance(data, bytes):
            if data:
                self._terminal.write(data)
        elif (size := _resize(data)) is not None:
            self._terminal.resize(*size)
        elif data:
            self._terminal.write(data.encode())


def _resize(text: str) -> tuple[int, int] | None:
    """Rows and columns, if it is a message that says so."""
    if not text.startswith("{") or '"resize"' not in text[:32]:
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    size = message["resize"] if isinstance(message, dict) and len(message) == 1 else None
    if not isinstance(size, dict) or set(size) != {"rows", "cols"}:
        return None
    rows, columns = size["rows"], size["cols"]
    if not all(type(number) is int and 0 < number <= 10_000 for number in (rows, columns)):
        return None
    return rows, columns


async def _close(send: Send, code: int, reason: str) -> None:
    """A reason has room for 123 bytes."""
    short = reason.encode()[:123].decode("utf-8", "ignore")
    with contextlib.suppress(OSError, RuntimeError):  # the client was faster
        await send({"type": "websocket.close", "code": code, "reason": short})
