"""The intercepting proxy: what it leads where, whom it refuses, and scripts that know nothing of it."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import threading

from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest
import trustme

from aciflow.errors import ConfigurationError
from aciflow.local import LocalAzure
from aciflow.local.served.intercept import Interceptor, upstream_of


AZURE = "management.azure.com"
ELSEWHERE = "elsewhere.example"


class Server:
    """Answers every HTTPS request with its name, at any host name."""

    def __init__(self, name: str, *hosts: str) -> None:
        self.authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*hosts).configure_cert(context)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(self.client)
        self._name = name.encode()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            with plain:
                try:
                    self._answer(plain)
                except OSError:
                    continue

    def _answer(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        with self._context.wrap_socket(plain, server_side=True) as secure:
            while not secure.recv(65536).endswith(b"\r\n\r\n"):
                pass
            secure.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                % (len(self._name), self._name)
            )

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(20)


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers."""
    made: list[Server] = []

    def make(name: str, *hosts: str) -> Server:
        made.append(Server(name, *hosts))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def proxy() -> Iterator[Callable[..., Interceptor]]:
    """Starts proxies."""
    made: list[Interceptor] = []

    def make(*args: int, **more: object) -> Interceptor:
        made.append(Interceptor(*args, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not one._thread.is_alive()


def fetch(url: str, through: Interceptor, trusting: Server) -> str:
    """What is at a URL, by a proxy."""
    with httpx.Client(proxy=through.url, verify=trusting.client, trust_env=False) as client:
        return client.get(url).text


def raw(through: Interceptor, head: str, *, password: bool = True) -> str:
    """What the proxy says to the head of a request."""
    with closing(socket.create_connection(("127.0.0.1", through.port), timeout=20)) as plain:
        url = httpx.URL(through.url)
        given = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        line = f"Proxy-Authorization: Basic {given}\r\n" if password else ""
        plain.sendall(f"{head}\r\n{line}\r\n".encode())
        said = b""
        while part := plain.recv(65536):
            said += part
        return said.decode()


# --- the proxy ----------------------------------------------------------------------------------


def test_azures_names_lead_to_the_endpoint_and_others_go_where_they_mean(
    start: Callable[..., Server], proxy: Callable[..., Interceptor]
) -> None:
    """By host and port; nothing is looked into, so each has its own certificate."""
    endpoint = start("endpoint", AZURE, "login.microsoftonline.com")
    other = start("other", "127.0.0.1")
    through = proxy(endpoint.port)

    assert fetch(f"https://{AZURE}/subscriptions", through, endpoint) == "endpoint"
    assert fetch("https://login.microsoftonline.com/common", through, endpoint) == "endpoint"
    assert fetch(f"https://127.0.0.1:{other.port}/", through, other) == "other"


def test_the_user_s_own_proxy_is_used_for_the_rest(
    start: Callable[..., Server], proxy: Callable[..., Interceptor]
) -> None:
    """With its password; but not for Azure's names, nor for what NO_PROXY names."""
    endpoint, far, near = (
        start("endpoint", AZURE),
        start("far", ELSEWHERE),
        start("near", "127.0.0.1"),
    )
    users = proxy(far.port, hosts=(ELSEWHERE, AZURE))
    upstream = upstream_of({"HTTPS_PROXY": users.url, "NO_PROXY": "corp.example"})
    through = proxy(endpoint.port, upstream=upstream)

    assert fetch(f"https://{ELSEWHERE}/", through, far) == "far"
    assert fetch(f"https://{AZURE}/", through, endpoint) == "endpoint"
    assert fetch(f"https://127.0.0.1:{near.port}/", through, near) == "near"
    wrong = upstream_of({"HTTPS_PROXY": users.url.replace("aciflow:", "nobody:")})
    with pytest.raises(httpx.ProxyError, match="502"):
        fetch(f"https://{ELSEWHERE}/", proxy(endpoint.port, upstream=wrong), far)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET http://management.azure.com/ HTTP/1.1", "405 Method Not Allowed"),
        ("CONNECT management.azure.com HTTP/1.1", "400 Bad Request"),
        ("CONNECT management.azure.com:x HTTP/1.1", "400 Bad Request"),
        ("CONNECT management.azure.com:99999 HTTP/1.1", "400 Bad Request"),
        ("CONNECT", "400 Bad Request"),
        (f"CONNECT management.azure.com:{'4' * 5000} HTTP/1.1", "400 Bad Request"),
        (f"CONNECT {'a' * 70}.example:443 HTTP/1.1", "400 Bad Request"),
        ("CONNECT a..example:443 HTTP/1.1", "400 Bad Request"),
        ("CONNECT a\0b:443 HTTP/1.1", "400 Bad Request"),
        ("CONNECT 127.0.0.1:1 HTTP/1.1", "502 Bad Gateway"),
    ],
)
def test_what_is_no_tunnel_is_refused(
    proxy: Callable[..., Interceptor], head: str, status: str
) -> None:
    """With the status that says why, and the proxy goes on."""
    through = proxy(1)

    assert raw(through, head).startswith(f"HTTP/1.1 {status}\r\n")
    assert raw(through, head).startswith(f"HTTP/1.1 {status}\r\n")


def test_who_has_no_password_gets_no_tunnel(proxy: Callable[..., Interceptor]) -> None:
    """Other users of the machine reach the port, too."""
    through = proxy(1)

    said = raw(through, f"CONNECT {AZURE}:443 HTTP/1.1", password=False)

    assert said.startswith("HTTP/1.1 407 ")
    assert "Proxy-Authenticate: Basic" in said
    assert (httpx.URL(through.url).password or "-") not in f"{through!r} {said}"


def test_closing_it_ends_tunnels(start: Callable[..., Server]) -> None:
    """A client in the middle of one sees the end at once."""
    through = Interceptor(start("endpoint", AZURE).port)
    url = httpx.URL(through.url)
    given = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
    with closing(socket.create_connection(("127.0.0.1", through.port), timeout=20)) as plain:
        plain.sendall(
            f"CONNECT {AZURE}:443 HTTP/1.1\r\nProxy-Authorization: Basic {given}\r\n\r\n".encode()
        )
        assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")
        through.close()
        through.close()
        assert plain.recv(1000) == b""


@pytest.mark.parametrize(
    ("environment", "host", "passes"),
    [
        ({"HTTPS_PROXY": "http://proxy.corp:3128"}, "partner.example", True),
        ({"https_proxy": "proxy.corp:3128"}, "partner.example", True),
        ({"ALL_PROXY": "http://proxy.corp"}, "partner.example", True),
        ({"HTTPS_PROXY": "http://proxy.corp", "NO_PROXY": "*"}, "partner.example", False),
        ({"HTTPS_PROXY": "http://proxy.corp", "no_proxy": ".example"}, "partner.example", False),
        (
            {"HTTPS_PROXY": "http://proxy.corp", "NO_PROXY": "partner.example"},
            "www.partner.example",
            False,
        ),
        ({"HTTPS_PROXY": "http://proxy.corp", "NO_PROXY": "ner.example"}, "partner.example", True),
        ({"HTTPS_PROXY": "http://proxy.corp"}, "127.0.0.5", False),
    ],
)
def test_the_user_s_proxy_is_understood(
    environment: dict[str, str], host: str, passes: bool
) -> None:
    """As most clients read those variables."""
    found = upstream_of(environment)

    assert found is not None
    assert found.host == "proxy.corp"
    assert found.passes(host) is passes


@pytest.mark.parametrize(
    "url", ["https://u:pass-word@p:1", "socks5://u:pass-word@p", "http://u:pass-word@p:x"]
)
def test_a_proxy_of_another_kind_is_refused(url: str) -> None:
    """Clearly, and without its password."""
    with pytest.raises(ConfigurationError, match="http://host:port") as caught:
        upstream_of({"HTTPS_PROXY": url})

    assert "pass-word" not in str(caught.value)
    assert upstream_of({}) is None


# --- scripts that know nothing of it --------------------------------------------------------------

BODY = """
import os
BODY = {"location": "westus", "properties": {"osType": "Linux", "containers": [{"name": "c", "properties": {
    "image": "nginx", "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}}}}]}}
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
"""

SYNC = """
from azure.identity import DefaultAzureCredential
from azure.mgmt.containerinstance import ContainerInstanceManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
credential = DefaultAzureCredential()
groups = ResourceManagementClient(credential, SUBSCRIPTION).resource_groups
groups.create_or_update("mine", {"location": "westus"})
client = ContainerInstanceManagementClient(credential, SUBSCRIPTION).container_groups
made = client.begin_create_or_update("mine", "web", BODY, polling_interval=0.1).result()
print(made.name, made.provisioning_state)
print([one.name for one in client.list()])
"""

ASYNC = """
import asyncio
from azure.identity.aio import DefaultAzureCredential
from azure.mgmt.containerinstance.aio import ContainerInstanceManagementClient
from azure.mgmt.resource.resources.aio import ResourceManagementClient
async def main():
    async with (
        DefaultAzureCredential() as credential,
        ResourceManagementClient(credential, SUBSCRIPTION) as resources,
        ContainerInstanceManagementClient(credential, SUBSCRIPTION) as client,
    ):
        await resources.resource_groups.create_or_update("mine", {"location": "westus"})
        poller = await client.container_groups.begin_create_or_update(
            "mine", "web", BODY, polling_interval=0.1)
        made = await poller.result()
        print(made.name, made.provisioning_state)
        print([one.name async for one in client.container_groups.list()])
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_script_with_the_sdk_s_default_urls_runs_as_it_is(program: str) -> None:
    """DefaultAzureCredential and clients without a URL, of the SDKs with their own transports."""
    with LocalAzure("simulated", speed=100.0) as azure, azure.serve(intercept=True):
        environment = {**os.environ, **azure.environ()}
        done = subprocess.run(
            [sys.executable, "-c", BODY + program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
        )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["web Succeeded", "['web']"]
