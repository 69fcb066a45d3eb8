"""What a client of the served endpoint can send, and what it hears."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
import threading

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.local.world import group
from tests.served.conftest import connect

from aciflow.errors import EndpointUnreachableError, EngineUnavailableError
from aciflow.local import LocalAzure
from aciflow.local.protocol import Dropped, Reply, Request
from aciflow.local.served.app import BODY_LIMIT
from aciflow.local.served.server import Served


def _home(local: LocalAzure, name: str = "rg") -> str:
    return f"/subscriptions/{local.subscription_id}/resourcegroups/{name}"


def _raw(served: Served, sent: bytes) -> bytes:
    """What comes back for these very bytes, to the end of the connection."""
    context = ssl.create_default_context(cafile=str(served.ca_file))
    with (
        socket.create_connection(("127.0.0.1", served.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def _get(target: bytes, *, more: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n" % (target, more)


def _error(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def test_a_group_is_made_read_and_deleted(local: LocalAzure, http: httpx.Client) -> None:
    """A whole life over TLS; the URLs in replies lead back to where the client is connected."""
    assert http.put(_home(local), json={"location": "westus"}).status_code == 201
    path = f"{_home(local)}/providers/Microsoft.ContainerInstance/containerGroups/web"
    http.params = http.params.set("api-version", "2023-05-01")

    made = http.put(path, json=group())

    assert made.status_code == 201
    operation = made.headers["Azure-AsyncOperation"]
    assert operation.startswith(str(http.base_url).rstrip("/") + "/subscriptions/")
    assert http.get(operation).status_code == 200
    assert http.get(path).json()["name"] == "web"
    assert http.delete(path).status_code == 200
    assert _error(http.get(path)) == (404, "ResourceNotFound")


def test_a_token_of_somebody_else_is_refused(served: Served, http: httpx.Client) -> None:
    """401 in ARM's words, with the challenge that clients read the tenant from."""
    refused = http.get("/subscriptions", headers={"Authorization": "Bearer somebody.elses.token"})

    assert _error(refused) == (401, "InvalidAuthenticationToken")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    del http.headers["Authorization"]
    assert _error(http.get("/subscriptions")) == (401, "AuthenticationFailed")


def test_curl_finds_it(local: LocalAzure, served: Served) -> None:
    """Only curl, with the variables of ``environ()`` alone."""
    environment = served.environ()
    token = local.credential().get_token("any").token

    done = subprocess.run(
        ["curl", "-sS", "-H", "@-", f"{served.url}/subscriptions?api-version=2022-12-01"],
        env={"PATH": "/usr/bin:/bin", **environment},
        input=f"Authorization: Bearer {token}",
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert json.loads(done.stdout)["value"][0]["subscriptionId"] == local.subscription_id


def test_head(local: LocalAzure, http: httpx.Client) -> None:
    """HEAD has a status and no content, and the connection goes on."""
    assert http.head(_home(local)).status_code == 404
    http.put(_home(local), json={"location": "westus"})

    found = http.head(_home(local))

    assert (found.status_code, found.content) == (204, b"")
    assert http.get(_home(local)).status_code == 200


def test_two_slashes_are_served(served: Served, local: LocalAzure, http: httpx.Client) -> None:
    """At times az asks for //subscriptions; that is answered, not redirected."""
    http.put(_home(local), json={"location": "westus"})
    token = http.headers["Authorization"].encode()
    target = b"/" + _home(local).encode() + b"?api-version=2022-09-01"

    reply = _raw(served, _get(target, more=b"Authorization: %s\r\n" % token))

    assert reply.startswith(b"HTTP/1.1 200 ")


def test_one_date_and_no_server(http: httpx.Client) -> None:
    """Headers are the endpoint's: one Date, and nothing about what serves it."""
    for path in ("/subscriptions", "/metadata/endpoints", "/%ff"):
        reply = http.get(path)

        assert len(reply.headers.get_list("date")) == 1
        assert "server" not in reply.headers
        assert reply.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    "target",
    [
        b"/subscriptions/%ff",
        b"/subscriptions?%ff=1",
        b"/subscriptions/a%00b",
        b"/subscriptions/a%0d%0aX-Injected:%20yes",
        b"/subscriptions?" + b"&".join(b"a%d=1" % number for number in range(200)),
        b"/subscriptions/\xff",
    ],
)
def test_what_cannot_be_understood_is_the_clients_mistake(served: Served, target: bytes) -> None:
    """Paths and queries that are none get 400 in ARM's shape."""
    reply = _raw(served, _get(target))

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "BadRequest"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example/x\r\nConnection: close\r\n\r\n",
        b"GET /metadata/endpoints?api-version=1 HTTP/1.1\r\nHost: [::::]\r\nConnection: close\r\n\r\n",
        b"GET /metadata/endpoints?api-version=1 HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n",
        b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: lots\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(served: Served, sent: bytes) -> None:
    """Other bytes get a 400 too, and the server goes on."""
    reply = _raw(served, sent)

    assert reply.startswith(b"HTTP/1.1 400 ")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] == "BadRequest"
    assert _raw(served, _get(b"/metadata/endpoints?api-version=1")).startswith(b"HTTP/1.1 200 ")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"]),
    path=st.text(max_size=40),
    query=st.text(max_size=40),
    body=st.binary(max_size=60),
)
def test_no_request_is_our_mistake(
    http: httpx.Client, method: str, path: str, query: str, body: bytes
) -> None:
    """Whatever is asked, the status is not 5xx and an error has ARM's shape."""
    try:
        asked = quote(query, safe="=&%+;?/").encode()
        url = httpx.URL(http.base_url, path="/" + path, query=asked)
    except httpx.InvalidURL:
        return
    reply = http.request(method, url, content=body)

    assert reply.status_code < 500 or reply.status_code == 501
    if reply.status_code >= 400 and method != "HEAD" and reply.content:
        assert "error" in reply.json()


def test_a_large_body_is_refused_with_its_reason(local: LocalAzure, http: httpx.Client) -> None:
    """4 MB are taken, more get 413 however they are sent, and the next request works."""
    large = b" " * (BODY_LIMIT + 1)

    def parts() -> Iterator[bytes]:
        for _ in range(5):
            yield large[: BODY_LIMIT // 4]
        yield b"."

    for content in (large, parts()):
        refused = http.put(_home(local), content=content)
        assert _error(refused) == (413, "RequestEntityTooLarge")
    exact = json.dumps({"location": "westus"}).encode().ljust(BODY_LIMIT)
    assert http.put(_home(local), content=exact).status_code == 201


def test_a_client_that_asks_first_hears_of_a_large_body_at_once(served: Served) -> None:
    """``Expect: 100-continue`` with too large a body gets the 413 and no invitation."""
    reply = _raw(
        served,
        b"PUT /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n"
        b"Expect: 100-continue\r\n\r\n",
    )

    assert reply.startswith(b"HTTP/1.1 413 ")


def test_many_at_once(local: LocalAzure, served: Served) -> None:
    """Fifty threads with a connection each are all answered, each what it asked for."""
    with connect(local, served) as http:
        for number in range(50):
            http.put(_home(local, f"rg-{number}"), json={"location": "westus"})

    def ask(number: int) -> list[str]:
        with connect(local, served) as http:
            return [http.get(_home(local, f"rg-{number}")).json()["name"] for _ in range(5)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))

    assert answers == [[f"rg-{number}"] * 5 for number in range(50)]


def test_a_connection_is_kept(served: Served, http: httpx.Client) -> None:
    """Many requests, also of refused ones, use one connection."""
    streams = set()
    for path in ("/subscriptions", "/nothing", "/%ff", "/subscriptions"):
        with http.stream("GET", path) as reply:
            reply.read()
            streams.add(id(reply.extensions["network_stream"]))
            assert reply.headers.get("connection") != "close"

    assert len(streams) == 1


class _Rigged:
    """An endpoint's ``handle`` with something in front of it."""

    def __init__(self, local: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raises: BaseException | None = None
        self.release = threading.Event()
        self.entered = threading.Event()
        self.blocks = False
        handle = local.handle

        def rigged(request: Request) -> Reply:
            if self.raises is not None and request.path != "/subscriptions":
                raise self.raises
            if self.blocks and request.method == "DELETE":
                self.entered.set()
                assert self.release.wait(60)
            return handle(request)

        monkeypatch.setattr(local, "handle", rigged)


@pytest.fixture
def rigged(local: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> _Rigged:
    """Asked for before what serves it."""
    return _Rigged(local, monkeypatch)


@pytest.mark.parametrize(
    "problem",
    [EndpointUnreachableError("it is closed"), EngineUnavailableError("no engine answers")],
)
def test_an_endpoint_that_cannot_answer_is_a_503(
    rigged: _Rigged, http: httpx.Client, problem: Exception
) -> None:
    """With the reason, in ARM's shape."""
    rigged.raises = problem

    refused = http.get("/x")

    assert _error(refused) == (503, "ServiceUnavailable")
    assert refused.json()["error"]["message"] == str(problem)


def test_a_bug_is_a_500_without_secrets(
    rigged: _Rigged, http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The reply names a correlation ID, the log has it and the code's lines, neither the message."""
    rigged.raises = ValueError("password hunter2")

    with caplog.at_level(logging.ERROR, "aciflow"):
        failed = http.get("/x")

    assert _error(failed) == (500, "InternalServerError")
    correlation = failed.headers["x-ms-correlation-request-id"]
    assert correlation in failed.json()["error"]["message"]
    assert correlation in caplog.text
    assert "in rigged" in caplog.text
    assert "hunter2" not in caplog.text + failed.text
    assert http.get("/subscriptions").status_code == 200


def test_a_dropped_reply_ends_the_connection(rigged: _Rigged, http: httpx.Client) -> None:
    """The client sees the connection break, not a status; and can connect again."""
    rigged.raises = Dropped(effect=False)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        http.get("/x")

    assert http.get("/subscriptions").status_code == 200


def test_reads_go_on_while_a_delete_is_held(
    rigged: _Rigged, local: LocalAzure, served: Served, http: httpx.Client
) -> None:
    """Forty DELETEs that wait do not keep a GET from being answered."""
    rigged.blocks = True

    def delete(_: Any) -> int:
        with connect(local, served, timeout=60) as own:
            return own.delete(_home(local, "nothing")).status_code

    with ThreadPoolExecutor(40) as pool:
        deletions = [pool.submit(delete, number) for number in range(40)]
        try:
            assert rigged.entered.wait(30)
            assert http.get("/subscriptions", timeout=30).status_code == 200
        finally:
            rigged.release.set()
        assert {one.result() for one in deletions} <= {204, 404}
