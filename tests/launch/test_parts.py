"""Records on disk, probes of real sockets, and the conditions that are made of them."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aciflow import Ready, ValidationError
from aciflow.books import Books
from aciflow.errors import ConfigurationError
from aciflow.flow.effects import HttpProbe, ProbeResult, TcpProbe
from aciflow.flow.ids import ResourceGroupRef
from aciflow.ledger import Ledger
from aciflow.probes import AsyncNetworkProber, NetworkProber


Probe = Callable[[TcpProbe | HttpProbe], ProbeResult]


def _sync(probe: TcpProbe | HttpProbe) -> ProbeResult:
    prober = NetworkProber()
    try:
        return prober.probe(probe)
    finally:
        prober.close()


def _async(probe: TcpProbe | HttpProbe) -> ProbeResult:
    async def main() -> ProbeResult:
        prober = AsyncNetworkProber()
        try:
            return await prober.probe(probe)
        finally:
            await prober.close()

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def probe(request: pytest.FixtureRequest) -> Probe:
    """One attempt, from a thread or on a loop."""
    chosen: Probe = request.param
    return chosen


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is served by ``serve`` and then closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def wait_for_more(connection: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    while connection.recv(4096):
        pass


def test_a_connection_that_stays_open_is_ready(probe: Probe) -> None:
    """Silence is fine: 50 ms without an end are enough."""
    with listening(wait_for_more) as port:
        assert probe(TcpProbe(host="127.0.0.1", port=port)).ready


def test_a_connection_that_brings_data_is_ready(probe: Probe) -> None:
    """Even if it is closed right after, as by a server that greets and leaves."""
    with listening(lambda connection: connection.sendall(b"220 hello")) as port:
        assert probe(TcpProbe(host="127.0.0.1", port=port)).ready


def test_a_proxy_that_accepts_and_closes_is_not(probe: Probe) -> None:
    """As an engine's does before anything listens behind it."""
    with listening(lambda _: None) as port:
        result = probe(TcpProbe(host="127.0.0.1", port=port))
    assert (False, "closed") == (result.ready, result.reason)


def test_where_nothing_listens(probe: Probe) -> None:
    """Refused, over TCP and over HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for one in (
        TcpProbe(host="127.0.0.1", port=port),
        HttpProbe(host="127.0.0.1", port=port, path="/", status=range(200, 400)),
    ):
        result = probe(one)
        assert (False, "refused") == (result.ready, result.reason)
        assert str(port) in result.detail


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", "ok"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status"),
        (b"", "closed"),
        (b"SSH-2.0-OpenSSH\r\n", "closed"),
    ],
)
def test_http(probe: Probe, reply: bytes, expected: str) -> None:
    """The status decides; what is no HTTP at all is not ready."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(reply)

    with listening(serve) as port:
        result = probe(
            HttpProbe(host="127.0.0.1", port=port, path="/x", status=range(200, 400), timeout=2.0)
        )
    assert expected == result.reason
    assert result.ready == (expected == "ok")


def test_http_that_never_answers(probe: Probe) -> None:
    """The attempt ends in time."""
    with listening(wait_for_more) as p:
        result = probe(
            HttpProbe(host="127.0.0.1", port=p, path="/", status=range(200, 400), timeout=0.2)
        )
    assert "timeout" == result.reason


def test_records_are_private_and_whole(tmp_path: Path) -> None:
    """0600 in a 0700 folder, replaced as a whole, cleared once or twice."""
    ledger = Ledger(tmp_path / "state" / "ledger")
    assert [] == ledger.records()
    old = os.umask(0)
    try:
        ledger.write({"launch_id": "b", "id": "/B", "began": 2.0})
        ledger.write({"launch_id": "a", "id": "/a", "began": 1.0, "stage": "intended"})
        ledger.write({"launch_id": "a", "id": "/a", "began": 1.0, "stage": "accepted"})
    finally:
        os.umask(old)
    folder = tmp_path / "state" / "ledger"
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert ["accepted", None] == [record.get("stage") for record in ledger.records()]
    ledger.clear_id("/b")
    ledger.clear("a")
    ledger.clear("a")
    assert [] == list(folder.iterdir())


def test_a_record_that_is_no_json_is_passed_over(tmp_path: Path) -> None:
    """Somebody else's rubbish does not keep a client from working."""
    ledger = Ledger(tmp_path)
    ledger.write({"launch_id": "a", "id": "/a", "began": 1.0})
    (tmp_path / "x.json").write_text("{")
    assert ["a"] == [record["launch_id"] for record in ledger.records()]


def test_conditions_combine() -> None:
    """Each once, in order, and said in words."""
    both = Ready.http("/healthz", 8080) & Ready.log("up") & Ready.http("/healthz", 8080)
    assert "http port 8080 /healthz and log /up/" == str(both)
    assert "running and completed and tcp" == str(Ready.running() & Ready.completed() & Ready.tcp())
    assert (204,) == getattr(Ready.http(status=204).checks[0], "status", None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ready.tcp(0),
        lambda: Ready.tcp(timeout=0),
        lambda: Ready.tcp(via="nowhere"),  # type: ignore[arg-type]
        lambda: Ready.http("healthz"),
        lambda: Ready.log("("),
    ],
    ids=["port", "timeout", "via", "path", "pattern"],
)
def test_conditions_that_make_no_sense(make: Callable[[], Ready]) -> None:
    """They are refused where they are made."""
    with pytest.raises(ValidationError, match=r"ready\."):
        make()


def test_closed_books_take_no_more() -> None:
    """Nothing begins on a client that is closed; a fork begins anew."""
    books = Books(lambda name: ResourceGroupRef(subscription_id="s", name=name, azure=False))
    use = books.use()
    assert books.made_up(use)
    assert books.use() is use
    assert books.use("Named") is books.use("named")
    books.reset()
    assert books.use() is not use
    books.close()
    with pytest.raises(ConfigurationError, match="closed"):
        books.check_open()
