"""
What is known of one container group, and what ARM shows of it.

Pure. It is told what to record; what is done next is decided by
:class:`~aciflow.local.groups.machine.GroupMachine`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Self, TypeAlias, TypeVar

from attrs import asdict, frozen

from aciflow.local.groups.container import ContainerRecord
from aciflow.local.groups.desired import Desired
from aciflow.local.groups.events import GroupEvent, GroupEvents


__all__ = ["Doom", "GroupState", "Intent", "Sandbox", "insufficient_capacity"]


Intent: TypeAlias = Literal["run", "stop", "restart", "close", "closed"]
Sandbox: TypeAlias = Literal["none", "opening", "ready", "failed"]
_O = TypeVar("_O")


@frozen(kw_only=True)
class Doom:
    """
    A failure that will come: until then the group is ``Pending`` and nothing of it is begun.

    Attributes:
        at: When, in seconds since the epoch.
        event: The name of the group's event.
        message: Of the operation's error, and of the event.
    """

    at: float
    event: str
    message: str


def insufficient_capacity(
    location: str, *, cpu: float, memory_gb: float, os_type: str, at: float
) -> Doom:
    """
    The failure of a region that has no room (recorded: the event's name has a full stop).

    Args:
        location: The region.
        cpu: vCPU of the whole group.
        memory_gb: GB of the whole group.
        os_type: ``Linux`` or ``Windows``.
        at: When it is told, in seconds since the epoch.
    """
    return Doom(
        at=at,
        event="InsufficientCapacity.",
        message=(
            f"The requested resource is not available in the location '{location}' at this moment. "
            "Please retry with a different resource request or in another location. Resource "
            f"requested: '{cpu:g}' CPU '{memory_gb:g}' GB memory '{os_type}' OS"
        ),
    )


class GroupState:
    """
    One incarnation of a group, from its acceptance until nothing of it is left.

    Attributes:
        uid: The incarnation's name towards the runtime.
        ip: Its address, once it has one.
        mapped: Ports that are reached elsewhere than on ``ip``: port to (host, port).
        accepted: When the request that began the present cycle was accepted.
        stops: How often it was stopped; what its volumes had is lost each time
            (container-instances-volume-emptydir.md).
        cycle: 1 after the PUT, one more after each start or restart.
        failure: Why provisioning failed, in words, or ``None``.
        given_up: It has failed for good; a time-out alone does not end the attempts (container-state.md:
            a failed group may still come up until it is stopped or deleted).
        doom: A failure that is to come, or ``None``.
        group_events: Events of the group itself.
        init: Its init containers, in order.
        main: The others.
    """

    def __init__(self, uid: str, desired: Desired, now: float) -> None:
        self.uid = uid
        self.desired = desired
        self.ip: str | None = None
        self.mapped: dict[int, tuple[str, int]] = {}
        self.accepted = now
        self.cycle = 0
        self.stops = 0
        self.failure: str | None = None
        self.given_up = False
        self.doom: Doom | None = None
        self.group_events = GroupEvents()
        self._sandbox: Sandbox = "none"
        self._intent: Intent = "run"
        self._seen = False  # anything at all was observed in this cycle
        self.init = [ContainerRecord(run=run) for run in desired.init]
        self.main = [ContainerRecord(run=run) for run in desired.main]

    @property
    def closing(self) -> bool:
        """It is being deleted."""
        return self._intent in ("close", "closed")

    @property
    def closed(self) -> bool:
        """Nothing of it is left in the runtime."""
        return self._intent == "closed"

    @property
    def events(self) -> tuple[GroupEvent, ...]:
        """Of the group itself: why it failed, and volumes that could not be had."""
        return self.group_events.entries

    @property
    def provisioning_state(self) -> str:
        """ARM's ``provisioningState``: ``Pending``, ``Creating``, ``Succeeded`` or ``Failed``."""
        if self.failure is not None:
            return "Failed"
        if self._intent == "stop" or all(record.started_once for record in self.main):
            return "Pending" if self._intent == "restart" else "Succeeded"
        return "Creating" if self._seen and self._intent == "run" else "Pending"

    @property
    def settled(self) -> bool:
        """No operation is under way; ACI refuses to begin another before."""
        return self.provisioning_state in ("Succeeded", "Failed")

    @property
    def state(self) -> str:
        """
        The group's ``instanceView.state``.

        ``Pending`` until each of its containers has run, since nothing else was ever recorded before
        ``provisioningState`` is ``Succeeded``; ``Running`` also while all wait to be restarted (recorded).
        """
        if self._intent == "stop" and not any(record.active for record in self._all()):
            return "Stopped"
        if self.given_up:
            return "Failed"
        if not all(record.started_once for record in self.main):
            return "Pending"
        if all(record.phase == "ended" for record in self.main):
            ok = all(record.exit_code == 0 for record in self.main)
            return "Succeeded" if ok else "Failed"
        return "Running"

    @property
    def next_wake(self) -> float | None:
        """When something is due, if nothing is observed before."""
        if self._intent != "run":
            return None
        if self.doom is not None:
            return self.doom.at
        times = [at for record in self._all() if (at := record.wake) is not None]
        if self.failure is None and self.provisioning_state != "Succeeded":
            times.append(self.accepted + self.desired.provisioning_timeout)
        return min(times, default=None)

    def find(self, container: str) -> ContainerRecord | None:
        """The container of that name; names are unique in a group."""
        return next((record for record in self._all() if record.run.name == container), None)

    def _all(self) -> Iterator[ContainerRecord]:
        yield from self.init
        yield from self.main

    # --- on disk ---------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Everything but what is wanted, as JSON."""
        return {
            **{key: getattr(self, attribute) for key, attribute in _PLAIN.items()},
            "doom": asdict(self.doom) if self.doom is not None else None,
            "events": self.group_events.dump(),
            "mapped": [[port, host, to] for port, (host, to) in self.mapped.items()],
            "init": [record.dump() for record in self.init],
            "main": [record.dump() for record in self.main],
        }

    @classmethod
    def load(cls, desired: Desired, state: dict[str, Any]) -> Self:
        """The inverse of :meth:`dump`."""
        group = cls(state["uid"], desired, state["accepted"])
        for key, attribute in _PLAIN.items():
            setattr(group, attribute, state[key])
        group.doom = Doom(**state["doom"]) if state["doom"] is not None else None
        group.group_events = GroupEvents.load(state["events"])
        group.mapped = {port: (host, to) for port, host, to in state["mapped"]}
        group.init = _records(desired.init, state["init"], ContainerRecord.load)
        group.main = _records(desired.main, state["main"], ContainerRecord.load)
        return group


_PLAIN = {
    "uid": "uid",
    "ip": "ip",
    "accepted": "accepted",
    "cycle": "cycle",
    "stops": "stops",
    "failure": "failure",
    "given_up": "given_up",
    "sandbox": "_sandbox",
    "intent": "_intent",
    "seen": "_seen",
}


def _records(
    runs: tuple[Any, ...],
    states: list[dict[str, Any]],
    load: Callable[[Any, dict[str, Any]], _O],
) -> list[_O]:
    return [load(run, state) for run, state in zip(runs, states, strict=True)]
