"""Over ARM, on the real engine: probes, volumes and terminals together, as a client sees them."""

from __future__ import annotations

import time

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.processes import arm, group_path

from aciflow.local import LocalAzure


pytestmark = pytest.mark.engine

WEB = ["/bin/sh", "-c", "touch /tmp/healthy; exec httpd -f -p 80 -h /www"]


def _body(image: str, *, volumes: Any = (), mounts: Any = (), **container: Any) -> dict[str, Any]:
    return {
        "location": "westus",
        "properties": {
            "osType": "Linux",
            "volumes": list(volumes),
            "containers": [
                {
                    "name": "c",
                    "properties": {
                        "image": image,
                        "command": WEB,
                        "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
                        "volumeMounts": list(mounts),
                        **container,
                    },
                }
            ],
        },
    }


def _until(azure: LocalAzure, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The container's view once it is as wanted."""
    end = time.monotonic() + 60
    while True:
        status, body = arm(azure, "GET", group_path("g"))
        assert 200 == status, body
        container = body["properties"]["containers"][0]["properties"]
        view: dict[str, Any] = container.get("instanceView") or {}
        if view and wanted(view):
            return view
        assert time.monotonic() < end, body
        time.sleep(0.1)


def _put(azure: LocalAzure, body: dict[str, Any]) -> tuple[int, Any]:
    arm(azure, "PUT", "", {"location": "westus"})
    return arm(azure, "PUT", group_path("g"), body)


def _events(view: dict[str, Any]) -> set[str]:
    return {event["name"] for event in view.get("events") or ()}


@pytest.mark.slow
def test_a_container_whose_liveness_fails_is_started_again(web_image: str) -> None:
    """By a command that fails once its file is gone; the message is the command's own."""
    probe = {"exec": {"command": ["cat", "/tmp/healthy"]}, "periodSeconds": 1, "timeoutSeconds": 10}
    ready = {"httpGet": {"path": "/", "port": 80, "scheme": "http"}, "periodSeconds": 1}
    with LocalAzure() as azure:
        body = _body(web_image, livenessProbe=probe, readinessProbe=ready)
        status, answer = _put(azure, body)
        assert 201 == status, answer
        _until(azure, lambda view: view["currentState"]["state"] == "Running")
        status, session = arm(
            azure,
            "POST",
            group_path("g") + "/containers/c/exec",
            {"command": "rm /tmp/healthy", "terminalSize": {"rows": 24, "cols": 80}},
        )
        assert 200 == status, session
        path = session["webSocketUri"].partition("?")[0]
        terminal = azure.connect(path.rpartition("/")[2], session["password"])
        assert terminal is not None
        while terminal.read():
            pass
        terminal.close()
        view = _until(azure, lambda view: view["restartCount"] >= 1)
        assert {"Unhealthy", "Killing"} <= _events(view)
        said = [event["message"] for event in view["events"] if event["name"] == "Unhealthy"]
        assert any("can't open '/tmp/healthy'" in message for message in said), said


def test_a_share_is_a_folder(web_image: str, tmp_path: Path) -> None:
    """The one that the endpoint was told of; another share is refused, and no key is shown."""
    (tmp_path / "index.html").write_text("from a share")
    share = {"shareName": "web", "storageAccountName": "account", "storageAccountKey": "c2VjcmV0"}
    volume = {"name": "files", "azureFile": share}
    mount = {"name": "files", "mountPath": "/files"}
    probe = {"exec": {"command": ["grep", "share", "/files/index.html"]}, "periodSeconds": 1}
    with LocalAzure(azure_files={"account/web": tmp_path}) as azure:
        body = _body(web_image, volumes=[volume], mounts=[mount], livenessProbe=probe)
        body["properties"]["containers"][0]["properties"]["command"] = [
            "/bin/sh",
            "-c",
            "cp /files/index.html /files/copy; exec sleep 300",
        ]
        status, answer = _put(azure, body)
        assert 201 == status, answer
        assert "c2VjcmV0" not in str(answer)
        _until(azure, lambda view: view["currentState"]["state"] == "Running")
        end = time.monotonic() + 20
        while not (tmp_path / "copy").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        share["shareName"] = "unknown"
        status, refusal = _put(azure, body)
        assert 400 == status, refusal
        assert "azure_files" in str(refusal)


def test_two_endpoints_on_one_engine_do_not_see_each_other(web_image: str) -> None:
    """The same name in both; ending one leaves the other's alone."""
    with LocalAzure() as first:
        assert 201 == _put(first, _body(web_image))[0]
        _until(first, lambda view: view["currentState"]["state"] == "Running")
        with LocalAzure() as second:
            arm(second, "PUT", "", {"location": "westus"})
            assert 404 == arm(second, "GET", group_path("g"))[0]
            assert 201 == _put(second, _body(web_image))[0]
            _until(second, lambda view: view["currentState"]["state"] == "Running")
        view = _until(first, lambda _: True)
        assert "Running" == view["currentState"]["state"]
        assert 0 == view["restartCount"]
