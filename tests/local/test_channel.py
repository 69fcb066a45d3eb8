"""Two ends of the processes' channel, over real sockets of this machine."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aciflow.local import channel
from aciflow.local.channel import Connection, Listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Answers with what it was asked."""
    made = Listener("secret", lambda message: message)
    yield made
    made.close()


def _failing_once(error: Exception, real: Callable[..., Any]) -> Callable[..., Any]:
    left = [error]

    def call(*args: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return real(*args, **options)

    return call


def _echoes(listener: Listener) -> bool:
    connection = Connection.open(listener.port, "secret")
    try:
        return bool(connection.ask({"a": 1}) == {"a": 1})
    finally:
        connection.close()


def _stranger(listener: Listener, data: bytes) -> tuple[bytes, float]:
    """What somebody without the secret reads, and the seconds until it is hung up on."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5.0) as sock:
        sock.sendall(data)
        try:
            read = sock.recv(100)
        except ConnectionResetError:  # closed with something unread
            read = b""
    return read, time.monotonic() - began


def test_accepting_goes_on_after_a_failure(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files is no reason to answer nobody ever again."""
    assert _echoes(listener)  # its thread waits in accept() again
    failing = _failing_once(OSError(24, "Too many open files"), socket.socket.accept)
    monkeypatch.setattr(socket.socket, "accept", failing)
    assert _echoes(listener)  # accepted by the call under way; the next one fails
    assert _echoes(listener)


def test_a_connection_that_cannot_be_served_ends_alone(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its peer is hung up on, and the next one is served."""
    failing = _failing_once(RuntimeError("can't start new thread"), threading.Thread.start)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", failing)
        with pytest.raises(OSError):
            _echoes(listener)
    assert _echoes(listener)
    assert _soon(lambda: not listener._open)


def test_a_socket_that_is_gone_at_once_ends_alone(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting its options fails where the peer has reset it, as on macOS."""
    failing = _failing_once(OSError(22, "Invalid argument"), Connection.__init__)
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "__init__", failing)
        with socket.create_connection(("127.0.0.1", listener.port), timeout=5.0) as sock:
            assert b"" == sock.recv(1)
    assert _echoes(listener)


def test_a_stranger_that_says_nothing_is_hung_up_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly it says it; a thread waits for each. Who has shown the secret may be silent."""
    monkeypatch.setattr(channel, "_GREETING", 0.2)
    friend = Connection.open(listener.port, "secret")
    read, seconds = _stranger(listener, b"\0\0")
    assert b"" == read
    assert 0.1 < seconds < 2.0
    time.sleep(0.1)
    assert {"still": "there"} == friend.ask({"still": "there"})
    friend.close()


@pytest.mark.parametrize(
    "message",
    [
        struct.pack(">I", 4097),
        struct.pack(">I", 4000) + b"[" * 4000,
        struct.pack(">I", 19) + b'{"secret":"\\ud800"}',
        struct.pack(">I", 2) + b"[]",
    ],
    ids=["long", "deep", "surrogate", "list"],
)
def test_a_stranger_that_says_too_much_is_hung_up_on(listener: Listener, message: bytes) -> None:
    """At once: it gets no memory of ours, and no traceback."""
    read, seconds = _stranger(listener, message)
    assert b"" == read
    assert seconds < 1.0


def test_long_messages_pass_after_the_welcome(listener: Listener) -> None:
    """Only strangers are kept short."""
    connection = Connection.open(listener.port, "secret")
    long = {"log": "x" * 1_000_000}
    assert long == connection.ask(long, timeout=5.0)
    connection.close()


def test_an_answer_that_does_not_come_times_out() -> None:
    """Though its first bytes came."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with other:
            other.sendall(struct.pack(">I", 10) + json.dumps("half").encode())
            connection = Connection(sock)
            with pytest.raises(TimeoutError):
                connection.receive(timeout=0.05)
            connection.close()


def _soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 2.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()
