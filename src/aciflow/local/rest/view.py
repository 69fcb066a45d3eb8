"""A container group as ARM shows it in each kind of reply."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from aciflow.local.groups.machine import GroupMachine
from aciflow.local.groups.times import ticks, whole_seconds


__all__ = ["Detail", "group_body", "operation_events", "times_header"]


Detail: TypeAlias = Literal["put", "get", "list", "patch"]
"""
Which reply.

``put``: no ``instanceView`` in the containers, no ``ip``, no private address at all. ``list``: no
``instanceView`` anywhere. ``patch``: only the group's ``instanceView``. All recorded.
"""


def group_body(
    visible: dict[str, Any],
    top: dict[str, Any],
    machine: GroupMachine,
    fqdn: str | None,
    *,
    detail: Detail,
    version: str,
) -> dict[str, Any]:
    """
    The body of a reply.

    Args:
        visible: Properties from :func:`aciflow.local.rest.normalise.shown`; shared, never changed.
        top: ``identity`` (where there is one), ``id``, ``name``, ``type``, ``location`` and so on.
        machine: The group's controller.
        fqdn: Its name, or ``None``.
        detail: Which reply.
        version: The request's api-version; later ones have more fields.
    """
    preview = version >= "2024-05"
    properties = dict(visible)
    if version < "2023-05":
        for key in ("provisioningTimeoutInSeconds", "isCustomProvisioningTimeout"):
            del properties[key]
    properties["provisioningState"] = machine.provisioning_state if detail != "put" else "Pending"
    if detail == "list":
        del properties["instanceView"]
    else:
        state = machine.state if detail != "put" else "Pending"
        properties["instanceView"] = {"events": _group_events(machine), "state": state}
    if detail == "get" or preview:
        properties["containers"] = _containers(
            properties["containers"], machine, detail=detail, preview=preview
        )
        properties["initContainers"] = _containers(
            properties["initContainers"], machine, detail=detail, preview=False
        )
    if preview:
        properties["isCreatedFromStandbyPool"] = False
    address = properties.get("ipAddress")
    if address is not None:
        if detail == "put" and address.get("type") == "Private":
            del properties["ipAddress"]
        else:
            ip = machine.ip if detail != "put" else None
            properties["ipAddress"] = _address(address, ip, fqdn)
    return {"properties": properties, **top}


def _containers(
    containers: list[dict[str, Any]], machine: GroupMachine, *, detail: Detail, preview: bool
) -> list[dict[str, Any]]:
    bodies = []
    for container in containers:
        record = machine.find(container["name"])
        added: dict[str, Any] = {}
        if preview:
            added["configMap"] = {"keyValuePairs": {}}
        if detail == "get" and record is not None:
            view = record.instance_view()
            if view is not None:
                added["instanceView"] = view
        properties: dict[str, Any] = {}
        for key, value in container["properties"].items():
            if key == "resources":  # before it, where ACI has them
                properties.update(added)
            properties[key] = value
        bodies.append({"name": container["name"], "properties": {**properties, **added}})
    return bodies


def _address(address: dict[str, Any], ip: str | None, fqdn: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"ports": address["ports"]}
    if ip is not None:
        body["ip"] = ip
    body.update(address)
    if fqdn is not None:
        body["fqdn"] = fqdn
    return body


def _group_events(machine: GroupMachine) -> list[dict[str, Any]]:
    failure = machine.failure_event
    if failure is None:
        return []
    stamp = whole_seconds(failure["at"])
    return [
        {
            "count": 1,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "name": failure["name"],
            "message": failure["message"],
            "type": "Warning",
        }
    ]


def operation_events(machine: GroupMachine) -> list[dict[str, Any]]:
    """What an ended operation shows: every container's events, then the group's own."""
    events = [
        event for record in (*machine.init, *machine.main) for event in record.events.to_arm()
    ]
    failure = machine.failure_event
    if failure is not None:
        stamp = ticks(failure["at"])  # recorded: 7 digits in a failed operation
        own = _group_events(machine)[0]
        events.append({**own, "firstTimestamp": stamp, "lastTimestamp": stamp})
    return events


def times_header(machine: GroupMachine) -> dict[str, Any]:
    """
    The value of ``x-aciflow-times``.

    The one deliberate addition to ACI's replies: its events have whole seconds, and a local start often
    takes less than one.
    """
    return {
        "accepted": machine.accepted,
        "containers": {
            record.run.name: dict(record.times) for record in (*machine.init, *machine.main)
        },
    }
