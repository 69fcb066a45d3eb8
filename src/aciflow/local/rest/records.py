"""What the endpoint remembers of each resource group, container group, operation and session."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from aciflow.local.groups.machine import GroupMachine
from aciflow.local.groups.times import ticks
from aciflow.local.protocol import OpenTerminal
from aciflow.local.rest.view import operation_events


__all__ = ["GroupRecord", "OperationRecord", "ResourceGroupRecord", "SessionRecord"]


@define
class ResourceGroupRecord:
    """
    A resource group.

    Attributes:
        key: Its name in lower case.
        name: As it was written first.
        deletion: The id of the operation that deletes it, or ``None``.
    """

    key: str
    name: str
    location: str
    tags: dict[str, str] | None = None
    managed_by: str | None = None
    deletion: str | None = None


@define
class GroupRecord:
    """
    A container group as ARM knows it.

    Attributes:
        kept: Its properties, secrets included.
        visible: Its properties as they are shown, see ``shown``.
        top: The other keys of its body: ``identity``, ``id``, ``name``, ``type``, ``location``, ...
        fqdn: Its DNS name, or ``None``.
        machine: Its controller.
        exposed: Ports that its images expose, as ``80/tcp``, as far as the runtime knows.
        marked: Paths of what was accepted and has no effect, see ``effects``.
    """

    resource_group: str
    key: str
    kept: dict[str, Any] = field(repr=False)
    visible: dict[str, Any] = field(repr=False)
    top: dict[str, Any]
    fqdn: str | None
    machine: GroupMachine
    exposed: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As written in the PUT."""
        name: str = self.top["name"]
        return name

    @property
    def location(self) -> str:
        """Normalised region name."""
        location: str = self.top["location"]
        return location


@define
class OperationRecord:
    """
    An operation resource.

    Attributes:
        uid: The incarnation that it works on.
        final: Its body, once it can change no more.
    """

    id: str
    uid: str
    resource_id: str
    started: float
    final: dict[str, Any] | None = None

    def body(self, machine: GroupMachine) -> dict[str, Any]:
        """What it shows now. A failed one is a 200 whose ``error`` has no code (recorded)."""
        if self.final is not None:
            return self.final
        status = machine.provisioning_state
        body: dict[str, Any] = {
            "id": self.resource_id,
            "status": status,
            "startTime": ticks(self.started),
            "properties": {"events": operation_events(machine) if machine.settled else []},
        }
        if status == "Failed" and machine.failure is not None:
            body["error"] = {"message": machine.failure}
        return body


@define
class SessionRecord:
    """What exec or attach has made: a promise of one connection."""

    id: str
    password: str = field(repr=False)
    wanted: OpenTerminal
    expires: float
