"""The side of the shared endpoint that asks: the holder is a real listener, in this process."""

from __future__ import annotations

import json
import threading
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from attrs import evolve
from tests.local.world import group
from tests.waiting import until

from aciflow.local import keeper, shared
from aciflow.local.channel import Listener
from aciflow.local.endpoint import Endpoint
from aciflow.local.host import Host
from aciflow.local.protocol import Question, Request
from aciflow.local.runtime.engine import EngineAddress, address
from aciflow.local.runtime.simulated import SimulatedRuntime
from aciflow.local.service import new_id
from aciflow.local.shared import SharedService
from aciflow.local.state import FileLock, write_private


class Holders:
    """Holds the endpoint's lock, as another process would; whoever came last answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listeners: list[Listener] = []
        self.lock = FileLock(directory / "holder.lock")
        assert self.lock.acquire()

    def add(self, answer: Callable[[Any], Any]) -> Listener:
        """The next holder."""
        listener = Listener("secret", answer)
        self.listeners.append(listener)
        told = {"pid": 0, "port": listener.port, "secret": "secret"}
        write_private(self.directory / "holder.json", json.dumps(told).encode())
        return listener


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedService]:
    """It never becomes the holder, so there need be no engine."""
    monkeypatch.setenv("ACIFLOW_STATE_DIR", str(tmp_path))
    made = SharedService(EngineAddress("unix:///nobody/there.sock", "test"))
    yield made
    made.close()


@pytest.fixture
def holders(service: SharedService) -> Iterator[Holders]:
    """None answers yet."""
    made = Holders(service.directory)
    yield made
    service.close()
    for listener in made.listeners:
        listener.close(patience=0.0)
    made.lock.release()


def test_starting_again_opens_no_more_connections(service: SharedService, holders: Holders) -> None:
    """One to ask and one to watch, however often it is made sure that somebody holds it."""
    listener = holders.add(lambda _: {"groups": 2})
    for _ in range(20):
        service.start()
        assert 2 == service.groups()
    assert 2 == len(listener._open)


def test_a_new_holder_is_found_and_watched(service: SharedService, holders: Holders) -> None:
    """Connections to the one that ended are dropped, and starting again is enough."""
    first = holders.add(lambda _: {"groups": 1})
    service.start()
    second = holders.add(lambda _: {"groups": 2})
    first.close()
    until(lambda: len(second._open) == 1)  # to watch
    service.start()
    assert 2 == service.groups()
    assert 2 == len(second._open)


def _request(method: str) -> Request:
    return Request(method=method, path="/subscriptions", query={}, headers={}, body=b"")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_holder_that_is_stopped_hangs_nobody(
    service: SharedService, holders: Holders, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The asker is told after a while, and does not ask again; the watch goes on waiting."""
    monkeypatch.setattr(shared, "_ANSWER", 0.1)
    stopped, asked = threading.Event(), list[Any]()

    def answer(message: Any) -> Any:
        asked.append(message)
        stopped.wait(5.0)
        return {"groups": 1}

    holders.add(answer)
    service.start()
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout, match="does not answer"):
        service.request(_request(method))
    stopped.set()
    assert 0.05 < time.monotonic() - began < 3.0
    assert 1 == len(asked)
    watch = service._watch
    assert 1 == service.groups()
    assert watch is not None
    assert watch is service._watch


def test_a_holder_that_reads_nothing_hangs_nobody(
    service: SharedService, holders: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long request finds no room."""
    monkeypatch.setattr(shared, "_ANSWER", 0.1)
    stopped = threading.Event()
    holders.add(lambda _: stopped.wait(5.0))
    service.start()
    connection = service._idle[-1]
    connection.send({"op": "groups"})  # it is busy with this
    long = evolve(_request("PUT"), body=b"x" * 16_000_000)
    with pytest.raises(httpx.ReadTimeout):
        service.request(long)
    stopped.set()


def test_the_keeper_bears_with_a_holder_that_is_stopped(
    service: SharedService, holders: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on looking until the holder answers again that no group is left."""
    monkeypatch.setattr(shared, "_ANSWER", 0.1)
    monkeypatch.setattr(keeper, "_INTERVAL", 0.01)
    monkeypatch.setattr(address, "require_engine", lambda: service._engine)
    asked = list[float]()

    def answer(_: Any) -> Any:
        asked.append(time.monotonic())
        if len(asked) == 1:
            time.sleep(0.3)
        return {"groups": 0}

    holders.add(answer)
    keeper._keep(threading.Event())
    assert 1 + keeper._QUIET == len(asked)


def test_who_asks_a_closing_holder_finds_the_next(service: SharedService, holders: Holders) -> None:
    """It did nothing, so nothing happened as far as the asker can tell."""
    closing = SharedService(service._engine)  # it has no host any more

    def answer(message: Any) -> Any:
        holders.add(lambda _: {"groups": 3})
        return closing._answer(message)

    holders.add(answer)
    assert 3 == service.groups()
    closing.close()


def test_what_a_closing_holder_has_not_begun_with_the_next_one_does(
    service: SharedService, holders: Holders
) -> None:
    """Also what must not be done twice: the one that closes says that it did nothing."""
    closing = SharedService(service._engine)

    class Slow(SimulatedRuntime):
        def answer(self, question: Question) -> Any:
            closing._host = None  # while this looks for an image
            host.close()
            holders.add(lambda _: {"status": 201, "body": "the next", "headers": {}})
            return super().answer(question)

    host = Host(
        Endpoint(subscription_id="s", tenant_id="t", token_check=bool, new_id=new_id),
        Slow(),
    )
    closing._host = host
    holders.add(closing._answer)
    home = "/subscriptions/s/resourcegroups/rg"
    request = Request(
        method="PUT",
        path=home,
        query={"api-version": "2021-04-01"},
        headers={"authorization": "Bearer x"},
        body=json.dumps({"location": "westus"}).encode(),
    )
    assert 201 == service.request(request).status
    path = f"{home}/providers/Microsoft.ContainerInstance/containerGroups/web"
    reply = service.request(
        evolve(
            request,
            path=path,
            query={"api-version": "2023-05-01"},
            body=json.dumps(group()).encode(),
        )
    )
    assert (reply.status, reply.body) == (201, "the next")
    closing.close()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_request_that_meets_a_listener_at_its_end_goes_to_the_next(
    service: SharedService, holders: Holders, method: str
) -> None:
    """It was sent and nobody read it: the asker knows that, whatever kind of request it is."""
    first = holders.add(lambda _: {"status": 200, "body": "first", "headers": {}})
    service.request(_request("GET"))  # the connection is there, and idle
    holders.add(lambda _: {"status": 200, "body": "second", "headers": {}})
    first.close()
    assert "second" == service.request(_request(method)).body
