"""What a live handle does, each as a flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tenacity

from attrs import evolve, frozen

from aciflow.errors import (
    AciflowError,
    GroupGoneError,
    NotFoundError,
    NotReadyError,
    ProvisioningError,
    TransitioningError,
)
from aciflow.flow.delete import DELETE_BUDGET, delete_group
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, LedgerClear, Operation
from aciflow.flow.facts import Facts
from aciflow.flow.ids import GroupRef
from aciflow.flow.launch import OPERATION_HEADER
from aciflow.flow.lines import LogCursor, LogLine
from aciflow.flow.pace import Pace
from aciflow.flow.retry import STANDARD, perform, retrying, sleep, transient
from aciflow.flow.run import LAST_READ, read_new_lines
from aciflow.flow.wait import (
    MAPPED_HEADER,
    Mapped,
    Waited,
    operation_failure,
    parse_mapped,
    wait_ready,
)
from aciflow.model import GroupState
from aciflow.ready import Ready


__all__ = ["View", "change", "delete", "follow", "list_groups", "logs", "read", "usages", "wait"]

# Reads and small writes of a handle; nothing that a person would wait longer for.
BUDGET = 60.0
# A start is an operation of up to the service's provisioning time-out.
CHANGE_BUDGET = 300.0
# How long ARM may still show the failure that was there before a change.
STALE = 15.0
FAILED = frozenset({"Failed", "Canceled"})
# States of a group whose container does not start any more, if it has not.
DONE = FAILED | {"Stopped"}


@frozen(kw_only=True)
class View:
    """A container group as ARM shows it now."""

    state: GroupState
    mapped: Mapped
    headers: Mapping[str, str]


def read(env: Env, ref: GroupRef) -> Flow[View]:
    """
    Read it.

    Raises:
        GroupGoneError: There is none.
    """
    try:
        reply: ArmReply = yield from retrying(
            env, _call("group.get", ref), deadline=env.clock.now() + BUDGET
        )
    except NotFoundError as error:
        raise GroupGoneError(f"there is no container group {ref.id}") from error
    return View(
        state=GroupState.from_arm(reply.body),
        mapped=parse_mapped(reply.headers.get(MAPPED_HEADER)),
        headers=reply.headers,
    )


def wait(
    env: Env, ref: GroupRef, ready: Ready, *, pace: Pace, timeout: float, label: str
) -> Flow[Waited]:
    """Wait until it is ready; errors as for a launch, and nothing is deleted."""
    facts = Facts(env=env, target=label, title=ref.name)
    facts.accepted = 0.0
    return (
        yield from wait_ready(
            env,
            ref=ref,
            ready=ready,
            facts=facts,
            pace=evolve(pace, first_read=0.0),
            deadline=env.clock.now() + timeout,
        )
    )


_LOGS = evolve(
    STANDARD,
    retry=tenacity.retry_if_exception(
        lambda error: transient(error) and not isinstance(error, TransitioningError)
    ),
)


def logs(env: Env, ref: GroupRef, name: str, tail: int | None) -> Flow[str]:
    """A container's log; empty while there is none."""
    call = ArmCall(
        operation="group.logs",
        resource_group=ref.resource_group.name,
        name=ref.name,
        container=name,
        tail=tail,
    )
    try:
        reply: ArmReply = yield from retrying(
            env, call, deadline=env.clock.now() + BUDGET, policy=_LOGS
        )
    except NotFoundError as error:
        raise GroupGoneError(f"there is no container '{name}' in {ref.id}") from error
    except TransitioningError:
        return ""  # ContainerGroupDeploymentNotReady: it has not started
    return str((reply.body or {}).get("content") or "")


def follow(
    env: Env, ref: GroupRef, container: str, cursor: LogCursor, *, pace: Pace
) -> Flow[tuple[list[LogLine], bool]]:
    """
    The next lines of a log, and whether the container has ended for good.

    Looks at the container before its log, so that the lines of one that has ended are complete. All but
    the first call wait a moment first: reads are budgeted, however much the container writes, and also
    while there is no log yet.
    """
    if cursor.asked:
        yield from sleep(env, pace.lines)
    view = yield from read(env, ref)
    status = next((s for s in view.state.containers if s.name == container), None)
    if status is None:
        raise GroupGoneError(f"there is no container '{container}' in {ref.id}")
    current = status.current
    never = current is None and not DONE.isdisjoint(
        (view.state.provisioning_state, view.state.state)
    )
    ended = never or (
        current is not None
        and current.state == "Terminated"
        and not _restarts(view.state, current.exit_code)
    )
    call = ArmCall(
        operation="group.logs",
        resource_group=ref.resource_group.name,
        name=ref.name,
        container=container,
        timestamps=True,
    )
    # What never started may have no log to wait for.
    patience = 0.0 if never else LAST_READ
    lines = yield from read_new_lines(env, call, cursor, whole=ended, patience=patience)
    return lines, ended


def _restarts(state: GroupState, exit_code: int | None) -> bool:
    if state.state == "Stopped":
        return False
    policy = state.restart_policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def change(env: Env, ref: GroupRef, operation: Operation, *, pace: Pace) -> Flow[View]:
    """
    Start, stop or restart it, and wait until ARM shows that it has happened.

    ``stop`` is done when it is answered; the others are operations.

    Raises:
        ArmError: The service refused, or the operation failed with a reason.
        ProvisioningError: It failed without one.
        NotReadyError: It has not happened in time.
    """
    before = yield from read(env, ref)
    deadline = env.clock.now() + CHANGE_BUDGET
    reply: ArmReply = yield from retrying(env, _call(operation, ref), deadline=deadline)
    old = before.state.provisioning_state  # as long as nothing else was seen
    old_until = env.clock.now() + STALE
    while True:
        view = yield from read(env, ref)
        if _changed(operation, before.state, view.state):
            return view
        if view.state.provisioning_state != old:
            old = ""
        if view.state.provisioning_state in FAILED:
            reason = yield from _reason(env, reply.headers.get(OPERATION_HEADER))
            if reason is not None:
                raise reason
            if not old or env.clock.now() >= old_until:
                raise ProvisioningError(
                    f"container group '{ref.name}' is {view.state.provisioning_state}, "
                    f"{view.state.state or 'no state'}"
                )
        if env.clock.now() >= deadline:
            raise NotReadyError(
                f"container group '{ref.name}' was asked to {operation.partition('.')[2]} and has not "
                f"within {CHANGE_BUDGET:g} s ({view.state.state or view.state.provisioning_state})"
            )
        yield from sleep(env, pace.gone)


def _reason(env: Env, url: str | None) -> Flow[AciflowError | None]:
    return None if url is None else (yield from operation_failure(env, url))


def _changed(operation: Operation, before: GroupState, after: GroupState) -> bool:
    if operation == "group.stop":
        return not any(s.current and s.current.state == "Running" for s in after.containers)
    if after.provisioning_state != "Succeeded":
        return False
    known = {
        s.name: {run.started_at for run in (s.current, s.previous) if run is not None}
        for s in before.containers
        if s.current and (operation == "group.restart" or s.current.state != "Running")
    }
    return all(
        # One that ends at once may be waiting to be started again when one looks.
        any(
            run is not None
            and run.started_at is not None
            and run.started_at not in known.get(s.name, ())
            for run in (s.current, s.previous)
        )
        for s in after.containers
    )


def delete(
    env: Env, ref: GroupRef, *, pace: Pace, facts: Facts | None, launch_id: str | None
) -> Flow[bool]:
    """
    Delete it, confirm that it is gone, and clear its record. Returns whether it was there.

    With a ``launch_id``, what another launch has put in its place is left alone.
    """
    budget = env.clock.now() + DELETE_BUDGET
    start = None if facts is None else (yield from facts.begin("delete"))
    existed = yield from delete_group(env, ref, pace=pace, deadline=budget, launch_id=launch_id)
    if facts is not None and start is not None:
        yield from facts.end("delete", start)
    if launch_id is not None:
        yield from perform(env, LedgerClear(launch_id=launch_id))
    return existed


def list_groups(env: Env, resource_group: str | None) -> Flow[tuple[Any, ...]]:
    """All container groups, of a resource group or of the subscription, as ARM lists them."""
    call = (
        ArmCall(operation="group.list_all")
        if resource_group is None
        else ArmCall(operation="group.list", resource_group=resource_group)
    )
    reply: ArmReply = yield from retrying(env, call, deadline=env.clock.now() + BUDGET)
    return tuple(reply.body["value"])


def usages(env: Env, location: str) -> Flow[tuple[dict[str, Any], ...]]:
    """The quotas of a region: name, used, limit, unit."""
    reply: ArmReply = yield from retrying(
        env,
        ArmCall(operation="location.usages", location=location),
        deadline=env.clock.now() + BUDGET,
    )
    return tuple(
        {
            "name": item["name"]["value"],
            "used": item["currentValue"],
            "limit": item["limit"],
            "unit": item["unit"],
        }
        for item in reply.body["value"]
    )


def _call(operation: Operation, ref: GroupRef) -> ArmCall:
    return ArmCall(operation=operation, resource_group=ref.resource_group.name, name=ref.name)
