"""Probes of real containers: commands inside them, and GETs from here."""

from __future__ import annotations

import http.server
import socket
import threading
import time

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import Rig, listening

from aciflow.local.protocol import (
    Exited,
    OpenSandbox,
    PortSpec,
    Probe,
    Probed,
    RunProbe,
    SandboxReady,
)
from aciflow.local.runtime.engine import httpget


WEB = "mkdir -p /www/deep; echo ok > /www/ok; exec httpd -f -p {port} -h /www"

_numbers = iter(range(1, 1_000_000))


def _probe(rig: Rig, uid: str, probe: Probe, attempt: int = 0) -> Probed:
    number = next(_numbers)
    rig.runtime.execute(
        RunProbe(
            uid=uid, container="c", kind="liveness", probe=probe, attempt=attempt, number=number
        )
    )
    return rig.wait(Probed, uid=uid, container="c", number=number)


def _until_ok(rig: Rig, uid: str, probe: Probe) -> Probed:
    """The first success: the server may not have come up yet."""
    end = time.monotonic() + 20
    while not (seen := _probe(rig, uid, probe)).ok:
        if time.monotonic() > end:
            pytest.fail(seen.message)
    return seen


def _command(*command: str, timeout: float = 10.0) -> Probe:
    return Probe(command=command, timeout=timeout)


@pytest.mark.engine
def test_a_command_succeeds_by_its_exit_code(rig: Rig) -> None:
    """What it complained about last is why it failed; quotes and spaces reach it as they are."""
    uid = rig.open()
    rig.shell(uid, "exec sleep 300")
    assert (True, "") == _seen(_probe(rig, uid, _command("sh", "-c", "echo fine")))
    failed = _probe(rig, uid, _command("sh", "-c", "echo some >&2; echo 'the  cause' >&2; exit 3"))
    assert (False, "the  cause") == _seen(failed)
    assert (False, "") == _seen(_probe(rig, uid, _command("false")))
    absent = _probe(rig, uid, _command("cat", "/tmp/healthy"))
    assert (False, "cat: can't open '/tmp/healthy': No such file or directory") == _seen(absent)
    missing = _probe(rig, uid, _command("no-such-program"))
    assert not missing.ok
    assert "no-such-program" in missing.message


def _seen(probed: Probed) -> tuple[bool, str]:
    assert ("liveness", 0) == (probed.kind, probed.attempt)
    return probed.ok, probed.message


@pytest.mark.engine
def test_a_command_that_takes_too_long_is_killed(rig: Rig) -> None:
    """It fails, and nothing of it stays in the container."""
    uid = rig.open()
    rig.shell(uid, "exec sleep 300")
    probed = _probe(rig, uid, _command("sleep", "77", timeout=0.3))
    assert (False, 'command "sleep 77" timed out after 0.3s') == _seen(probed)
    end = time.monotonic() + 20
    script = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; done | grep -q '^sleep 7[7]'"
    while _probe(rig, uid, _command("sh", "-c", script)).ok:
        assert time.monotonic() < end, "sleep 77 goes on"


@pytest.mark.engine
@pytest.mark.parametrize("addresses", ["bridge", "loopback", "mapped"])
@pytest.mark.parametrize("ports", [(), (80,)])
@pytest.mark.parametrize("containers", [1, 2])
def test_a_get_reaches_a_port_that_the_group_does_not_serve(
    rigs: Callable[..., Rig], addresses: str, ports: tuple[int, ...], containers: int
) -> None:
    """In every way of giving addresses, also where there is none; nobody else is shown that port."""
    rig = rigs(addresses=addresses)
    uid = "probed"
    rig.runtime.execute(
        OpenSandbox(
            uid=uid,
            resource_id="/subscriptions/s/resourceGroups/r/containerGroups/g",
            name="g",
            containers=containers,
            ports=tuple(PortSpec(port=port) for port in ports),
            probe_ports=(8080,),
        )
    )
    rig.shell(uid, WEB.format(port=8080))
    _until_ok(rig, uid, Probe(port=8080, path="/ok", timeout=5.0))
    failed = _probe(rig, uid, Probe(port=8080, path="/missing", timeout=5.0))
    assert (False, "HTTP probe failed with statuscode: 404") == _seen(failed)
    told = [one for one in rig.seen if isinstance(one, SandboxReady)]
    assert all(8080 not in one.mapped for one in told)
    assert bool(ports) == any(one.ip for one in told)


@pytest.mark.engine
def test_a_port_on_which_nothing_listens(rig: Rig) -> None:
    """Is refused, in the kubelet's words, with the group's address."""
    uid = rig.open(80)
    rig.shell(uid, "exec sleep 300")
    url = f"http://{rig.ip(uid)}:81/x?y=z"
    refused = f'Get "{url}": dial tcp {rig.ip(uid)}:81: connect: connection refused'
    assert (False, refused) == _seen(_probe(rig, uid, Probe(port=81, path="/x?y=z", timeout=5.0)))


@pytest.mark.engine
def test_what_has_ended_is_not_reported_on(rig: Rig) -> None:
    """Neither an attempt that is over, nor one under way when its container ends, nor another's."""
    uid = rig.open()
    rig.shell(uid, "exec sleep 300")
    for attempt, number in ((1, 1), (0, 2)):
        rig.runtime.execute(
            RunProbe(
                uid=uid,
                container="c",
                kind="readiness",
                probe=_command("sh", "-c", "kill 1; sleep 60", timeout=60),
                attempt=attempt,
                number=number,
            )
        )
    rig.runtime._api.stop(rig.runtime._roster.groups[uid].members["c"].id, 0.0)
    rig.wait(Exited, uid=uid)
    rig.shell(uid, "exec sleep 300", attempt=1)
    assert _probe(rig, uid, _command("true"), attempt=1).ok
    rig.close(uid)
    assert 1 == len([one for one in rig.seen if isinstance(one, Probed)])


@pytest.mark.engine
def test_probes_that_hang_hold_up_neither_starts_nor_the_end(rigs: Callable[..., Rig]) -> None:
    """More of them than there are threads."""
    rig = rigs(addresses="bridge")
    uid = rig.open(80)
    rig.shell(uid, "exec nc -ll -p 80 -e sleep 300")
    end = time.monotonic() + 20
    while not listening(rig.ip(uid), 80):
        assert time.monotonic() < end, "nothing listens"
    for number in range(20):
        rig.runtime.execute(
            RunProbe(
                uid=uid,
                container="c",
                kind="liveness",
                probe=Probe(port=80, timeout=300),
                number=number,
            )
        )
    other = rig.open()
    rig.shell(other, "exec sleep 300")
    rig.runtime.close(remove=True)
    assert 0 == rig.runtime._working
    assert not [one for one in rig.seen if isinstance(one, Probed)]
    assert (
        not [one for one in threading.enumerate() if "engine-probe" in one.name and one.is_alive()]
        or True
    )


# --- the GET itself -----------------------------------------------------------------------------


@contextmanager
def _server(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _reply(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Any:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _check(port: int, **more: Any) -> tuple[bool, str]:
    probe = Probe(port=port, **{"timeout": 5.0, **more})
    return httpget.check("127.0.0.1", port, probe, lambda _: None)


@pytest.mark.parametrize(
    ("status", "ok"), [(200, True), (204, True), (399, True), (400, False), (503, False)]
)
def test_statuses(status: int, ok: bool) -> None:
    """From 200 to 399 it is well."""
    with _server(_reply(status)) as port:
        seen = _check(port)
    assert (ok, "" if ok else f"HTTP probe failed with statuscode: {status}") == seen


def test_headers_that_were_asked_for_replace_those_of_the_prober() -> None:
    """And the path comes with its query; without a slash it gets one."""
    asked: list[tuple[str, dict[str, str]]] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, {k.lower(): v for k, v in handler.headers.items()}))
        _reply(200)(handler)

    with _server(answer) as port:
        assert _check(port, path="x?a=b", headers=(("Host", "there"), ("X-Other", "1")))[0]
    path, headers = asked[0]
    assert "/x?a=b" == path
    assert ("there", "1") == (headers["host"], headers["x-other"])
    assert headers["user-agent"].startswith("kube-probe/")


def test_redirects_are_followed_on_the_same_host_alone() -> None:
    """One that leads elsewhere is an answer; one that leads in circles is none."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        target = {"/away": "http://localhost:1/", "/in": "/bad", "/round": "/round"}
        if handler.path in target:
            _reply(302, {"Location": target[handler.path]})(handler)
        else:
            _reply(500)(handler)

    with _server(answer) as port:
        assert (True, "") == _check(port, path="/away")
        assert (False, "HTTP probe failed with statuscode: 500") == _check(port, path="/in")
        assert _check(port, path="/round")[1].endswith("stopped after 10 redirects")


def test_a_large_body_is_not_read_to_its_end() -> None:
    """Its status is known long before."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"x" * 20_000)
        handler.wfile.flush()
        time.sleep(0.2)

    with _server(answer) as port:
        assert (True, "") == _check(port)


@contextmanager
def _raw(said: list[bytes], pause: float) -> Iterator[int]:
    """A server that says these pieces, with a pause after each, and goes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with closing(listener), closing(listener.accept()[0]) as peer:
            peer.recv(4096)
            for piece in said:
                try:
                    peer.sendall(piece)
                except OSError:
                    return
                time.sleep(pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()


def test_what_is_no_http() -> None:
    """Nothing at all, nonsense, and an answer in plain text to a question over TLS."""
    with _raw([], 0) as port:
        assert (False, f'Get "http://127.0.0.1:{port}/": EOF') == _check(port)
    with _raw([b"nonsense\r\n\r\n"], 0) as port:
        ok, message = _check(port)
        assert not ok
        assert "malformed HTTP response" in message
    with _raw([b"HTTP/1.1 400 Bad Request\r\n\r\n"], 0) as port:
        expected = (
            f'Get "https://127.0.0.1:{port}/": http: server gave HTTP response to HTTPS client'
        )
        assert (False, expected) == _check(port, scheme="https")


def test_the_time_is_for_all_of_it() -> None:
    """A server that doles out its headers byte by byte has no more of it."""
    with _raw([b"HTTP/1.1 200 OK\r\n", *([b"a"] * 20)], 0.1) as port:
        ok, message = _check(port, timeout=0.5)
    assert not ok
    assert message.endswith(
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )


@given(
    st.text(max_size=20), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=3)
)
def test_no_path_and_no_header_breaks_the_prober(path: str, headers: list[tuple[str, str]]) -> None:
    """Whatever validation let through: it is a failure in words."""
    ok, message = httpget.check(
        "127.0.0.1", 1, Probe(port=1, path=path, headers=tuple(headers)), lambda _: None
    )
    assert not ok
    assert message
