"""
What a view of a container group means: ready, hopeless, or neither yet.

``provisioningState: Succeeded`` is no proof of health (50 of 298 recorded views were Succeeded and
Failed at once), so the containers' own states decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from aciflow.errors import (
    AciflowError,
    ContainerExitedError,
    CrashLoopError,
    ImagePullError,
    LaunchError,
    NotReadyError,
    ProvisioningError,
    UnreachableFromHereError,
)
from aciflow.flow.effects import ProbeResult
from aciflow.model import ContainerState, ContainerStatus, GroupState


__all__ = ["addressed", "completed", "diagnose", "running", "too_late"]

# Windows containers show their network up to 30 s after they run
# (https://learn.microsoft.com/azure/container-instances/container-instances-faq).
ADDRESS_GRACE = 30.0

_PULL_WORDS = ("pull image", "pulling image", "imagepullbackoff", "errimagepull")


def running(state: GroupState) -> bool:
    """Whether every container runs."""
    return bool(state.containers) and all(
        status.current is not None and status.current.state == "Running"
        for status in state.containers
    )


def addressed(state: GroupState) -> bool:
    """Whether it has its address, if it asked for one: only an address has ports."""
    return state.ip is not None or not state.ports


def completed(state: GroupState) -> bool:
    """Whether every container has ended with exit code 0."""
    return bool(state.containers) and all(
        _ended(status.current) and _exit_code(status.current) == 0 for status in state.containers
    )


def diagnose(
    state: GroupState, *, wants_completion: bool = False, running_for: float | None = None
) -> LaunchError | None:
    """
    Why this group will never be ready, or ``None`` while it may.

    Args:
        state: What ARM last said.
        wants_completion: Whether an end with exit code 0 is what one waits for.
        running_for: Seconds since the containers were first seen running, or ``None``.
    """
    for status in (*state.init_containers, *state.containers):
        error = _pull_failure(status) or _crash(status)
        if error is not None:
            return error
    if completed(state) and not wants_completion:
        first = state.containers[0]
        return _exited(first, cast("ContainerState", first.current))
    if state.provisioning_state in ("Failed", "Canceled") or state.state in ("Failed", "Stopped"):
        said = "; ".join(event.message for event in state.events if event.type == "Warning")
        words = f"{state.provisioning_state}, {state.state or 'no state'}"
        return ProvisioningError(
            f"container group '{state.name}' is {words}" + (f": {said}" if said else "")
        )
    if not addressed(state) and (running_for or 0.0) > ADDRESS_GRACE:
        return ProvisioningError(
            f"container group '{state.name}' has run for {running_for:.0f} s and has no IP address"
        )
    return None


def _ended(state: ContainerState | None) -> bool:
    return state is not None and state.state == "Terminated"


def _exit_code(state: ContainerState | None) -> int | None:
    return state.exit_code if state is not None else None


def _pull_failure(status: ContainerStatus) -> LaunchError | None:
    detail = status.current.detail if status.current is not None else ""
    if status.current is not None and status.current.state == "Running":
        return None
    if any(word in detail.lower() for word in _PULL_WORDS):
        return _cannot_pull(status, detail)
    pulled = max((e.last for e in status.events if e.name == "Pulled"), default=float("-inf"))
    for event in status.events:
        failed = event.name == "Failed" and event.last > pulled
        if failed and any(word in event.message.lower() for word in _PULL_WORDS):
            return _cannot_pull(status, event.message)
    return None


def _cannot_pull(status: ContainerStatus, why: str) -> LaunchError:
    return ImagePullError(
        f"container '{status.name}': the service cannot pull '{status.image}': {why}"
    )


def _crash(status: ContainerStatus) -> LaunchError | None:
    current = status.current
    if current is None:
        return None
    if current.state == "Waiting" and "crashloopbackoff" in current.detail.lower():
        code = _exit_code(status.previous)
        return CrashLoopError(
            f"container '{status.name}' ends again and again"
            f" (last exit code {'unknown' if code is None else code}): {current.detail}",
            container=status.name,
            exit_code=code,
            detail=current.detail,
        )
    if _ended(current) and current.exit_code != 0:
        return _exited(status, current)
    return None


def _exited(status: ContainerStatus, state: ContainerState) -> LaunchError:
    code = state.exit_code
    how = "without an exit code" if code is None else f"with exit code {code}"
    return ContainerExitedError(
        f"container '{status.name}' ended {how}"
        + (f" ({state.detail})" if state.detail else "")
        + " before it was ready",
        container=status.name,
        exit_code=code,
        detail=state.detail,
    )


def too_late(
    name: str,
    what: str,
    state: GroupState | None,
    seen: Sequence[ProbeResult],
    trouble: AciflowError | None,
    exposed: str = "",
) -> LaunchError:
    """
    The error for a group that was not ready in time.

    Args:
        name: Of the group.
        what: What is being waited for.
        state: As ARM last said, if it did.
        seen: How the last probe of each kind went.
        trouble: Why ARM could not be read the last time.
        exposed: The ports that the image exposes, where that is known: the local endpoint tells.
    """
    head = f"container group '{name}' {what}"
    unread = "" if trouble is None else f"; ARM could not be read: {trouble.message}"
    if state is None:
        return NotReadyError(head + unread)
    ports = ", ".join(f"{port.port}/{port.protocol.lower()}" for port in state.ports)
    hint = f"open are {ports}, and the image exposes {exposed}" if exposed else f"open are {ports}"
    if running(state) and seen and all(r.reason in ("timeout", "unroutable") for r in seen):
        return UnreachableFromHereError(
            f"container group '{name}' runs, and this machine cannot reach it: "
            f"{seen[0].detail}. It may serve others all the same: a firewall or an egress filter "
            f"here, or a private address there, look like this. So does a wrong port: {hint}. "
            f"Wait for Ready.running() or Ready.log(...) to go without a connection"
        )
    parts = [f"{state.ip or 'no address'}", *(result.detail for result in seen)]
    parts += [
        f"container '{status.name}' {status.current.state.lower() if status.current else 'not started'}"
        + (f" ({status.current.detail})" if status.current and status.current.detail else "")
        for status in state.containers
    ]
    if running(state) and seen:
        parts.append(hint)
    return NotReadyError(f"{head} ({'; '.join(parts)}){unread}")
