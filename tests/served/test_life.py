"""Starting and stopping: ports, threads, loops, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import ssl
import subprocess
import sys
import threading

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.served.conftest import connect
from tests.waiting import until

from aciflow import Client
from aciflow.errors import ConfigurationError
from aciflow.local import LocalAzure
from aciflow.local.protocol import Reply, Request
from aciflow.local.served import server as module
from aciflow.local.served.server import Served


def _answers(local: LocalAzure, served: Served) -> bool:
    with connect(local, served) as http:
        return http.get("/subscriptions").status_code == 200


def test_it_is_there_when_serve_returns(local: LocalAzure) -> None:
    """At once, with the URL of its port, on both addresses of localhost; and gone after close."""
    served = local.serve()
    assert served.url == f"https://localhost:{served.port}"
    assert _answers(local, served)
    if socket.has_dualstack_ipv6():
        socket.create_connection(("::1", served.port)).close()

    served.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", served.port))
    assert repr(served) == f"<Served {served.url} closed>"
    served.close()


def test_closing_the_endpoint_closes_what_is_served() -> None:
    """A program that forgets to close the one leaves no port open."""
    local = LocalAzure("simulated")
    served = local.serve()

    local.close()

    assert served.closed
    with pytest.raises(ConfigurationError, match="closed"):
        local.serve()


def test_the_environment_is_that_of_what_is_served(local: LocalAzure) -> None:
    """Before and after there is none, and that is said."""
    with pytest.raises(ConfigurationError, match=r"serve\(\)"):
        local.environ()
    with local.serve() as served:
        assert f"localhost:{served.port}" in local.environ()["ACIFLOW_TARGET"]
        assert local.environ()["REQUESTS_CA_BUNDLE"] == str(served.ca_file)
    with pytest.raises(ConfigurationError):
        served.environ()


def test_twice_in_a_process(local: LocalAzure) -> None:
    """One endpoint at two ports, two endpoints, and one after the other on the same port."""
    with local.serve() as one, local.serve() as two, LocalAzure("simulated") as other:
        with other.serve() as three:
            assert _answers(local, one)
            assert _answers(local, two)
            assert _answers(other, three)
        with connect(local, one) as http, connect(other, one) as stranger:
            assert http.get("/subscriptions").status_code == 200
            assert stranger.get("/subscriptions").status_code == 401
        port = one.port
    with local.serve(port=port) as again:
        assert again.port == port
        assert _answers(local, again)


def test_a_taken_port_is_named(local: LocalAzure, served: Served) -> None:
    """The caller gets a typed error, not a thread that died."""
    with pytest.raises(ConfigurationError, match=f"port {served.port} of 127.0.0.1 is taken"):
        local.serve(port=served.port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "build-host"])
def test_other_machines_need_a_secret(local: LocalAzure, host: str) -> None:
    """What others can reach is not served without one."""
    with pytest.raises(ConfigurationError, match="secret="):
        local.serve(host)


def test_an_empty_secret_is_none(local: LocalAzure) -> None:
    """It would let everybody in."""
    with pytest.raises(ConfigurationError, match="empty"):
        local.serve("0.0.0.0", secret="")


def test_a_host_that_is_not_here(local: LocalAzure) -> None:
    """An address of another machine is an error that names it (192.0.2.0/24 is nobody's)."""
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"):
        local.serve("192.0.2.1", secret="s")


def test_secrets_are_in_no_repr(local: LocalAzure) -> None:
    """Neither the client's nor the managed identity's."""
    with local.serve(secret="hunter2") as served:
        shown = repr(served) + repr(served.facts)
        assert "hunter2" not in shown
        assert served.facts.identity_secret not in shown


def test_inside_a_running_loop(local: LocalAzure) -> None:
    """As in a notebook: neither needs the loop that runs, nor blocks for its sake."""

    async def work() -> int:
        with local.serve() as served:
            token = local.credential().get_token("any").token
            trusted = ssl.create_default_context(cafile=str(served.ca_file))
            async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
                reply = await http.get(
                    f"{served.url}/subscriptions?api-version=2022-12-01",
                    headers={"Authorization": f"Bearer {token}"},
                )
            return reply.status_code

    assert asyncio.run(work()) == 200


def test_what_is_under_way_is_finished(local: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop waits for a request that has begun; its client gets the answer."""
    entered, release = threading.Event(), threading.Event()
    handle = local.handle

    def slow(request: Request) -> Reply:
        entered.set()
        assert release.wait(60)
        return handle(request)

    monkeypatch.setattr(local, "handle", slow)
    with local.serve() as served, ThreadPoolExecutor(2) as pool:
        answer = pool.submit(_answers, local, served)
        assert entered.wait(30)
        closing = pool.submit(served.close)
        until(lambda: _refuses(served.port))
        release.set()
        assert answer.result(30)
        closing.result(30)


def test_what_does_not_end_is_given_up(local: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace the client hears 503, and the stop goes on."""
    monkeypatch.setattr(module, "GRACE", 0.2)
    entered, release = threading.Event(), threading.Event()

    def stuck(request: Request) -> Reply:
        entered.set()
        assert release.wait(60)
        return Reply(status=200)

    monkeypatch.setattr(local, "handle", stuck)
    with local.serve() as served, connect(local, served, timeout=60) as http:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(http.get, "/subscriptions")
            assert entered.wait(30)
            served.close()
            assert answer.result(30).status_code == 503
        release.set()


def test_a_client_that_stops_in_the_middle_holds_nothing_up(local: LocalAzure) -> None:
    """Neither half a request nor a reply that nobody takes keeps the server's thread for long."""
    token = local.credential().get_token("any").token
    whole = (
        f"GET /subscriptions/{local.subscription_id}/providers?api-version=2021-04-01 HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    half = b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
    served = local.serve()
    context = ssl.create_default_context(cafile=str(served.ca_file))
    with contextlib.ExitStack() as stack:

        def connected() -> ssl.SSLSocket:
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            return stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))

        connected().sendall(half)
        reader = connected()
        reader.settimeout(1.0)
        with contextlib.suppress(TimeoutError):  # until nothing more is taken: it waits for us
            for _ in range(100_000):
                reader.sendall(whole)
        served.close()

        threads = [one for one in threading.enumerate() if one.name == "aciflow-served"]
        assert threads == []


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


def test_a_fork_leaves_it_alone(local: LocalAzure, served: Served) -> None:
    """A child that ends does not take the server, or its files, with it."""
    child = multiprocessing.get_context("fork").Process(target=served.close)
    child.start()
    child.join(60)

    assert child.exitcode == 0
    assert served.ca_file.exists()
    assert _answers(local, served)


def test_nothing_of_it_is_loaded_in_process() -> None:
    """A launch that nobody else sees needs none of the extra's packages."""
    program = (
        "import sys\n"
        "from aciflow.local import LocalAzure\n"
        "with LocalAzure('simulated', speed=500.0) as local, local.client() as client:\n"
        "    client.launch('nginx', public_ip=True).delete()\n"
        "print(sorted({'uvicorn', 'websockets', 'httptools'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_a_missing_extra_is_named() -> None:
    """Where uvicorn is not installed, the error says what to install."""
    program = (
        "import sys\n"
        "sys.modules['uvicorn'] = None\n"
        "from aciflow.errors import MissingExtraError\n"
        "from aciflow.local import LocalAzure\n"
        "with LocalAzure('simulated') as local:\n"
        "    try:\n"
        "        local.serve()\n"
        "    except MissingExtraError as error:\n"
        "        print(error.extra, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout.startswith("local "), done.stderr
    assert "pip install 'aciflow[local]'" in done.stdout


def test_aciflow_itself_reaches_it(local: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client in another process needs the environment and no more."""
    with local.serve() as served:
        for name, value in served.environ().items():
            monkeypatch.setenv(name, value)
        with Client() as client:
            assert list(client.list()) == []
