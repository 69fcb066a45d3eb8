"""
Everything the endpoint knows.

One mutable object that the handlers share, and its form on disk. What is derived (what a body
shows, the containers to run) is computed again on loading.
"""

from __future__ import annotations

import heapq
import hmac

from collections.abc import Callable, Iterator
from typing import Any

from aciflow.local.config import Config
from aciflow.local.groups.desired import desired_from
from aciflow.local.groups.group import Doom
from aciflow.local.groups.machine import GroupMachine
from aciflow.local.protocol import Action, OpenTerminal
from aciflow.local.rest.normalise import shown
from aciflow.local.rest.records import (
    GroupRecord,
    OperationRecord,
    ResourceGroupRecord,
    SessionRecord,
)


__all__ = ["State"]


SESSION_LIFETIME = 60.0
"""Seconds until an exec or attach must have been connected to; Azure's is not known."""

VERSION = 2
"""Of what is saved; another one's groups are not known, and their containers are removed."""

MAX_OPERATIONS = 2000
"""Operation resources that are kept; Azure forgets them after a while too."""


class State:
    """
    The endpoint's state and the actions it still has to hand out.

    Attributes:
        groups: By (resource group, name), both in lower case; a group that is being deleted is not
            among them.
        machines: Every incarnation that the runtime may still know, by uid.
        homes: The resource group of each of ``machines``.
        deletions: Operation id to the resource group's key, for deletions of resource groups; ``None``
            once it is gone.
        unregistered: Providers that the subscription is not registered for, in lower case.
        recent_creates: Times of the last creates and deletes, for the rate headers.
        sessions: Of exec and attach, by id; they end with their process.
        outbox: Actions that nobody has taken yet.
        doom: How the next group that is added will fail.
    """

    def __init__(
        self,
        *,
        subscription_id: str,
        tenant_id: str,
        locations: tuple[str, ...],
        unsupported: frozenset[str],
        new_id: Callable[[], str],
        config: Config,
    ) -> None:
        self.subscription_id = subscription_id
        self.tenant_id = tenant_id
        self.locations = locations
        self.unsupported = unsupported
        self.new_id = new_id
        self.config = config
        self.resource_groups: dict[str, ResourceGroupRecord] = {}
        self.groups: dict[tuple[str, str], GroupRecord] = {}
        self.machines: dict[str, GroupMachine] = {}
        self.homes: dict[str, str] = {}
        self.operations: dict[str, OperationRecord] = {}
        self.deletions: dict[str, str | None] = {}
        self.unregistered: set[str] = set()
        self.recent_creates: list[float] = []
        self.sessions: dict[str, SessionRecord] = {}
        self.outbox: list[Action] = []
        self.doom: Doom | None = None
        self.generation = 0
        self._wakes: list[tuple[float, str]] = []
        self._current: dict[str, str] = {}  # the one operation of a group that may still change

    # --- groups ------------------------------------------------------------------------------

    def add_group(self, record: GroupRecord, now: float) -> None:
        """Put a group in place (of another of its name) and begin it."""
        self.remove_group(record.resource_group, record.key)
        self.groups[record.resource_group, record.key] = record
        uid = record.machine.uid
        self.machines[uid] = record.machine
        self.homes[uid] = record.resource_group
        record.machine.doom, self.doom = self.doom, None
        self.act(record.machine, record.machine.begin(now))

    def remove_group(self, resource_group: str, key: str) -> None:
        """Take a group out of sight and close what runs of it."""
        record = self.groups.pop((resource_group, key), None)
        if record is None:
            return
        self.finish_operations(record.machine)
        self.act(record.machine, record.machine.close())

    def groups_of(self, resource_group: str | None) -> Iterator[GroupRecord]:
        """The groups of one resource group, or all."""
        for (home, _), record in self.groups.items():
            if resource_group is None or home == resource_group:
                yield record

    def act(self, machine: GroupMachine, actions: list[Action]) -> None:
        """Something about a group has changed: hand out its actions, note its next wake."""
        self.generation += 1
        self.outbox.extend(actions)
        wake = machine.next_wake
        if wake is not None:
            heapq.heappush(self._wakes, (wake, machine.uid))

    def due(self, now: float) -> Iterator[GroupMachine]:
        """The groups whose time has come; each is looked at once."""
        seen = set()
        while self._wakes and self._wakes[0][0] <= now:
            _, uid = heapq.heappop(self._wakes)
            machine = self.machines.get(uid)
            if machine is None or uid in seen:
                continue
            wake = machine.next_wake
            if wake is not None and wake <= now:
                seen.add(uid)
                yield machine

    @property
    def next_wake(self) -> float | None:
        """When the next group has something to do."""
        while self._wakes:
            at, uid = self._wakes[0]
            machine = self.machines.get(uid)
            if machine is not None and machine.next_wake == at:
                return at
            heapq.heappop(self._wakes)
        return None

    def forget(self, uid: str) -> None:
        """Nothing of an incarnation is left; the last one takes its dying resource group with it."""
        self.generation += 1
        del self.machines[uid]
        home = self.homes.pop(uid)
        self.sweep(home)

    def sweep(self, resource_group: str) -> None:
        """Drop a resource group that is being deleted and has nothing left."""
        record = self.resource_groups.get(resource_group)
        if record is None or record.deletion is None or resource_group in self.homes.values():
            return
        del self.resource_groups[resource_group]
        self.deletions[record.deletion] = None
        self.generation += 1

    # --- operations --------------------------------------------------------------------------

    def add_operation(self, machine: GroupMachine, now: float) -> OperationRecord:
        """A new operation on a group; those before it can change no more."""
        self.finish_operations(machine)
        operation = OperationRecord(
            id=self.new_id(),
            uid=machine.uid,
            resource_id=machine.desired.resource_id,
            started=now,
        )
        self.operations[operation.id] = operation
        self._current[machine.uid] = operation.id
        while len(self.operations) > MAX_OPERATIONS:
            del self.operations[next(iter(self.operations))]
        return operation

    def finish_operations(self, machine: GroupMachine) -> None:
        """Fix what a group's operations show."""
        operation = self.operations.get(self._current.pop(machine.uid, ""))
        if operation is not None:
            body = operation.body(machine)
            if not machine.settled:  # overtaken by a deletion
                body["status"] = "Canceled"
            operation.final = body

    # --- sessions ----------------------------------------------------------------------------

    def add_session(self, wanted: OpenTerminal, now: float) -> SessionRecord:
        """A new session, good for one connection."""
        for key in [key for key, one in self.sessions.items() if one.expires <= now]:
            del self.sessions[key]
        made = SessionRecord(
            id=self.new_id(),
            # Two UUIDs: 244 random bits of whoever made the endpoint, so that simulations repeat.
            password=f"{self.new_id()}{self.new_id()}".replace("-", ""),
            wanted=wanted,
            expires=now + SESSION_LIFETIME,
        )
        self.sessions[made.id] = made
        return made

    def claim(self, session: str, password: str, now: float) -> OpenTerminal | None:
        """See :meth:`aciflow.local.endpoint.Endpoint.claim`."""
        found = self.sessions.get(session.lower())
        if found is None or found.expires <= now:
            return None
        if not hmac.compare_digest(found.password.encode(), password.encode()):
            return None
        del self.sessions[found.id]
        return found.wanted

    # --- on disk -----------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """As JSON, secrets included."""
        return {
            "version": VERSION,
            "subscription_id": self.subscription_id,
            "tenant_id": self.tenant_id,
            "resource_groups": [
                {
                    "name": record.name,
                    "location": record.location,
                    "tags": record.tags,
                    "managed_by": record.managed_by,
                    "deletion": record.deletion,
                }
                for record in self.resource_groups.values()
            ],
            "groups": [
                {
                    "resource_group": record.resource_group,
                    "key": record.key,
                    "kept": record.kept,
                    "top": record.top,
                    "fqdn": record.fqdn,
                    "machine": record.machine.dump(),
                    "exposed": list(record.exposed),
                    "marked": list(record.marked),
                }
                for record in self.groups.values()
            ],
            "closing": [
                {"uid": uid, "resource_group": self.homes[uid], "id": machine.desired.resource_id}
                for uid, machine in self.machines.items()
                if machine.closing
            ],
            "operations": [
                {
                    "id": operation.id,
                    "uid": operation.uid,
                    "resource_id": operation.resource_id,
                    "started": operation.started,
                    "final": operation.final,
                }
                for operation in self.operations.values()
            ],
            "deletions": self.deletions,
            "unregistered": sorted(self.unregistered),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """
        Take up what :meth:`dump` gave, and hand out again the actions that were under way.

        Raises:
            ValueError: It is of another version.
        """
        if saved.get("version") != VERSION:
            raise ValueError(f"unknown version of the endpoint's state: {saved.get('version')}")
        self.subscription_id = saved["subscription_id"]
        self.tenant_id = saved["tenant_id"]
        for group in saved["resource_groups"]:
            key = group["name"].lower()
            self.resource_groups[key] = ResourceGroupRecord(key=key, **group)
        for group in saved["groups"]:
            machine = GroupMachine.load(
                desired_from(
                    {**group["top"], "properties": group["kept"]}, self.config.azure_files
                ),
                group["machine"],
            )
            made = {
                "visible": shown(group["kept"]),
                "machine": machine,
                "exposed": tuple(group["exposed"]),
                "marked": tuple(group["marked"]),
            }
            known = GroupRecord(**{**group, **made})
            self.groups[known.resource_group, known.key] = known
            self._adopt(machine, known.resource_group)
        for closing in saved["closing"]:
            self._adopt(_remains(closing), closing["resource_group"])
        for operation in saved["operations"]:
            record = OperationRecord(**operation)
            self.operations[record.id] = record
            if record.final is None:
                self._current[record.uid] = record.id
        self.deletions.update(saved["deletions"])
        self.unregistered = set(saved["unregistered"])

    def _adopt(self, machine: GroupMachine, resource_group: str) -> None:
        self.machines[machine.uid] = machine
        self.homes[machine.uid] = resource_group
        self.act(machine, machine.resume())


def _remains(closing: dict[str, Any]) -> GroupMachine:
    """The controller of a group of which only the closing is left to do."""
    name = closing["id"].rpartition("/")[2]
    desired = desired_from(
        {"id": closing["id"], "name": name, "properties": {"containers": []}}, {}
    )
    machine = GroupMachine(closing["uid"], desired, 0.0)
    machine.close()
    return machine
