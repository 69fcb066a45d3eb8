"""WebSockets of exec and attach, with a real terminal at the other end."""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
import threading

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
import websocket

from tests.served.shell import ShellRuntime
from tests.waiting import until
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from aciflow.local import LocalAzure
from aciflow.local.protocol import OpenTerminal
from aciflow.local.served import sessions as module
from aciflow.local.served.server import Served
from aciflow.local.service import OwnService


class Place:
    """A served endpoint whose containers have terminals."""

    def __init__(self, local: LocalAzure, served: Served, shells: ShellRuntime) -> None:
        self.local, self.served, self.shells = local, served, shells

    def session(self, command: str, **more: Any) -> tuple[str, str]:
        """A new one: its URL and password."""
        service = self.local._service
        assert isinstance(service, OwnService)
        values: dict[str, Any] = {"container": "web", "kind": "exec", **more}
        wanted = OpenTerminal(uid="u", command=command, **values)
        made = service.endpoint.state.add_session(wanted, self.local.clock())
        kind = "logstream" if wanted.kind == "attach" else "execstream"
        base = self.served.url.replace("https", "wss")
        return f"{base}/{kind}/sessionId/{made.id}?api-version=1.0&rows=24&cols=80", made.password

    def connect(self, url: str, **options: Any) -> AbstractContextManager[ClientConnection]:
        """With the ``websockets`` library."""
        context = ssl.create_default_context(cafile=str(self.served.ca_file))
        made: AbstractContextManager[ClientConnection] = connect(
            url, ssl=context, proxy=None, **options
        )
        return made

    @contextmanager
    def open(self, command: str, **more: Any) -> Iterator[ClientConnection]:
        """Connected, and the password sent."""
        url, password = self.session(command, **more)
        with self.connect(url) as connection:
            connection.send(password)
            yield connection


@pytest.fixture
def place(shells: ShellRuntime) -> Iterator[Place]:
    """It."""
    with LocalAzure(shells) as local, local.serve() as served:
        yield Place(local, served, shells)


def _all(connection: ClientConnection) -> bytes:
    """All output until the server closes."""
    output = b""
    for message in connection:
        assert isinstance(message, bytes)
        output += message
    return output


def test_a_command_runs_to_its_end(place: Place) -> None:
    """Its output comes as binary messages, and then the socket closes as it should."""
    with place.open("echo out; echo err >&2; exit 3") as connection:
        assert _all(connection) == b"out\r\nerr\r\n"
        assert connection.close_code == 1000


def test_input_reaches_the_process(place: Place) -> None:
    """Text and binary messages are both input, in their order."""
    with place.open("stty -echo; echo ready; read a; read b; echo $a-$b") as connection:
        assert connection.recv() == b"ready\r\n"
        connection.send("one\n")
        connection.send(b"two\n")
        assert _all(connection) == b"one-two\r\n"


def test_the_terminal_has_the_size_that_was_asked_for_and_can_be_resized(place: Place) -> None:
    """Rows and columns of the session, then those of a resize message."""
    with place.open("stty -echo; stty size; read _; stty size", rows=11, columns=33) as connection:
        assert connection.recv() == b"11 33\r\n"
        connection.send('{"resize":{"rows":50,"cols":132}}')
        connection.send("\n")
        assert _all(connection) == b"50 132\r\n"


@pytest.mark.parametrize(
    "text",
    [
        '{"resize":{"rows":0,"cols":80}}',
        '{"resize":{"rows":true,"cols":80}}',
        '{"resize":{"rows":24}}',
        '{"resize":{"rows":24,"cols":80},"more":1}',
        '{"resize":1',
        '["resize"]',
        '{"resize":' + "[" * 3000,
    ],
)
def test_what_only_looks_like_a_resize_is_input(place: Place, text: str) -> None:
    """Nothing that is typed gets lost."""
    with place.open("stty -echo; echo ready; read -r a; echo $a") as connection:
        assert connection.recv() == b"ready\r\n"
        connection.send(text + "\n")
        assert _all(connection) == text.encode() + b"\r\n"


def test_much_output_all_comes(place: Place) -> None:
    """Also to a client that reads later than it is written."""
    with place.open("stty -opost; head -c 3000000 /dev/zero; echo end") as connection:
        output = _all(connection)

    assert len(output) == 3_000_000 + len("end\n")
    assert output.endswith(b"\0end\n")


def test_much_input_all_arrives(place: Place) -> None:
    """More than the terminal takes at once."""
    expected = hashlib.md5(b"\1" * 2_000_000).hexdigest().encode()
    command = "stty raw -echo; echo ready; head -c 2000000 | md5sum"
    with place.open(command) as connection:
        assert connection.recv().startswith(b"ready")  # type: ignore[arg-type]
        for _ in range(200):
            connection.send(b"\1" * 10_000)
        assert _all(connection).split()[0] == expected


def test_a_wrong_password_opens_nothing(place: Place) -> None:
    """1008 with the reason, and the right one still works afterwards."""
    url, password = place.session("echo hi")
    with place.connect(url) as connection:
        connection.send("wrong")
        with pytest.raises(ConnectionClosedError):
            connection.recv()
        assert connection.close_code == 1008
        assert "password" in (connection.close_reason or "")
    assert not place.shells.opened
    with place.connect(url) as connection:
        connection.send(password)
        assert _all(connection) == b"hi\r\n"


def test_a_session_opens_once(place: Place) -> None:
    """Its second use is refused like an unknown one."""
    url, password = place.session("true")
    codes = []
    for address in (url, url, url.replace("sessionId/", "sessionId/not-")):
        with place.connect(address) as connection:
            connection.send(password)
            with pytest.raises(ConnectionClosed):
                connection.recv()
            codes.append(connection.close_code)

    assert codes == [1000, 1008, 1008]


def test_a_late_password_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that says nothing does not stay."""
    monkeypatch.setattr(module, "PASSWORD_WAIT", 0.05)
    url, _ = place.session("true")
    with place.connect(url) as connection:
        with pytest.raises(ConnectionClosedError):
            connection.recv()
        assert (connection.close_code, connection.close_reason) == (1008, "no password came")


def test_no_log_has_the_password(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """However much is logged: the library below us would write down every frame."""
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets.client").setLevel(logging.INFO)  # the client's is not ours
        url, password = place.session("echo typed-secret", kind="attach")
        headers = {"Authorization": password}
        with place.connect(url, additional_headers=headers) as connection:
            _all(connection)
        url, other = place.session("echo typed-secret")
        with place.connect(url) as connection:
            connection.send(other)
            _all(connection)

    assert len(place.shells.opened) == 2
    for secret in (password, other, "typed-secret"):
        assert secret not in caplog.text


def test_attach_takes_the_password_as_a_header(place: Place) -> None:
    """As Azure's documentation has it; as a message works as well."""
    url, password = place.session("echo attached", kind="attach")
    with place.connect(url, additional_headers={"Authorization": password}) as connection:
        assert _all(connection) == b"attached\r\n"
    with place.open("echo again", kind="attach") as connection:
        assert _all(connection) == b"again\r\n"


def test_a_container_that_is_gone_is_said_so(place: Place) -> None:
    """The reason is in the close, in words."""
    with place.open("true", container="gone") as connection:
        with pytest.raises(ConnectionClosedError):
            connection.recv()
        assert connection.close_code == 1011
        assert connection.close_reason == "the container does not run any more"


def test_other_paths_are_no_websockets(place: Place) -> None:
    """They are refused before the handshake."""
    elsewhere = place.served.url.replace("https", "wss") + "/subscriptions"
    with pytest.raises(InvalidStatus) as refused, place.connect(elsewhere):
        pass

    assert refused.value.response.status_code == 403


def test_a_client_that_leaves_ends_the_process(place: Place) -> None:
    """The process loses its terminal, as when a window is closed."""
    with place.open("echo ready; sleep 600") as connection:
        assert connection.recv() == b"ready\r\n"

    until(place.shells.opened[0].closed.is_set)
    assert place.shells.opened[0].process.returncode is not None


def test_a_client_that_breaks_off_ends_the_process(place: Place) -> None:
    """Also without a good-bye."""
    with place.open("echo ready; sleep 600") as connection:
        assert connection.recv() == b"ready\r\n"
        connection.socket.shutdown(socket.SHUT_RDWR)

        until(place.shells.opened[0].closed.is_set)


def test_the_library_that_az_uses(place: Place) -> None:
    """websocket-client: the password first, then input as az sends it, output until it closes."""
    url, password = place.session("stty -echo; echo ready; read a; echo got $a")
    client = websocket.create_connection(url, sslopt={"ca_certs": str(place.served.ca_file)})
    try:
        client.send(password)
        assert client.recv() == b"ready\r\n"
        client.send("x")
        client.send("y\n")
        assert client.recv() == b"got xy\r\n"
        opcode, _ = client.recv_data(control_frame=True)
        assert opcode == websocket.ABNF.OPCODE_CLOSE
    finally:
        client.shutdown()  # its close() does nothing once the other side has closed


def test_stopping_does_not_wait_for_a_client_that_does_not_close(place: Place) -> None:
    """TLS would wait half a minute for its good-bye."""
    url, password = place.session("true")
    client = websocket.create_connection(url, sslopt={"ca_certs": str(place.served.ca_file)})
    try:
        client.send(password)
        assert client.recv_data(control_frame=True)[0] == websocket.ABNF.OPCODE_CLOSE
        place.served.close()
        assert not [one for one in threading.enumerate() if one.name == "aciflow-served"]
    finally:
        client.shutdown()


def test_stopping_ends_open_sessions(place: Place) -> None:
    """Clients hear it, processes end, and nothing waits for either."""
    with ExitStack() as clients:
        connections = [clients.enter_context(place.open("echo ready; sleep 600")) for _ in range(3)]
        for connection in connections:
            assert connection.recv() == b"ready\r\n"

        place.served.close()

        for connection in connections:
            with pytest.raises(ConnectionClosed):
                connection.recv()
    assert all(terminal.closed.is_set() for terminal in place.shells.opened)


def test_stopping_does_not_wait_for_a_client_that_never_says_its_password(place: Place) -> None:
    """It is cut off like the others."""
    url, _ = place.session("true")
    with place.connect(url) as connection:
        place.served.close()
        with pytest.raises(ConnectionClosed):
            connection.recv()
