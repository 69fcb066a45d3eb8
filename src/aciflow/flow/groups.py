"""Resource groups: make one if it is not there, delete one that aciflow made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from aciflow.errors import (
    AciflowError,
    CleanupError,
    LocationRequiredError,
    NotFoundError,
    TransitioningError,
)
from aciflow.flow.delete import look
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, LedgerClear, LedgerWrite
from aciflow.flow.ids import ResourceGroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import Attempts, perform, retrying, sleep


__all__ = ["Made", "delete_resource_group", "drop_made", "ensure", "find", "find_to_use", "make"]

BUDGET = 60.0
# Azure deletes a resource group in minutes.
DELETION = 600.0
# Seconds between looks whether it has: at first, and at the longest.
FIRST_LOOK = 0.25
SLOWEST_LOOK = 5.0


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


def find_to_use(env: Env, ref: ResourceGroupRef, deadline: float) -> Flow[Mapping[str, Any] | None]:
    """
    As :func:`find`; one that is being deleted is waited for, since nothing can be made in it.

    Raises:
        TransitioningError: It is still being deleted at the deadline.
    """
    pause = FIRST_LOOK
    while (found := (yield from find(env, ref, deadline))) is not None and _deleting(found):
        if env.clock.now() + pause > deadline:
            raise TransitioningError(
                f"resource group '{ref.name}' is still being deleted; Azure takes minutes for it",
                status=409,
                code="ResourceGroupBeingDeleted",
            )
        yield from sleep(env, pause)
        pause = min(2 * pause, SLOWEST_LOOK)
    return found


def _deleting(found: Mapping[str, Any]) -> bool:
    return bool((found.get("properties") or {}).get("provisioningState") == "Deleting")


def make(
    env: Env,
    ref: ResourceGroupRef,
    made: Made,
    *,
    location: str | None,
    tags: Mapping[str, str],
    deadline: float,
) -> Flow[None]:
    """
    Make it.

    Raises:
        LocationRequiredError: Nobody said where.
    """
    if location is None:
        raise LocationRequiredError(
            f"resource group '{ref.name}' does not exist and no location is given: pass "
            f"location='westeurope' (or any other region), or set az's default with "
            f"`az config set defaults.location=westeurope`"
        )
    yield from _record(env, ref, "intended")
    made.resource_group = True
    call = ArmCall(
        operation="rg.put",
        resource_group=ref.name,
        body={"location": location, "tags": dict(tags)},
    )
    attempts = Attempts()
    try:
        yield from retrying(env, call, deadline=deadline, attempts=attempts)
    except AciflowError:
        if not attempts.unsure:  # refused: there is nothing to delete
            made.resource_group = False
            yield from perform(env, LedgerClear(launch_id=_record_id(ref)))
        raise
    made.location = location


def _record(env: Env, ref: ResourceGroupRef, stage: str) -> Flow[None]:
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
    return f"group-{ref.subscription_id}-{ref.name.lower()}"


def ensure(
    env: Env,
    ref: ResourceGroupRef,
    made: Made,
    *,
    location: str | None,
    tags: Mapping[str, str],
    new: bool,
    keep: bool = False,
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
        keep: It is to stay, so nothing has to be remembered for a clean-up.
    """
    found = None if new else (yield from find_to_use(env, ref, env.clock.now() + DELETION))
    if found is None:
        deadline = env.clock.now() + BUDGET
        yield from make(env, ref, made, location=location, tags=tags, deadline=deadline)
        if keep:
            yield from perform(env, LedgerClear(launch_id=_record_id(ref)))
    else:
        made.location = str(found["location"])


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
    except CleanupError:
        raise
    except AciflowError as error:
        raise CleanupError(
            f"resource group '{ref.name}' could not be deleted: {error.message}",
            remaining=[ref.leftover],
        ) from error
    until = env.clock.now() + wait
    get = ArmCall(operation="rg.get", resource_group=ref.name)
    while not gone and env.clock.now() < until:
        gone = (yield from look(env, get, until)) is None
        if not gone:
            yield from sleep(env, pace.gone)
    if gone:
        yield from perform(env, LedgerClear(launch_id=_record_id(ref)))
    return gone


def drop_made(
    env: Env, ref: ResourceGroupRef, *, pace: Pace, wait: float, marks: Mapping[str, str | None]
) -> Flow[bool]:
    """
    Delete a resource group that a launch made, if nothing is in it any more; else leave it alone.

    Args:
        env: Clock and random generator.
        ref: Which.
        pace: How often to look.
        wait: As for :func:`delete_resource_group`.
        marks: Tags that it must carry; ``None`` stands for any value.

    Returns:
        Whether there was one to delete.
    """
    deadline = env.clock.now() + BUDGET
    found = yield from find(env, ref, deadline)
    tags: Mapping[str, str] = (found or {}).get("tags") or {}
    if any(name not in tags or value not in (None, tags[name]) for name, value in marks.items()):
        return False
    if (yield from _inside(env, ref, deadline)):
        return False
    name = next(iter(marks))
    yield from delete_resource_group(env, ref, pace=pace, wait=wait, mark=(name, tags[name]))
    return True


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
        if not _deleting(found):
            others = yield from _inside(env, ref, deadline)
            if others:
                raise CleanupError(
                    f"resource group '{ref.name}' holds {', '.join(others[:5])}: it is kept",
                    remaining=[ref.leftover],
                )
            yield from _record(env, ref, "deleting")
            yield from retrying(
                env, ArmCall(operation="rg.delete", resource_group=ref.name), deadline=deadline
            )
    except NotFoundError:
        return True
    return False


def _inside(env: Env, ref: ResourceGroupRef, deadline: float) -> Flow[list[str]]:
    """Ids of what it holds. ARM's list lags: container groups that are gone stay in it for a while."""
    reply: ArmReply = yield from retrying(
        env, ArmCall(operation="rg.resources", resource_group=ref.name), deadline=deadline
    )
    found = []
    for resource in reply.body["value"]:
        name = str(resource.get("name"))
        if str(resource.get("type")).lower() == "microsoft.containerinstance/containergroups":
            get = ArmCall(operation="group.get", resource_group=ref.name, name=name)
            if (yield from look(env, get, deadline)) is None:
                continue
        found.append(str(resource.get("id")))
    return found
