"""Over ARM, on the real engine: what somebody else does to a group's containers is noticed and made good."""

from __future__ import annotations

import time

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import fetch
from tests.engine.processes import arm, group_path
from tests.images import Engine

from aciflow.local import LocalAzure


pytestmark = [pytest.mark.engine, pytest.mark.slow]

WEB = ["/bin/sh", "-c", "exec httpd -f -p 80 -h /www"]
SLEEP = ["/bin/sh", "-c", "exec sleep 600"]


def _container(number: int, image: str, command: list[str]) -> dict[str, Any]:
    properties = {
        "image": image,
        "command": command,
        "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
    }
    return {"name": f"c{number}", "properties": properties}


def _body(image: str, *commands: list[str]) -> dict[str, Any]:
    properties = {
        "osType": "Linux",
        "containers": [_container(at, image, command) for at, command in enumerate(commands)],
        "ipAddress": {"type": "Public", "ports": [{"protocol": "TCP", "port": 80}]},
    }
    return {"location": "westus", "properties": properties}


def _until(azure: LocalAzure, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The group's properties once they are as wanted."""
    end = time.monotonic() + 90
    while True:
        status, body = arm(azure, "GET", group_path("g"))
        assert 200 == status, body
        found: dict[str, Any] = body["properties"]
        if wanted(found):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.05)


def _in_state(wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["instanceView"]["state"] == wanted


def _all_restarted(found: dict[str, Any]) -> bool:
    views = [each["properties"].get("instanceView") or {} for each in found["containers"]]
    return all(
        view.get("restartCount", 0) > 0 and view["currentState"]["state"] == "Running"
        for view in views
    )


def _launch(azure: LocalAzure, body: dict[str, Any]) -> dict[str, Any]:
    arm(azure, "PUT", "", {"location": "westus"})
    status, answer = arm(azure, "PUT", group_path("g"), body)
    assert 201 == status, answer
    return _until(azure, _in_state("Running"))


def _on_engine(engine: Engine, azure: LocalAzure) -> dict[str, str]:
    """Ids of what runs of the group, to names in it; the one that holds its namespaces has none."""
    group = f"/subscriptions/{azure.subscription_id}/"
    return {
        one["Id"]: one["Labels"].get("aciflow.container", "")
        for one in engine.json("/containers/json")
        if str((one["Labels"] or {}).get("aciflow.resource-id")).startswith(group)
    }


def _kill(engine: Engine, container: str) -> None:
    engine.request("POST", f"/containers/{container}/kill")


def _remove(engine: Engine, container: str) -> None:
    engine.remove(f"container {container}")


@pytest.mark.parametrize("end", [_kill, _remove])
@pytest.mark.parametrize("addresses", ["bridge", "loopback"])
def test_a_group_whose_network_was_taken_away_gets_another(
    web_image: str, engine: Engine, addresses: Any, end: Callable[[Engine, str], None]
) -> None:
    """Its containers, which nobody reaches any more, are started again; then it serves as before."""
    with LocalAzure(addresses=addresses) as azure:
        _launch(azure, _body(web_image, WEB, SLEEP))
        [holder] = [one for one, name in _on_engine(engine, azure).items() if not name]
        end(engine, holder)
        found = _until(azure, _all_restarted)
        assert fetch(found["ipAddress"]["ip"], 80, timeout=30)
        assert 3 == len(_on_engine(engine, azure))


def test_a_container_that_is_restarted_beside_the_endpoint_runs_once(
    web_image: str, engine: Engine
) -> None:
    """By ``docker restart``, say: it has ended, so the endpoint starts another, and that one serves."""
    with LocalAzure(addresses="bridge") as azure:
        _launch(azure, _body(web_image, WEB, [*WEB[:2], "exec httpd -f -p 81 -h /www"]))
        for container, name in _on_engine(engine, azure).items():
            if name:
                engine.request("POST", f"/containers/{container}/restart?t=0")
        found = _until(azure, _all_restarted)
        assert fetch(found["ipAddress"]["ip"], 80, timeout=30)
        assert fetch(found["ipAddress"]["ip"], 81, timeout=30)
        running = [one for one, name in _on_engine(engine, azure).items() if name]
        labels = [engine.json(f"/containers/{one}/json")["Config"]["Labels"] for one in running]
        attempts = {(each["aciflow.container"], each["aciflow.attempt"]) for each in labels}
        assert {("c0", "1"), ("c1", "1")} == attempts


def test_a_group_that_was_removed_whole_can_be_stopped_and_started(
    web_image: str, engine: Engine
) -> None:
    """Also one that had got a container that holds its address, and lost that too."""
    with LocalAzure(addresses="bridge") as azure:
        _launch(azure, _body(web_image, WEB))
        for _ in range(2):
            for container in _on_engine(engine, azure):
                _remove(engine, container)
            _until(azure, _all_restarted)
            assert 204 == arm(azure, "POST", group_path("g") + "/stop")[0]
            _until(azure, _in_state("Stopped"))
            assert 204 == arm(azure, "POST", group_path("g") + "/start")[0]
            found = _until(azure, _in_state("Running"))
            assert fetch(found["ipAddress"]["ip"], 80, timeout=30)


@pytest.mark.parametrize("end", [_kill, _remove])
def test_a_network_that_was_taken_away_meanwhile_is_noticed(
    web_image: str, engine: Engine, tmp_path: Path, end: Callable[[Engine, str], None]
) -> None:
    """An endpoint that is started again restarts what has lost its network, and leaves nothing."""
    with LocalAzure(addresses="bridge", state=tmp_path, keep=True) as azure:
        _launch(azure, _body(web_image, WEB, SLEEP))
        [holder] = [one for one, name in _on_engine(engine, azure).items() if not name]
    end(engine, holder)
    with LocalAzure(addresses="bridge", state=tmp_path) as azure:
        found = _until(azure, _all_restarted)
        assert fetch(found["ipAddress"]["ip"], 80, timeout=30)
    assert {} == _on_engine(engine, azure)


def test_an_image_whose_name_is_taken_away_still_restarts(web_image: str, engine: Engine) -> None:
    """What ran comes back, as on a node that has pulled it once; under another name it was kept."""
    name, tag = "aciflow-test/taken-away", "1"
    engine.request("POST", f"/images/{web_image}/tag?repo={name}&tag={tag}")
    try:
        with LocalAzure(addresses="bridge") as azure:
            _launch(azure, _body(f"{name}:{tag}", WEB))
            engine.request("DELETE", f"/images/{name}:{tag}")
            for container in _on_engine(engine, azure):
                _kill(engine, container)
            found = _until(azure, _all_restarted)
            assert fetch(found["ipAddress"]["ip"], 80, timeout=30)
    finally:
        engine.request("DELETE", f"/images/{name}:{tag}")


def test_an_empty_directory_survives_a_crash_and_a_restart_but_no_stop(
    web_image: str, engine: Engine
) -> None:
    """As documented (container-instances-volume-emptydir.md); secrets are there each time."""
    script = "echo x >> /data/x; cat /keys/key; echo has $(wc -l < /data/x); exec sleep 600"
    body = _body(web_image, ["/bin/sh", "-c", script])
    del body["properties"]["ipAddress"]
    body["properties"]["volumes"] = [
        {"name": "data-volume", "emptyDir": {}},
        {"name": "keys-volume", "secret": {"key": "aGVsbG8K"}},
    ]
    body["properties"]["containers"][0]["properties"]["volumeMounts"] = [
        {"name": "data-volume", "mountPath": "/data"},
        {"name": "keys-volume", "mountPath": "/keys"},
    ]

    def said(last: str) -> bool:
        reply = arm(azure, "GET", group_path("g") + "/containers/c0/logs")[1]
        return str(reply.get("content")).endswith(f"hello\nhas {last}\n")

    def wait_until_said(last: str) -> None:
        end = time.monotonic() + 60
        while not said(last):
            assert time.monotonic() < end, last
            time.sleep(0.1)

    with LocalAzure() as azure:
        _launch(azure, body)
        wait_until_said("1")
        [container] = _on_engine(engine, azure)
        _kill(engine, container)
        _until(azure, _all_restarted)
        wait_until_said("2")
        assert 204 == arm(azure, "POST", group_path("g") + "/restart")[0]
        wait_until_said("3")
        _until(azure, lambda found: found["provisioningState"] == "Succeeded")
        assert 204 == arm(azure, "POST", group_path("g") + "/stop")[0]
        _until(azure, _in_state("Stopped"))
        assert 204 == arm(azure, "POST", group_path("g") + "/start")[0]
        wait_until_said("1")
