"""Payloads of 2023 and 2024 that nobody recorded whole: usages, capabilities, images, attach, a failure."""

from __future__ import annotations

import json
import re

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.compare import Comparison
from tests.conformance.recordings import excerpts, seconds
from tests.local.world import SUBSCRIPTION, World, container, group

from aciflow.local import LocalAzure
from aciflow.local.faults import FailOperation
from aciflow.local.protocol import ListImages, Question, Request


pytestmark = pytest.mark.corpus

PREVIEW = "2024-05-01-preview"


def _own(value: Any, **names: str) -> Any:
    """A payload with the names and ids of this endpoint in place of the recorded ones."""
    text = json.dumps(value).replace("{sub}", SUBSCRIPTION)
    for theirs, ours in names.items():
        text = text.replace(theirs.replace("_", "-"), ours)
    return json.loads(text)


def _differences(recorded: Any, ours: Any) -> list[tuple[str, str]]:
    return [(path, what) for path, what, _, _ in Comparison(frozenset()).bodies(recorded, ours)]


def _get(world: World, what: str) -> Any:
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerInstance/locations/eastus/{what}"
    reply = world.request("GET", path, version=PREVIEW)
    assert reply.status == 200, reply.body
    return reply.body


def test_usages_are_those_of_aci(corpus: Path) -> None:
    """Every usage that ACI lists, in its order, with its odd spellings; numbers may differ."""
    recorded = _own(excerpts(corpus)["usages_200_2024-10-31"]["body"])

    found = _differences(recorded, _get(World(), "usages"))

    assert {each for each in found if each[1] != "value"} == set()
    assert {path for path, _ in found} <= {"value[].currentValue", "value[].limit"}


def test_capabilities_are_those_of_aci(corpus: Path) -> None:
    """What a region can do, but for GPUs, which Azure has withdrawn since."""
    recorded = _own(excerpts(corpus)["capabilities_200_2024-10-31"]["body"])
    recorded["value"] = [each for each in recorded["value"] if each["gpu"] == "None"]
    ours = _get(World(), "capabilities")
    ours["value"] = ours["value"][: len(recorded["value"])]

    assert _differences(recorded, ours) == []


class _WithImages(World):
    """One whose runtime has two images already."""

    def answer(self, question: Question) -> Any:
        if isinstance(question, ListImages):
            return ("busybox:1.36", "nginx:1.27")
        return super().answer(question)


def test_cached_images_have_the_recorded_keys(corpus: Path) -> None:
    """A cached image has its OS and name, as on the wire."""
    recorded = excerpts(corpus)["cachedImages_item_2023-02-18"]["body_item"]

    images = _get(_WithImages(), "cachedImages")["value"]

    assert [image["image"] for image in images] == ["busybox:1.36", "nginx:1.27"]
    for image in images:
        assert list(image) == list(recorded)
        assert image["osType"] == "Linux"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_running_group_of_2024_is_shown_as_recorded(corpus: Path, method: str) -> None:
    """Key by key and in order, values too: what the api-version that az sends has more is there."""
    recorded = _own(
        excerpts(corpus)["get_running_2024-10-31"]["body"],
        test_rg9iwau="rg",
        bez_test_cg_remove1="web",
    )
    view = recorded["properties"]["containers"][0]["properties"]["instanceView"]
    start = seconds(view["currentState"]["startTime"])
    world = World({"pulling": 1.0, "pulled": 6.0, "started": 17.123})
    world.now = start - 17.0
    made = container(
        "1",
        image="mcr.microsoft.com/azuredocs/aci-helloworld:latest",
        resources={"requests": {"memoryInGB": 1.5, "cpu": 1.0}},
    )
    body = group(made, ports=())
    body["location"] = "eastus"
    world.put(body, version=PREVIEW)
    world.run(60)

    reply = world.request(method, world.group_path(), version=PREVIEW)

    found = _differences(recorded, reply.body)
    # The simulation does not know the image's digest; with one, messages name it (test_replay.py).
    image = "properties.containers[].properties.instanceView.events"
    assert {path for path, _ in found} <= {f"{image}[Pulling].message", f"{image}[Pulled].message"}
    if method == "DELETE":
        headers = excerpts(corpus)["get_running_2024-10-31"]["delete_response_headers"]
        wanted = {name for name in headers if "resource-requests" in name or "deletes" in name}
        # ARM's bucket of all regions, which it has told of since 2024, says nothing about ACI.
        wanted -= {"x-ms-ratelimit-remaining-subscription-global-deletes"}
        assert {name.lower() for name in reply.headers} >= wanted


def test_a_failed_operation_is_a_200_without_a_code(corpus: Path) -> None:
    """A group that found no capacity: the operation says Failed, and its error has no code."""
    recorded = excerpts(corpus)["failed_operation_InsufficientCapacity_2024-11-29"]
    with LocalAzure("simulated", speed=10_000.0) as local:
        token = local.credential().get_token("any").token

        def request(method: str, path: str, version: str, body: Any = None) -> Any:
            return local.handle(
                Request(
                    method=method,
                    path=path,
                    query={"api-version": version},
                    headers={"authorization": f"Bearer {token}"},
                    body=json.dumps(body).encode() if body is not None else b"",
                )
            )

        home = f"/subscriptions/{local.subscription_id}/resourceGroups/rg"
        request("PUT", home, "2022-09-01", {"location": "swedencentral"})
        local.faults.add(FailOperation())
        requests = {"cpu": 2.0, "memoryInGB": 4.0}
        wanted = group(container(resources={"requests": requests}), ports=())
        wanted["location"] = "swedencentral"
        path = f"{home}/providers/Microsoft.ContainerInstance/containerGroups/cg"
        made = request("PUT", path, "2023-05-01", wanted)
        assert made.status == 201, made.body
        url = made.headers["Azure-AsyncOperation"]
        operation = re.sub(r"https://[^/]+|\?.*", "", url)
        reply = request("GET", operation, "2018-06-01")
        while reply.body["status"] != "Failed":
            assert reply.body["status"] in ("Pending", "Creating")
            reply = request("GET", operation, "2018-06-01")

        theirs = json.loads(json.dumps(recorded["body"]).replace("{sub}", local.subscription_id))
    assert reply.status == recorded["http"]
    assert _differences(theirs, reply.body) == []


def test_attach_answers_as_recorded(corpus: Path) -> None:
    """Attach gives a log stream's URL and a password for it."""
    recorded = excerpts(corpus)["attach_200_2024-10-31"]
    world = World()
    world.put()
    world.run(60)

    reply = world.request("POST", world.group_path(more="/containers/web/attach"), version=PREVIEW)

    theirs = {**recorded["body"], "password": "[masked]"}
    assert reply.status == recorded["http"]
    assert _differences(theirs, reply.body) == []
