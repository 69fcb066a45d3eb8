"""Connections that the engine takes over, over each way in which an engine is reached."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.engine.conftest import Rig
from tests.images import Engine

from aciflow.local.protocol import OpenTerminal
from aciflow.local.runtime.engine import EngineAddress
from aciflow.local.runtime.engine.client import EngineError
from aciflow.local.runtime.engine.hijack import Wire, upgrade


class Forward:
    """Passes connections on to the engine's socket, over TLS if it has a context for it."""

    def __init__(self, path: str, context: ssl.SSLContext | None) -> None:
        self._path = path
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(peer)
            self._start(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        # A pump reads while the other one writes, so TLS needs its own way here too.
        engine = socket.socket(socket.AF_UNIX)
        self._sockets.append(engine)
        engine.connect(self._path)
        if self._context is None:
            self._start(_pump, peer.recv, engine.sendall, engine)
            _pump(engine.recv, peer.sendall, peer)
            return
        lock = threading.Lock()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self._context.wrap_bio(incoming, outgoing, server_side=True)

        def receive(size: int) -> bytes:
            while True:
                with lock:
                    try:
                        return session.read(size)
                    except ssl.SSLWantReadError:
                        pass
                    except ssl.SSLError:
                        return b""
                    peer.sendall(outgoing.read())
                data = peer.recv(size)
                with lock:
                    incoming.write(data) if data else incoming.write_eof()

        def send(data: bytes) -> None:
            with lock:
                session.write(data)
                peer.sendall(outgoing.read())

        self._start(_pump, receive, engine.sendall, engine)
        _pump(engine.recv, send, peer)

    def close(self) -> None:
        """End every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (self._listener, *self._sockets):
            one.close()


def _pump(
    receive: Callable[[int], bytes], send: Callable[[bytes], None], other: socket.socket
) -> None:
    with contextlib.suppress(OSError):
        while data := receive(65536):
            send(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["tcp", "tls"])
def address(
    request: pytest.FixtureRequest, engine: Engine, tmp_path: Path
) -> Iterator[EngineAddress]:
    """The engine, as if it listened on TCP, or on TCP with TLS."""
    if not engine.address.startswith("unix://"):
        pytest.skip("the engine is not on a Unix socket")
    context = None
    if request.param == "tls":
        authority = trustme.CA()
        own = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        own.private_key_pem.write_to_path(tmp_path / "key.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    forward = Forward(engine.address.removeprefix("unix://"), context)
    where = f"127.0.0.1:{forward.port}"
    if context is None:
        yield EngineAddress(f"tcp://{where}", "test")
    else:
        yield EngineAddress(f"https://{where}", "test", certificates=str(tmp_path))
    forward.close()


@pytest.mark.engine
def test_a_terminal_over_the_network(address: EngineAddress, rigs: Callable[..., Rig]) -> None:
    """Much both ways at once: one thread reads all that another types, bit for bit."""
    rig = rigs(engine=address, addresses="bridge")
    uid = rig.open()
    rig.shell(uid, "exec sleep 300")
    wanted = OpenTerminal(uid=uid, container="c", kind="exec", command="/bin/sh")
    terminal = rig.runtime.terminal(wanted)
    shown = bytearray()
    terminal.write(b"busybox stty raw -echo; printf rea''dy; exec cat\n")
    while b"ready" not in shown:
        shown += terminal.read()
    del shown[: shown.index(b"ready") + 5]
    data = bytes(range(256)) * 1000 + b"."
    writer = threading.Thread(target=terminal.write, args=(data,))
    writer.start()
    while len(shown) < len(data):
        shown += terminal.read()
    writer.join()
    assert data == bytes(shown)
    reader = threading.Thread(target=terminal.read)
    reader.start()
    terminal.close()
    reader.join(20)
    assert not reader.is_alive()
    assert b"" == terminal.read()


@pytest.mark.engine
def test_what_the_engine_refuses_is_said(engine: Engine) -> None:
    """With its own words and status, and nothing is left open."""
    with pytest.raises(EngineError, match=r"(?i)no such exec") as refused:
        upgrade(EngineAddress(engine.address, "test"), "/v1.41/exec/none/start", {"Tty": True})
    assert 404 == refused.value.status


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200"])
def test_what_is_no_engine(said: bytes) -> None:
    """It breaks off; and where nobody listens nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = EngineAddress(f"tcp://127.0.0.1:{listener.getsockname()[1]}", "test")

        def answer() -> None:
            with listener.accept()[0] as peer:
                peer.recv(4096)
                peer.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(EngineError, match="broke off"):
            upgrade(address, "/exec/x/start", {})
        thread.join()
    with pytest.raises(EngineError, match="does not answer"):
        upgrade(address, "/exec/x/start", {})


@pytest.mark.parametrize(
    "switched", [b"101 UPGRADED\r\nUpgrade: tcp\r\nConnection: Upgrade", b"200 OK"]
)
def test_what_comes_with_the_head_is_not_lost(switched: bytes) -> None:
    """Also where an engine takes over without saying that it changes protocols."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = EngineAddress(f"tcp://127.0.0.1:{listener.getsockname()[1]}", "test")

        def answer() -> None:
            with listener.accept()[0] as peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 " + switched + b"\r\n\r\nfirst")
                peer.sendall(peer.recv(4096).upper())

        thread = threading.Thread(target=answer)
        thread.start()
        wire = upgrade(address, "/exec/x/start", {})
        assert b"first" == wire.read(20)
        wire.write(b"then")
        assert b"THEN" == wire.read(20)
        assert b"" == wire.read(20)
        thread.join()
    wire.close()
    wire.close()
    with pytest.raises(BrokenPipeError):
        wire.write(b"late")


def test_a_read_that_waits_too_long() -> None:
    """Says so, and the wire goes on."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours)
    with theirs:
        with pytest.raises(TimeoutError):
            wire.read(0.01)
        theirs.sendall(b"late")
        assert b"late" == wire.read(20)
    wire.close()
