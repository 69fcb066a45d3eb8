"""What the runtime remembers of the groups and containers that it runs."""

from __future__ import annotations

import threading

from collections.abc import Sequence
from typing import Literal

from attrs import Factory, define, field

from aciflow.local.protocol import PortSpec
from aciflow.local.runtime.engine.containers import Place


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
        previous: Ids of earlier attempts, oldest first; their logs stay.
        adopted: An earlier process started it, and the endpoint does not know that yet.
    """

    name: str
    attempt: int
    id: str = ""
    state: Literal["starting", "running", "exited", "failed"] = "starting"
    code: int | None = None
    oom: bool = False
    previous: tuple[str, ...] = ()
    adopted: bool = False


@define(eq=False)
class Group:
    """
    One incarnation of a container group.

    Attributes:
        place: Where it lives; ``None`` until its sandbox is open.
        pause_id: The container that holds its namespaces, where there are several.
        members: The last attempt of each container.
        filled: Volumes that exist and have their files.
        closing: Nothing more is reported or started.
        opening: How many opens are under way; starts wait for them.
        busy: How many opens and starts are under way; closing waits for them.
        shown: The address may be used by others.
    """

    uid: str
    resource_id: str
    name: str
    ports: Sequence[PortSpec] = ()
    place: Place | None = None
    pause_id: str | None = None
    members: dict[str, Member] = field(factory=dict)
    filled: set[str] = field(factory=set)
    closing: bool = False
    opening: int = 0
    busy: int = 0
    shown: bool = False
    volumes_lock: threading.Lock = Factory(threading.Lock)
