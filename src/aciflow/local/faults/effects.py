"""What a plan does within the endpoint: to a PUT that is valid, and to what a reply shows."""

from __future__ import annotations

import copy
import json

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from attrs import evolve

from aciflow.local.faults.kinds import FailOperation, LostEvents, NoCapacity, RegistryTrouble
from aciflow.local.faults.rules import Plan
from aciflow.local.groups.group import Doom, insufficient_capacity
from aciflow.local.protocol import Reply, Request
from aciflow.local.rest import errors


__all__ = ["distorted", "doom", "refusal"]


def refusal(fault: NoCapacity | RegistryTrouble, request: Request, location: str) -> errors.Refusal:
    """Why a PUT that is valid is refused."""
    properties = json.loads(request.body)["properties"]
    if isinstance(fault, RegistryTrouble):
        first = str(properties["containers"][0]["properties"]["image"])
        return errors.registry_error(fault.server or _server(first), "")
    return errors.unavailable(location, *_asked(properties), vnet=bool(properties.get("subnetIds")))


def doom(fault: FailOperation, request: Request, location: str, now: float) -> Doom:
    """How the operation that a PUT begins will fail."""
    cpu, memory, os_type = _asked(json.loads(request.body)["properties"])
    recorded = insufficient_capacity(
        location, cpu=cpu, memory_gb=memory, os_type=os_type, at=now + fault.seconds
    )
    return evolve(recorded, event=fault.reason, message=fault.message or recorded.message)


def distorted(plan: Plan, reply: Reply, now: float) -> Reply:
    """What the reply to a GET shows of events and start times."""
    if reply.status != 200 or not isinstance(reply.body, dict):
        return reply
    if not plan.lost and plan.late is None:
        return reply
    body = copy.deepcopy(reply.body)
    for view in _views(body):
        for lost in plan.lost:
            _lose(view, lost)
        current = view.get("currentState")
        if plan.late is not None and current and "startTime" in current:
            began = datetime.fromisoformat(current["startTime"]).timestamp()
            if now < began + plan.late:
                del current["startTime"]
    # The endpoint's own header knows better than Azure does.
    headers = {
        name: value for name, value in reply.headers.items() if name.lower() != "x-aciflow-times"
    }
    return evolve(reply, body=body, headers=headers)


def _views(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The instance views of a group's body, and the properties of an operation's."""
    properties = body.get("properties") or {}
    if "events" in properties:
        yield properties
    if "instanceView" in properties:
        yield properties["instanceView"]
    for key in ("containers", "initContainers"):
        for container in properties.get(key) or ():
            view = (container.get("properties") or {}).get("instanceView")
            if view:
                yield view


def _lose(view: dict[str, Any], lost: LostEvents) -> None:
    events = view.get("events")
    if not events:
        return
    left = [event for event in events if lost.names and event["name"] not in lost.names]
    if left or "currentState" not in view:
        view["events"] = left
    else:  # a container's is left out, not empty (recorded)
        del view["events"]


def _asked(properties: dict[str, Any]) -> tuple[float, float, str]:
    cpu = memory = 0.0
    for container in properties["containers"]:
        requests = container["properties"]["resources"]["requests"]
        cpu += float(requests["cpu"])
        memory += float(requests["memoryInGB"])
    return cpu, memory, str(properties["osType"]).capitalize()


def _server(image: str) -> str:
    first, slash, _ = image.partition("/")
    known = slash and (set(first) & {".", ":"} or first == "localhost")
    return first if known else "index.docker.io"
