"""
How processes that share a local endpoint talk: framed JSON over loopback TCP, after a secret.

A connection stays open, so a reply takes a tenth of a millisecond; and it breaks when the process at the
other end dies, so nobody has to ask whether it lives. No HTTP: its server would cost every script that
launches something locally 50 ms of imports.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import socket
import struct
import threading
import time

from collections.abc import Callable
from typing import Any

from aciflow.local.protocol import Reply, Request


__all__ = [
    "CLOSING",
    "Connection",
    "Listener",
    "Takeover",
    "decode_reply",
    "decode_request",
    "encode_reply",
    "encode_request",
]

_MOST = 64 * 1024 * 1024
"""Bytes in a frame; a log has at most 4 MB."""

_MOST_OF_A_STRANGER = 4096
"""Bytes in a frame of somebody who has not yet shown the secret."""

_GREETING = 2.0
"""Seconds that either end waits for the other's first message."""

CLOSING = {"closing": True}
"""Said instead of an answer: nothing came of the message, and whoever comes next has to be asked."""

_PAUSE = 0.05
"""Seconds until the next attempt where no connection can be accepted, as with too many open files."""


class Connection:
    """One end of a connection; used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def open(cls, port: int, secret: str) -> Connection:
        """
        Connect to a listener of this machine.

        Raises:
            OSError: Nobody listens, or it is not who was expected.
        """
        connection = cls(socket.create_connection(("127.0.0.1", port), timeout=_GREETING))
        try:
            if connection.ask({"secret": secret}, timeout=_GREETING) != {"welcome": True}:
                raise ConnectionRefusedError("another program answers at the endpoint's port")
        except BaseException:
            connection.close()
            raise
        return connection

    def send(self, message: Any, *, timeout: float | None = None) -> None:
        """
        Send one message.

        Args:
            message: Anything that JSON can express.
            timeout: Seconds until the other end must have room for all of it.

        Raises:
            TimeoutError: It had not.
            OSError: The other end is gone.
        """
        data = json.dumps(message, separators=(",", ":")).encode()
        self._socket.settimeout(timeout)
        self._socket.sendall(struct.pack(">I", len(data)) + data)

    def receive(self, *, timeout: float | None = None, most: int = _MOST) -> Any:
        """
        The next message.

        Args:
            timeout: Seconds until all of it must be there.
            most: Bytes that it may have.

        Raises:
            TimeoutError: It did not come in time.
            OSError: The other end is gone, or sends something else.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        (length,) = struct.unpack(">I", self._read(4, deadline))
        if length > most:
            raise ConnectionError("not a message")
        try:
            return json.loads(self._read(length, deadline))
        except (ValueError, RecursionError) as error:
            raise ConnectionError("not a message") from error

    def ask(self, message: Any, *, timeout: float | None = None) -> Any:
        """Send a message and return the answer; ``timeout`` is for either."""
        self.send(message, timeout=timeout)
        return self.receive(timeout=timeout)

    def close(self) -> None:
        """End it; wakes a thread that waits in :meth:`receive`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def forget(self) -> None:
        """Drop a fork's copy without disturbing the parent's connection."""
        self._socket.close()

    def _read(self, count: int, deadline: float | None) -> bytes:
        data = bytearray()
        if deadline is None:
            self._socket.settimeout(None)
        while len(data) < count:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                self._socket.settimeout(left)
            part = self._socket.recv(min(count - len(data), 1 << 20))
            if not part:
                raise ConnectionResetError("the other end is gone")
            data += part
        return bytes(data)


class Takeover:
    """
    An answer after which the connection serves something else.

    Args:
        reply: Sent first.
        run: Given the connection; it is closed when this returns.
        drop: Called instead where the reply could not be sent.
    """

    def __init__(
        self, reply: Any, run: Callable[[Connection], None], drop: Callable[[], None]
    ) -> None:
        self.reply = reply
        self.run = run
        self.drop = drop


class Listener:
    """
    Answers on a free port of 127.0.0.1, one thread a connection.

    Args:
        secret: What the other end has to know.
        answer: Gives the reply to a message, or a :class:`Takeover`; called from several threads at once.
    """

    def __init__(self, secret: str, answer: Callable[[Any], Any]) -> None:
        self._secret = secret
        self._answer = answer
        self._changed = threading.Condition()
        self._open: set[Connection] = set()
        self._idle: set[Connection] = set()
        self._busy = 0
        self._closed = False
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, name="aciflow-shared", daemon=True).start()

    def close(self, patience: float = 5.0) -> bool:
        """
        Answer nothing more.

        Args:
            patience: Seconds to wait for answers that are being given.

        Returns:
            Whether all of them were.
        """
        with self._changed:
            self._closed = True
            done = self._changed.wait_for(lambda: self._busy == 0, timeout=patience)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._changed:
            idle = list(self._idle)
        for connection in idle:
            # Whoever asks at this moment must know that nothing will come of it.
            with contextlib.suppress(OSError):
                connection.send(CLOSING, timeout=_GREETING)
        for connection in list(self._open):
            connection.close()
        return done

    def forget(self) -> None:
        """Drop a fork's copies."""
        self._socket.close()
        for connection in self._open:
            connection.forget()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:  # closed; or too many open files, or the peer has given up already
                if self._closed:
                    return
                time.sleep(_PAUSE)
                continue
            try:
                self._admit(sock)
            except (OSError, RuntimeError):  # it is gone, or there are too many threads
                sock.close()

    def _admit(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        with self._changed:
            if self._closed:
                connection.close()
                return
            self._open.add(connection)
        try:
            threading.Thread(
                target=self._serve, args=(connection,), name="aciflow-shared", daemon=True
            ).start()
        except BaseException:
            with self._changed:
                self._open.discard(connection)
            raise

    def _serve(self, connection: Connection) -> None:
        try:
            hello = connection.receive(timeout=_GREETING, most=_MOST_OF_A_STRANGER)
            given = str(hello.get("secret", "")) if isinstance(hello, dict) else ""
            if not hmac.compare_digest(given.encode(errors="replace"), self._secret.encode()):
                return
            connection.send({"welcome": True})
            while True:
                with self._changed:
                    self._idle.add(connection)
                message = connection.receive()
                with self._changed:
                    closed = self._closed
                    if not closed:
                        self._idle.discard(connection)
                        self._busy += 1
                if closed:  # the asker finds who comes after us
                    connection.send(CLOSING)
                    return
                answer: Any = None
                try:
                    answer = self._answer(message)
                    taken = isinstance(answer, Takeover)
                    connection.send(answer.reply if taken else answer)
                except BaseException:
                    if isinstance(answer, Takeover):
                        answer.drop()
                    raise
                finally:
                    with self._changed:
                        self._busy -= 1
                        self._changed.notify_all()
                if isinstance(answer, Takeover):
                    answer.run(connection)
                    return
        except OSError:
            pass
        finally:
            with self._changed:
                self._open.discard(connection)
                self._idle.discard(connection)
            connection.close()


def encode_request(request: Request) -> dict[str, Any]:
    """As JSON."""
    return {
        "method": request.method,
        "path": request.path,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "body": base64.b64encode(request.body).decode(),
        "base_url": request.base_url,
    }


def decode_request(message: dict[str, Any]) -> Request:
    """The inverse of :func:`encode_request`."""
    return Request(**{**message, "body": base64.b64decode(message["body"])})


def encode_reply(reply: Reply) -> dict[str, Any]:
    """As JSON."""
    return {"status": reply.status, "body": reply.body, "headers": dict(reply.headers)}


def decode_reply(message: dict[str, Any]) -> Reply:
    """The inverse of :func:`encode_reply`."""
    return Reply(**message)
