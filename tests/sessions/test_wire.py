"""The WebSocket of a session: who is trusted, by which proxy, and what is in no log."""

from __future__ import annotations

import asyncio
import logging
import ssl
import subprocess
import sys
import threading

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.arm.proxy import ConnectProxy
from websockets.sync.server import Server, serve

from aciflow.arm.settings import ArmSettings
from aciflow.errors import (
    ConfigurationError,
    ContainerNotRunningError,
    EndpointUnreachableError,
    ExecError,
)
from aciflow.sessions.grant import Grant
from aciflow.sessions.live import AsyncSession, Session
from aciflow.sessions.wire import connect, connect_async, proxy_for


PASSWORD = "the-password-of-a-session"
SETTINGS = ArmSettings(subscription_id="s", base_url="https://localhost")


class Echo:
    """A session's other end: checks the password, repeats what it is sent, and ends at ``quit``."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []

    def __call__(self, socket: Any) -> None:
        named = socket.request.headers.get("Authorization")
        said = PASSWORD if named is not None else socket.recv()
        if said.startswith("the container "):
            socket.close(1011, said)
            return
        if said != PASSWORD:
            socket.close(1008, "the password is wrong")
            return
        socket.send(b"$ ")
        for message in socket:
            self.got.append(message)
            if message == b"quit":
                return
            socket.send(message if isinstance(message, bytes) else b"resized")


@pytest.fixture
def echo() -> Echo:
    """What was sent to the other end."""
    return Echo()


@pytest.fixture
def server(echo: Echo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It, over TLS; the environment names who signed its certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # this server, too, reads and writes from two threads
    authority.issue_cert("localhost", "session.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve(echo, "127.0.0.1", 0, ssl=context) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def port_of(server: Server) -> int:
    """Where it listens."""
    port: int = server.socket.getsockname()[1]
    return port


def grant(server: Server, **changes: Any) -> Grant:
    """A session there."""
    uri = f"wss://localhost:{port_of(server)}/execstream/sessionId/1?api-version=1.0"
    return Grant(**{"uri": uri, "password": PASSWORD, "kind": "exec", **changes})


@pytest.mark.parametrize("kind", ["exec", "attach"])
def test_bytes_both_ways(
    server: Server, echo: Echo, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Sync and async; and no log has the password or what was typed, at whatever level."""
    caplog.set_level(logging.DEBUG)

    with Session(connect(grant(server, kind=kind), SETTINGS, resizes=True)) as session:
        assert session.read(timeout=20) == b"$ "
        session.write("typed\xfc")
        assert session.read(timeout=20) == "typed\xfc".encode()
        session.resize(30, 100)
        assert session.read(timeout=20) == b"resized"
        session.write(b"quit")
        assert list(session) == []

    async def main() -> None:
        terminal = await connect_async(grant(server, kind=kind), SETTINGS, resizes=False)
        async with AsyncSession(terminal) as session:
            assert await session.read() == b"$ "
            await session.resize(30, 100)
            await session.write(b"y" * 100_000)
            seen = 0
            while seen < 100_000:
                seen += len(await session.read())
            await session.write("quit")
            assert [text async for text in session] == []

    with asyncio.Runner() as runner:
        runner.run(main())
    assert [one for one in echo.got if isinstance(one, str)] == [
        '{"resize": {"rows": 30, "cols": 100}}'
    ]
    ours = [one for one in caplog.records if not one.name.startswith("websockets.server")]
    assert [
        one for one in ours if PASSWORD in one.getMessage() or "typed" in one.getMessage()
    ] == []
    assert PASSWORD not in repr(grant(server))


def test_a_wrong_password(server: Server) -> None:
    """The reason is told, and the password is not in it."""
    with (
        Session(connect(grant(server, password="wrong"), SETTINGS, resizes=True)) as session,
        pytest.raises(ExecError, match="refused: the password is wrong") as caught,
    ):
        session.read(timeout=20)
    assert "wrong-" not in str(caught.value)


@pytest.mark.parametrize("reason", ["the container is not running", "the container does not run"])
def test_a_container_that_has_ended(server: Server, reason: str) -> None:
    """The same error as from an endpoint in this process: ARM takes an exec for it, too."""
    with (
        Session(connect(grant(server, password=reason), SETTINGS, resizes=True)) as session,
        pytest.raises(ContainerNotRunningError, match=reason),
    ):
        session.read(timeout=20)


def test_nothing_to_read(server: Server) -> None:
    """A time-out of reading is one, and loses nothing."""
    with Session(connect(grant(server), SETTINGS, resizes=True)) as session:
        assert session.read(timeout=20) == b"$ "
        with pytest.raises(TimeoutError, match=r"nothing came within 0\.05 s"):
            session.read(timeout=0.05)
        session.write(b"x")
        assert session.read(timeout=20) == b"x"


def test_strangers_are_not_trusted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who the environment, or the endpoint's settings, trust; and only over TLS."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(EndpointUnreachableError, match="its certificate is not trusted"):
        connect(grant(server), SETTINGS, resizes=True)
    anybody = ArmSettings(subscription_id="s", verify=False)
    connect(grant(server), anybody, resizes=True).close()
    plain = grant(server).uri.replace("wss", "ws")
    with pytest.raises(ConfigurationError, match="is not on TLS"):
        connect(grant(server, uri=plain), SETTINGS, resizes=True)


def test_nobody_there(server: Server) -> None:
    """No connection."""
    gone = grant(server).uri.replace(str(port_of(server)), "1")
    with pytest.raises(
        EndpointUnreachableError, match="cannot connect to the session on localhost:1"
    ):
        connect(grant(server, uri=gone), SETTINGS, resizes=True)


def test_through_the_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions take the proxy that ARM's requests take."""
    uri = "wss://session.example:19390/execstream/sessionId/1"
    with ConnectProxy(("127.0.0.1", port_of(server))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with Session(connect(grant(server, uri=uri), SETTINGS, resizes=True)) as session:
            assert session.read(timeout=20) == b"$ "
        assert proxy.connected == ["session.example:19390"]


def test_a_proxy_that_is_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a mistake of the environment's, told without what may be its password."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:secret@proxy")
    with pytest.raises(ConfigurationError, match="no URL of a proxy") as caught:
        connect(grant(server), SETTINGS, resizes=True)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_which_proxy(
    environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for ARM: HTTPS_PROXY or ALL_PROXY, unless NO_PROXY has the host."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert proxy_for("session.example", 19390) == expected


def test_without_the_extra() -> None:
    """Without a WebSocket library the error says what installs one."""
    code = (
        "import sys; sys.modules['websockets'] = None\n"
        "from aciflow import MissingExtraError\n"
        "try:\n    import aciflow.sessions.wire\n"
        "except MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip().endswith("needs: pip install 'aciflow[exec]'")
