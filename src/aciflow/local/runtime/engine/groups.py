"""What the runtime remembers of the groups and containers that it runs."""

from __future__ import annotations

import threading

from typing import Literal

from attrs import Factory, define, evolve, field

from aciflow.local.runtime.engine.containers import Sandbox


__all__ = ["Group", "Member"]


@define(eq=False)
class Member:
    """
    One attempt of one container.

    Attributes:
        name: The container's, in its group.
        attempt: Which start this is.
        id: The engine's, once it is created.
        state: ``starting`` until the start was reported; an exit that comes before waits in ``code``.
        code: Exit code, once it ended.
        oom: It was killed for its memory.
        stopping: It was told to end.
        previous: Ids of earlier attempts, oldest first; their logs stay.
        adopted: An earlier process started it, and the endpoint does not know that yet.
    """

    name: str
    attempt: int
    id: str = ""
    state: Literal["starting", "running", "exited", "failed"] = "starting"
    code: int | None = None
    oom: bool = False
    stopping: bool = False
    previous: tuple[str, ...] = ()
    adopted: bool = False

    def answers(self, attempt: int) -> bool:
        """Whether this is that start: under way, done, or over; one that failed is tried anew."""
        return self.attempt == attempt and (self.state != "failed" or self.adopted)


@define(eq=False)
class Group:
    """
    One incarnation of a container group.

    Attributes:
        sandbox: What its containers have in common; ``None`` until it is open.
        pause_id: The container that holds its namespaces, where there are several, or where the only
            one has ended and is to come back to the same address.
        members: The last attempt of each container.
        filled: Volumes that exist and have their files.
        closing: Nothing more is reported or started.
        opening: How much is under way that starts wait for.
        busy: How much is under way that closing waits for.
    """

    uid: str
    resource_id: str
    sandbox: Sandbox | None = None
    pause_id: str | None = None
    members: dict[str, Member] = field(factory=dict)
    filled: set[str] = field(factory=set)
    closing: bool = False
    opening: int = 0
    busy: int = 0
    volumes_lock: threading.Lock = Factory(threading.Lock)
    renewal_lock: threading.Lock = Factory(threading.Lock)

    def loses_address(self, ended: Member) -> bool:
        """Whether the end of a container, for now, leaves nobody at the group's address."""
        if self.sandbox is None or self.sandbox.place.mode != "bridge" or self.pause_id is not None:
            return False
        restarts = self.sandbox.restarts
        again = restarts == "always" or (restarts == "on-failure" and ended.code != 0)
        return again and not ended.stopping and not self.closing

    def moved_to(self, ip: str) -> bool:
        """Its address on a bridge is known now; returns whether it is a new one."""
        if self.sandbox is None or self.sandbox.place.ip == ip:
            return False
        self.sandbox = evolve(self.sandbox, place=evolve(self.sandbox.place, ip=ip))
        return True
