"""``LocalAzure`` in real time, over httpx transports, on simulated containers."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.local.world import TRACE, container, group
from tests.waiting import until

from aciflow.errors import ConfigurationError, EndpointUnreachableError
from aciflow.flow.effects import HttpProbe, TcpProbe
from aciflow.local import LocalAzure
from aciflow.local import host as module
from aciflow.local.azure import _close_all
from aciflow.local.endpoint import Endpoint
from aciflow.local.host import Host
from aciflow.local.protocol import Reply, Request
from aciflow.local.runtime.simulated import SimulatedRuntime
from aciflow.local.service import new_id


SPEED = 200.0
RESOURCES = {"api-version": "2021-04-01"}


def _options(local: LocalAzure) -> dict[str, Any]:
    token = local.credential().get_token("any").token
    return {
        "base_url": "https://arm.test",
        "params": {"api-version": "2023-05-01"},
        "headers": {"Authorization": f"Bearer {token}"},
    }


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """A fresh endpoint, two hundred times as fast as ACI."""
    with LocalAzure("simulated", speed=SPEED, traces=[TRACE]) as endpoint:
        yield endpoint


@pytest.fixture
def http(local: LocalAzure) -> Iterator[httpx.Client]:
    """A client of it, with a resource group ``rg`` there."""
    with httpx.Client(transport=local.transport(), **_options(local)) as client:
        home = f"/subscriptions/{local.subscription_id}/resourcegroups/rg"
        assert client.put(home, json={"location": "westus"}, params=RESOURCES).status_code == 201
        yield client


def _path(local: LocalAzure, name: str = "web") -> str:
    return (
        f"/subscriptions/{local.subscription_id}/resourceGroups/rg/providers"
        f"/Microsoft.ContainerInstance/containerGroups/{name}"
    )


def _state(http: httpx.Client, path: str) -> str:
    state: str = http.get(path).json()["properties"]["instanceView"]["state"]
    return state


def test_a_group_lives_and_dies_in_real_time(local: LocalAzure, http: httpx.Client) -> None:
    """Created, running, probed, deleted: the DELETE's reply comes when nothing is left."""
    path = _path(local)
    put = http.put(path, json=group())
    until(lambda: _state(http, path) == "Running")
    ip = http.get(path).json()["properties"]["ipAddress"]["ip"]
    prober = local.prober()
    assert prober is not None
    until(lambda: prober.probe(TcpProbe(host=ip, port=80)).ready)
    found = {
        "port": prober.probe(TcpProbe(host=ip, port=81)).reason,
        "nobody": prober.probe(TcpProbe(host="198.19.0.1", port=80)).reason,
        "http": prober.probe(HttpProbe(host=ip, port=80)).reason,
        "status": prober.probe(HttpProbe(host=ip, port=80, status=(404,))).reason,
    }
    operation = http.get(put.headers["azure-asyncoperation"]).json()
    began = time.monotonic()
    deleted = http.delete(path)

    assert put.status_code == 201
    assert put.headers["azure-asyncoperation"].startswith("https://arm.test/")
    assert operation["status"] == "Succeeded"
    assert found == {"port": "refused", "nobody": "timeout", "http": "ok", "status": "status"}
    assert deleted.status_code == 200
    assert time.monotonic() - began > 0.9 * 3.0 / SPEED  # held until the runtime was done
    assert http.get(path).status_code == 404


def test_twenty_at_once_from_a_loop(local: LocalAzure) -> None:
    """The async transport never blocks the loop, however many DELETEs are held."""

    async def all_of_them() -> float:
        late = 0.0

        async def watch() -> None:
            nonlocal late
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                late = max(late, time.monotonic() - before - 0.005)

        async with httpx.AsyncClient(
            transport=local.async_transport(), **_options(local)
        ) as client:

            async def one(number: int) -> None:
                path = _path(local, f"g{number}")
                assert (await client.put(path, json=group())).status_code == 201
                while True:
                    body = (await client.get(path)).json()
                    if body["properties"]["instanceView"]["state"] == "Running":
                        break
                    await asyncio.sleep(0.01)
                assert (await client.delete(path)).status_code == 200

            home = f"/subscriptions/{local.subscription_id}/resourcegroups/rg"
            await client.put(home, json={"location": "westus"}, params=RESOURCES)
            watching = asyncio.create_task(watch())
            await asyncio.gather(*(one(number) for number in range(20)))
            watching.cancel()
        return late

    assert asyncio.run(all_of_them()) < 0.5


def test_a_failure_of_the_endpoint_reaches_an_async_caller(local: LocalAzure) -> None:
    """What the endpoint raises is raised where it is awaited."""

    async def ask() -> None:
        async with httpx.AsyncClient(
            transport=local.async_transport(), **_options(local)
        ) as client:
            local.close()
            await client.get("/subscriptions")

    with pytest.raises(EndpointUnreachableError, match="closed"):
        asyncio.run(ask())


def test_a_closed_endpoint_says_so(local: LocalAzure, http: httpx.Client) -> None:
    """After close() nothing is answered, and no thread of it is left."""
    before = set(threading.enumerate())
    http.put(_path(local), json=group())
    local.close()
    local.close()

    with pytest.raises(EndpointUnreachableError, match="closed"):
        http.get("/subscriptions")
    names = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {"aciflow-local", "aciflow-simulated"} & names
    assert "closed" in repr(local)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_does_not_use_its_parents_endpoint(local: LocalAzure, http: httpx.Client) -> None:
    """The child is told, instead of hanging on a lock that nobody will release."""
    http.put(_path(local), json=group())
    child = os.fork()
    if child == 0:  # pragma: no cover - not this process
        code = 1
        try:
            http.get("/subscriptions")
        except EndpointUnreachableError:
            local.close()  # does nothing, least of all to the parent's groups
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    until(lambda: _state(http, _path(local)) == "Running")


def test_what_is_forgotten_is_closed_at_the_end() -> None:
    """The interpreter's end closes whatever endpoint is still open."""
    local = LocalAzure("simulated")
    local.start()
    _close_all()

    with pytest.raises(EndpointUnreachableError):
        local.handle(Request(method="GET", path="/subscriptions"))


def test_arguments_that_do_not_go_together_are_refused() -> None:
    """An option that would have no effect is an error."""
    with pytest.raises(ConfigurationError, match="speed="):
        LocalAzure("engine", speed=2)
    with pytest.raises(ConfigurationError, match="addresses="):
        LocalAzure("simulated", addresses="loopback")
    with pytest.raises(ConfigurationError, match="choose"):
        LocalAzure("vmware")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class _Memory:
    """A store that keeps every state, as a disk would."""

    def __init__(self) -> None:
        self.saved: list[dict[str, Any]] = []

    def save(self, state: dict[str, Any]) -> None:
        self.saved.append(state)


def _endpoint() -> Endpoint:
    return Endpoint(
        subscription_id="s", tenant_id="t", token_check=lambda token: token == "x", new_id=new_id
    )


def _ask(host: Host, method: str, path: str, body: bytes = b"") -> Reply:
    return host.request(
        Request(
            method=method,
            path=f"/subscriptions/s/resourceGroups/rg{path}",
            query={"api-version": "2023-05-01"} if "providers" in path else RESOURCES,
            headers={"authorization": "Bearer x"},
            body=body,
        )
    )


def test_another_process_goes_on_where_one_stopped() -> None:
    """Kept groups are in the store; a new host takes them up and finishes their launch."""
    store = _Memory()
    path = "/providers/Microsoft.ContainerInstance/containerGroups/web"
    runtime = SimulatedRuntime(speed=20, traces=[TRACE])
    first = Host(_endpoint(), runtime, store)
    _ask(first, "PUT", "", b'{"location": "westus"}')
    _ask(first, "PUT", path, json.dumps(group(container("web"))).encode())
    first.close(keep=True)
    endpoint = _endpoint()
    endpoint.load(json.loads(json.dumps(store.saved[-1])))
    second = Host(endpoint, SimulatedRuntime(speed=SPEED, traces=[TRACE]), store)
    try:
        until(
            lambda: _ask(second, "GET", path).body["properties"]["provisioningState"] == "Succeeded"
        )
        _ask(second, "DELETE", path)
        assert endpoint.idle
    finally:
        second.close()
    last = store.saved[-1]

    assert (last["groups"], last["closing"]) == ([], [])
    assert len(store.saved) > 4


class _Broken:
    """A store with a bug."""

    def save(self, state: dict[str, Any]) -> None:
        if state["groups"] and state["groups"][0]["machine"]["seen"]:
            raise ValueError("no such luck")


def test_a_host_that_broke_says_so() -> None:
    """A failure in the host's own thread is told to the next who asks, not swallowed."""
    host = Host(_endpoint(), SimulatedRuntime(speed=SPEED, traces=[TRACE]), _Broken())
    path = "/providers/Microsoft.ContainerInstance/containerGroups/web"
    _ask(host, "PUT", "", b'{"location": "westus"}')
    _ask(host, "PUT", path, json.dumps(group()).encode())

    def broken() -> bool:
        try:
            _ask(host, "GET", path)
        except EndpointUnreachableError as error:
            return "no such luck" in str(error)
        return False

    until(broken)
    host.close()


class _FullDisk(_Memory):
    """Nothing can be written until there is room."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.tried = 0

    def save(self, state: dict[str, Any]) -> None:
        if self.full:
            self.tried += 1
            raise OSError(28, "No space left on device")
        super().save(state)


def test_a_full_disk_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Groups come and go meanwhile; once there is room, the state is saved without being asked."""
    monkeypatch.setattr(module, "_RETRY", 0.02)
    store = _FullDisk()
    host = Host(_endpoint(), SimulatedRuntime(speed=SPEED, traces=[TRACE]), store)
    path = "/providers/Microsoft.ContainerInstance/containerGroups"
    _ask(host, "PUT", "", b'{"location": "westus"}')
    written = len(store.saved)
    store.full = True
    for name in ("one", "two"):
        assert 201 == _ask(host, "PUT", f"{path}/{name}", json.dumps(group()).encode()).status

    def state() -> str:
        body = _ask(host, "GET", f"{path}/one").body
        return str(body["properties"]["instanceView"]["state"])

    until(lambda: state() == "Running")
    assert 200 == _ask(host, "DELETE", f"{path}/two").status
    tried = store.tried
    until(lambda: store.tried > tried)
    assert written == len(store.saved)
    assert 1 == caplog.text.count("No space left on device")

    store.full = False
    until(lambda: len(store.saved) > written)
    [kept] = store.saved[-1]["groups"]
    assert "/containerGroups/one" in json.dumps(kept)
    host.close()


def test_what_could_not_be_saved_is_saved_on_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes next has to find the groups that are kept."""
    monkeypatch.setattr(module, "_RETRY", 60.0)
    store = _FullDisk()
    host = Host(_endpoint(), SimulatedRuntime(), store)
    store.full = True
    assert 201 == _ask(host, "PUT", "", b'{"location": "westus"}').status
    store.full = False
    host.close(keep=True)
    assert 1 == len(store.saved)
