"""Resource groups: make one if it is not there, delete one that aciflow made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from aciflow.errors import (
    ArmError,
    CleanupError,
    EndpointUnreachableError,
    LocationRequiredError,
    NotFoundError,
)
from aciflow.flow.delete import exists
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, LedgerClear, LedgerWrite
from aciflow.flow.ids import ResourceGroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import perform, retrying, sleep


__all__ = ["Made", "delete_resource_group", "ensure", "find", "location_required", "put"]

BUDGET = 60.0


@define
class Made:
    """
    What a launch has made so far; it says so also when the launch is interrupted.

    Attributes:
        resource_group: It made the resource group, or tried to.
        container_group: There is or may be a container group of its own that is to be deleted some time.
        location: The resource group's, which is known to exist; ``None`` while it is not.
    """

    resource_group: bool = False
    container_group: bool = False
    location: str | None = None


def find(env: Env, ref: ResourceGroupRef, deadline: float) -> Flow[Mapping[str, Any] | None]:
    """The resource group as ARM shows it, or ``None``."""
    try:
        reply: ArmReply = yield from retrying(
            env, ArmCall(operation="rg.get", resource_group=ref.name), deadline=deadline
        )
    except NotFoundError:
        return None
    body: Mapping[str, Any] = reply.body
    return body


def put(ref: ResourceGroupRef, location: str, tags: Mapping[str, str]) -> ArmCall:
    """The request that makes it."""
    return ArmCall(
        operation="rg.put",
        resource_group=ref.name,
        body={"location": location, "tags": dict(tags)},
    )


def record(env: Env, ref: ResourceGroupRef, stage: str) -> Flow[None]:
    """Write down that it is to be made, or to be deleted."""
    entry = {
        "launch_id": _record_id(ref),
        "stage": stage,
        "id": ref.id,
        "subscription_id": ref.subscription_id,
        "resource_group": ref.name,
        "began": env.clock.wall(),
        "remove_with": ref.leftover.remove_with,
    }
    yield from perform(env, LedgerWrite(record=entry))


def _record_id(ref: ResourceGroupRef) -> str:
    return f"group-{ref.name}"


def location_required(name: str) -> LocationRequiredError:
    """The error for a resource group that must be made, nobody said where."""
    return LocationRequiredError(
        f"resource group '{name}' does not exist and no location is given: pass "
        f"location='westeurope' (or any other region), or set az's default with "
        f"`az config set defaults.location=westeurope`"
    )


def ensure(
    env: Env,
    ref: ResourceGroupRef,
    made: Made,
    *,
    location: str | None,
    tags: Mapping[str, str],
    new: bool,
) -> Flow[None]:
    """
    Make it if it is not there.

    Args:
        env: Clock and random generator.
        ref: Which.
        made: Filled in, also when this is interrupted.
        location: Where, if it must be made.
        tags: Of one that is made.
        new: Its name was made up, so there is nothing to look up.
    """
    deadline = env.clock.now() + BUDGET
    found = None if new else (yield from find(env, ref, deadline))
    if found is None:
        if location is None:
            raise location_required(ref.name)
        yield from record(env, ref, "intended")
        made.resource_group = True
        yield from retrying(env, put(ref, location, tags), deadline=deadline)
    made.location = location if found is None else str(found["location"])


def delete_resource_group(
    env: Env, ref: ResourceGroupRef, *, pace: Pace, wait: float, mark: tuple[str, str]
) -> Flow[bool]:
    """
    Delete a resource group that aciflow made and that holds nothing else.

    Azure takes minutes for it, so its end is awaited for ``wait`` seconds only; until it is confirmed the
    ledger has a record of it.

    Args:
        env: Clock and random generator.
        ref: Which.
        pace: How often to look.
        wait: Seconds.
        mark: Name and value of the tag that shows that it was made here.

    Returns:
        Whether it is certainly gone; ``False`` where the deletion goes on.

    Raises:
        CleanupError: It was not made here, others have moved in, or ARM refused.
    """
    deadline = env.clock.now() + BUDGET
    try:
        gone = yield from _begin(env, ref, deadline, mark)
    except (ArmError, EndpointUnreachableError) as error:
        raise CleanupError(
            f"resource group '{ref.name}' could not be deleted: {error.message}",
            remaining=[ref.leftover],
        ) from error
    until = env.clock.now() + wait
    look = ArmCall(operation="rg.get", resource_group=ref.name)
    while not gone and env.clock.now() < until:
        gone = not (yield from exists(env, look, until))
        if not gone:
            yield from sleep(env, pace.gone)
    if gone:
        yield from perform(env, LedgerClear(launch_id=_record_id(ref)))
    return gone


def _begin(env: Env, ref: ResourceGroupRef, deadline: float, mark: tuple[str, str]) -> Flow[bool]:
    """Ask for the deletion; returns whether there is nothing to delete."""
    found = yield from find(env, ref, deadline)
    if found is None:
        return True
    name, value = mark
    if (found.get("tags") or {}).get(name) != value:
        raise CleanupError(
            f"resource group '{ref.name}' does not carry the tag {name}={value}: it is kept",
            remaining=[ref.leftover],
        )
    try:
        inside: ArmReply = yield from retrying(
            env, ArmCall(operation="rg.resources", resource_group=ref.name), deadline=deadline
        )
        if inside.body["value"]:
            others = ", ".join(str(resource.get("id")) for resource in inside.body["value"][:5])
            raise CleanupError(
                f"resource group '{ref.name}' holds {others}: it is kept", remaining=[ref.leftover]
            )
        yield from record(env, ref, "deleting")
        yield from retrying(
            env, ArmCall(operation="rg.delete", resource_group=ref.name), deadline=deadline
        )
    except NotFoundError:
        return True
    return False
