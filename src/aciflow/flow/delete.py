"""Delete, and know that it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aciflow.errors import AciflowError, CleanupError, NotFoundError
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow
from aciflow.flow.ids import LAUNCH_TAG, GroupRef
from aciflow.flow.pace import Pace
from aciflow.flow.retry import retrying, sleep, transient


__all__ = ["DELETE_BUDGET", "delete_group", "look"]

# Real deletions take 30 to 90 s (DoWhiz#1503, terraform-provider-azurerm#9375).
DELETE_BUDGET = 180.0
# How many more times to look for what an unanswered PUT may still bring about.
LATE_LOOKS = 3


def delete_group(
    env: Env,
    ref: GroupRef,
    *,
    pace: Pace,
    deadline: float,
    launch_id: str | None = None,
    maybe_late: bool = False,
) -> Flow[bool]:
    """
    Delete a container group and confirm that it is gone.

    Args:
        env: Clock and random generator.
        ref: Which.
        pace: How often to look.
        deadline: On the flow's clock.
        launch_id: Only if it is of this launch. What another launch has put in its place is left alone.
        maybe_late: A PUT was sent and its reply never came, so it may appear after all.

    Returns:
        Whether there was one.

    Raises:
        CleanupError: It could not be deleted, or was still there at the deadline; or it does not carry
            the launch's tag any more, and so may be somebody else's by now.
    """
    try:
        return (yield from _delete_group(env, ref, pace, deadline, launch_id, maybe_late))
    except CleanupError:
        raise
    except AciflowError as error:
        raise CleanupError(
            f"container group '{ref.name}' could not be deleted: {error.message}",
            remaining=[ref.leftover],
        ) from error


def _delete_group(
    env: Env, ref: GroupRef, pace: Pace, deadline: float, launch_id: str | None, maybe_late: bool
) -> Flow[bool]:
    get = ArmCall(operation="group.get", resource_group=ref.resource_group.name, name=ref.name)
    looks = LATE_LOOKS if maybe_late else 0
    existed = launch_id is None and (yield from _ask(env, ref, deadline))
    while True:
        found = yield from look(env, get, deadline)
        if found is None:
            if existed or looks == 0:
                return existed
            looks -= 1
        elif found and not existed:
            if launch_id is not None and _of_another(found, ref, launch_id):
                return False
            existed = yield from _ask(env, ref, deadline)
            if existed:
                continue
        if env.clock.now() + pace.gone >= deadline:
            break
        yield from sleep(env, pace.gone)
    raise CleanupError(
        f"container group '{ref.name}' is still there; its deletion was asked for",
        remaining=[ref.leftover],
    )


def look(env: Env, call: ArmCall, deadline: float) -> Flow[Mapping[str, Any] | None]:
    """
    What is there: its body, ``None`` if there is nothing, and an empty body where ARM does not tell.

    Raises:
        AciflowError: ARM will not tell.
    """
    try:
        reply: ArmReply = yield from retrying(env, call, deadline=deadline)
    except NotFoundError:
        return None  # ResourceNotFound, or ContainerGroupNotFound while it is disappearing
    except AciflowError as error:
        if not transient(error):
            raise
        return {}
    body: Mapping[str, Any] = reply.body
    return body


def _of_another(found: Mapping[str, Any], ref: GroupRef, launch_id: str) -> bool:
    tag = (found.get("tags") or {}).get(LAUNCH_TAG)
    if tag is None:
        raise CleanupError(
            f"container group '{ref.name}' does not carry the tag {LAUNCH_TAG}: it is kept",
            remaining=[ref.leftover],
        )
    return bool(tag != launch_id)


def _ask(env: Env, ref: GroupRef, deadline: float) -> Flow[bool]:
    """Ask for its deletion; returns whether there was something to delete."""
    call = ArmCall(operation="group.delete", resource_group=ref.resource_group.name, name=ref.name)
    try:
        reply: ArmReply = yield from retrying(env, call, deadline=deadline)
    except NotFoundError:
        return False
    return reply.status != 204
