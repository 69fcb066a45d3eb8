"""Sessions in real containers, over real WebSockets, with tokens as any other program gets them."""

from __future__ import annotations

import ssl

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.local.world import container, group
from tests.served.conftest import connect as http_client
from tests.waiting import until
from websockets.sync.client import ClientConnection, connect

from aciflow.local import LocalAzure
from aciflow.local.served.server import Served


pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def place(web_image: str) -> Iterator[tuple[httpx.Client, Served, str]]:
    """A client, what serves it, and the path of a container that runs."""
    with (
        LocalAzure() as local,
        local.serve() as served,
        http_client(local, served, timeout=120) as http,
    ):
        home = f"/subscriptions/{local.subscription_id}/resourceGroups/rg"
        assert http.put(home, json={"location": "westus"}).status_code == 201
        http.params = http.params.set("api-version", "2023-05-01")
        path = f"{home}/providers/Microsoft.ContainerInstance/containerGroups/web"
        command = ["sh", "-c", "while :; do echo tick; sleep 0.2; done"]
        body = group(container(image=web_image, command=command), ports=())
        assert http.put(path, json=body).status_code == 201

        def state() -> Any:
            view = http.get(path).json()["properties"].get("instanceView", {})
            return view.get("state") == "Running"

        until(state)
        yield http, served, f"{path}/containers/web"


@contextmanager
def _opened(served: Served, session: dict[str, str]) -> Iterator[ClientConnection]:
    context = ssl.create_default_context(cafile=str(served.ca_file))
    with connect(session["webSocketUri"], ssl=context, proxy=None) as connection:
        connection.send(session["password"])
        yield connection


def test_exec(place: tuple[httpx.Client, Served, str]) -> None:
    """A shell in the container reads what is typed, has the size asked for, and ends the socket."""
    http, served, path = place
    wanted = {"command": "/bin/sh", "terminalSize": {"rows": 12, "cols": 34}}
    session = http.post(f"{path}/exec", json=wanted).json()

    with _opened(served, session) as connection:
        connection.send("stty size; cat /etc/hostname; exit\n")
        output = b"".join(part for part in connection if isinstance(part, bytes))
        assert connection.close_code == 1000

    assert b"12 34" in output


def test_attach(place: tuple[httpx.Client, Served, str]) -> None:
    """What the container writes comes as it is written, until the client leaves."""
    http, served, path = place
    session = http.post(f"{path}/attach").json()

    with _opened(served, session) as connection:
        seen = b""
        while seen.count(b"tick") < 3:
            part = connection.recv(timeout=60)
            assert isinstance(part, bytes)
            seen += part
