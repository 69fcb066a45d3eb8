"""Delete, and know that it is gone."""

from __future__ import annotations

from aciflow.errors import (
    ArmError,
    CleanupError,
    EndpointUnreachableError,
    NotFoundError,
)
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow
from aciflow.flow.ids import GroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import retrying, sleep, transient


__all__ = ["DELETE_BUDGET", "delete_group", "exists"]

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
        there = yield from exists(env, _get(ref), deadline)
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


def _get(ref: GroupRef) -> ArmCall:
    return ArmCall(operation="group.get", resource_group=ref.resource_group.name, name=ref.name)


def exists(env: Env, look: ArmCall, deadline: float) -> Flow[bool]:
    """Whether what is looked for is there; trouble with ARM means that it may be."""
    try:
        yield from retrying(env, look, deadline=deadline)
    except NotFoundError:
        return False  # ResourceNotFound, or ContainerGroupNotFound while it is disappearing
    except (ArmError, EndpointUnreachableError) as error:
        if not transient(error):
            raise
    return True


def _delete(env: Env, ref: GroupRef, deadline: float) -> Flow[bool]:
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
