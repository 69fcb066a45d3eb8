"""What a launch is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

from aciflow.flow.facts import Facts
from aciflow.flow.ids import GroupRef, ResourceGroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.wait import Mapped
from aciflow.model import ContainerGroupSpec, GroupState
from aciflow.ready import Ready


__all__ = ["LaunchRequest", "Launched"]


@frozen(kw_only=True)
class LaunchRequest:
    """
    Everything a launch needs to know.

    Attributes:
        launch_id: Unique; on disk and in the tags.
        spec: What to run, already validated.
        resource_group: Where.
        group_known: The resource group is known to exist; it is neither looked up nor made.
        group_new: Its name was made up for this client, so there is nothing to look up.
        locations: To be tried in this order; empty: the resource group's own.
        fallback_location: If there is none at all.
        tags: Besides the spec's and our own.
        owner: Who (``user@host``).
        ready: What to wait for.
        timeout: Seconds for all of it.
        wait: Whether to wait for ``ready``; if not, it ends when ARM has accepted.
        if_exists: What to do about a container group of that name.
        on_failure: Whether a failed one is deleted.
        delete_after: Seconds until ``reap`` may delete it, or ``None``.
        lifetime: For the ledger.
        pace: How often to ask whom.
        target: As the timeline says it.
        process: For the ledger: who is launching.
    """

    launch_id: str
    spec: ContainerGroupSpec
    resource_group: ResourceGroupRef
    group_known: bool = False
    group_new: bool = False
    locations: tuple[str, ...] = ()
    fallback_location: str | None = None
    tags: Mapping[str, str] = field(factory=dict)
    owner: str
    ready: Ready
    timeout: float = 300.0
    wait: bool = True
    if_exists: Literal["error", "adopt", "replace"] = "error"
    on_failure: Literal["delete", "keep"] = "delete"
    delete_after: float | None = None
    lifetime: str = "process"
    pace: Pace
    target: str = ""
    process: Mapping[str, Any] = field(factory=dict)

    @property
    def ref(self) -> GroupRef:
        """The container group to be."""
        return GroupRef(resource_group=self.resource_group, name=self.spec.name)

    @property
    def title(self) -> str:
        """Name and images: the heading of its timeline."""
        images = ", ".join(container.image for container in self.spec.containers)
        return f"{self.spec.name} ({images})"


@frozen(kw_only=True)
class Launched:
    """
    What came of a launch.

    Attributes:
        state: What ARM last said.
        mapped: Ports that are reached elsewhere than on the address.
        adopted: It was there before.
        facts: All that was seen, for the timeline.
    """

    state: GroupState
    mapped: Mapped
    adopted: bool
    facts: Facts
