"""Delete, and know that it is gone."""

from __future__ import annotations

from typing import Any

from aciflow.errors import (
    ArmError,
    CleanupError,
    EndpointUnreachableError,
    NotFoundError,
)
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow
from aciflow.flow.ids import GroupRef, ResourceGroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import retrying, sleep, transient


__all__ = ["DELETE_BUDGET", "delete_group", "delete_resource_group"]

# Real deletions take 30 to 90 s (DoWhiz#1503, terraform-provider-azurerm#9375).
DELETE_BUDGET = 180.0
# How many more times to look for what an unanswered PUT may still bring about.
LATE_LOOKS = 3


def delete_group(
    env: Env, ref: GroupRef, *, pace: Pace, deadline: float, maybe_late: bool = False
) -> Flow[bool]:
    """
    Delete a container group and confirm that it is gone.

    Args:
        env: Clock and random generator.
        ref: Which.
        pace: How often to look.
        deadline: On the flow's clock.
        maybe_late: A PUT was sent and its reply never came, so it may appear after all.

    Returns:
        Whether there was one.

    Raises:
        CleanupError: It could not be deleted, or was still there at the deadline.
    """
    existed = yield from _delete(env, ref, deadline)
    looks = LATE_LOOKS if maybe_late and not existed else 0
    while env.clock.now() < deadline:
        there = yield from _exists(env, _get(ref), deadline)
        if there and looks:
            existed = (yield from _delete(env, ref, deadline)) or existed
        elif not there:
            if looks == 0:
                return existed
            looks -= 1
        yield from sleep(env, pace.gone)
    raise CleanupError(
        f"container group '{ref.name}' is still there; its deletion was asked for",
        remaining=[ref.leftover],
    )


def delete_resource_group(
    env: Env, ref: ResourceGroupRef, *, pace: Pace, deadline: float, tag: tuple[str, str]
) -> Flow[bool]:
    """
    Begin to delete a resource group that aciflow made and that holds nothing else.

    Azure takes minutes for it, so this waits only until ``deadline``.

    Args:
        env: Clock and random generator.
        ref: Which.
        pace: How often to look.
        deadline: On the flow's clock: how long to wait for the end of it.
        tag: Name and value of the tag that shows that aciflow made it.

    Returns:
        Whether it is certainly gone; ``False`` where the deletion goes on.

    Raises:
        CleanupError: It was not ours, others have moved in, or ARM refused.
    """
    name, value = tag
    try:
        reply: ArmReply = yield from retrying(
            env, ArmCall(operation="rg.get", resource_group=ref.name), deadline=_late(env, deadline)
        )
        if (reply.body.get("tags") or {}).get(name) != value:
            raise CleanupError(
                f"resource group '{ref.name}' does not carry the tag {name}={value}: it is kept",
                remaining=[ref.leftover],
            )
        inside: ArmReply = yield from retrying(
            env,
            ArmCall(operation="rg.resources", resource_group=ref.name),
            deadline=_late(env, deadline),
        )
        if inside.body["value"]:
            others = ", ".join(str(resource.get("id")) for resource in inside.body["value"][:5])
            raise CleanupError(
                f"resource group '{ref.name}' holds {others}: it is kept", remaining=[ref.leftover]
            )
        yield from retrying(
            env,
            ArmCall(operation="rg.delete", resource_group=ref.name),
            deadline=_late(env, deadline),
        )
    except NotFoundError:
        return True
    except (ArmError, EndpointUnreachableError) as error:
        raise CleanupError(
            f"resource group '{ref.name}' could not be deleted: {error.message}",
            remaining=[ref.leftover],
        ) from error
    while env.clock.now() < deadline:
        look = ArmCall(operation="rg.get", resource_group=ref.name)
        if not (yield from _exists(env, look, deadline)):
            return True
        yield from sleep(env, pace.gone)
    return False


def _late(env: Env, deadline: float) -> float:
    """Requests get some time of their own, even where there is none to wait for their outcome."""
    return max(deadline, env.clock.now() + 30.0)


def _get(ref: GroupRef) -> ArmCall:
    return ArmCall(operation="group.get", resource_group=ref.resource_group.name, name=ref.name)


def _exists(env: Env, look: ArmCall, deadline: float) -> Flow[Any]:
    try:
        yield from retrying(env, look, deadline=deadline)
    except NotFoundError:
        return False  # ResourceNotFound, or ContainerGroupNotFound while it is disappearing
    except (ArmError, EndpointUnreachableError) as error:
        if not transient(error):
            raise
    return True


def _delete(env: Env, ref: GroupRef, deadline: float) -> Flow[Any]:
    call = ArmCall(operation="group.delete", resource_group=ref.resource_group.name, name=ref.name)
    try:
        reply: ArmReply = yield from retrying(env, call, deadline=deadline)
    except NotFoundError:
        return False
    except (ArmError, EndpointUnreachableError) as error:
        raise CleanupError(
            f"container group '{ref.name}' could not be deleted: {error.message}",
            remaining=[ref.leftover],
        ) from error
    return reply.status != 204
