"""What a failed container group can still tell before it is deleted."""

from __future__ import annotations

from attrs import evolve, field, frozen

from aciflow.errors import AciflowError, ContainerExitedError
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow
from aciflow.flow.ids import GroupRef
from aciflow.flow.retry import retrying
from aciflow.model import GroupState


__all__ = ["Evidence", "gather"]

LOG_TAIL = 50
# An error is not held up for longer than this by what would explain it.
BUDGET = 10.0


@frozen(kw_only=True)
class Evidence:
    """
    For an error's context.

    Attributes:
        logs: The last lines of the container that is at fault, or of the first.
        events: The service's events, oldest first, one line each.
    """

    logs: str = field(default="", repr=False)
    events: tuple[str, ...] = ()


def gather(env: Env, ref: GroupRef, error: AciflowError) -> Flow[Evidence]:
    """Read events and log, as far as they can be had; never raises for what ARM says."""
    found = Evidence()
    deadline = env.clock.now() + BUDGET
    call = ArmCall(
        operation="group.get",
        resource_group=ref.resource_group.name,
        name=ref.name,
        timeout=BUDGET,
    )
    try:
        reply: ArmReply = yield from retrying(env, call, deadline=deadline)
        state = GroupState.from_arm(reply.body)
        found = evolve(found, events=_events(state))
        names = [status.name for status in state.containers]
        if isinstance(error, ContainerExitedError):
            names.insert(0, error.container)
        if names:
            tail = evolve(call, operation="group.logs", container=names[0], tail=LOG_TAIL)
            reply = yield from retrying(env, tail, deadline=deadline)
            found = evolve(found, logs=(reply.body or {}).get("content") or "")
    except AciflowError:
        pass  # there may be no log, or no group, any more
    return found


def _events(state: GroupState) -> tuple[str, ...]:
    containers = (*state.init_containers, *state.containers)
    events = [*state.events, *(event for status in containers for event in status.events)]
    return tuple(
        f"{event.name}: {event.message}" + (f" (x{event.count})" if event.count > 1 else "")
        for event in sorted(events, key=lambda event: event.first)
    )
