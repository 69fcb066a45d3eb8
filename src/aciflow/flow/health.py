"""
What a view of a container group means: ready, hopeless, or neither yet.

``provisioningState: Succeeded`` is no proof of health (50 of 298 recorded views were Succeeded and
Failed at once), so the containers' own states decide.
"""

from __future__ import annotations

from attrs import frozen

from aciflow.errors import (
    ContainerExitedError,
    CrashLoopError,
    ImagePullError,
    LaunchError,
    ProvisioningError,
)
from aciflow.model import ContainerState, ContainerStatus, GroupState


__all__ = ["Verdict", "completed", "diagnose", "running"]

# Windows containers show their network up to 30 s after they run
# (https://learn.microsoft.com/azure/container-instances/container-instances-faq).
ADDRESS_GRACE = 30.0

_PULL_WORDS = ("pull image", "pulling image", "imagepullbackoff", "errimagepull")


@frozen
class Verdict:
    """
    Why a group will not become ready.

    Attributes:
        error: What to raise.
        container: Whose logs tell more, if any.
        ask_operation: The operation of the PUT may know a better reason.
    """

    error: LaunchError
    container: str | None = None
    ask_operation: bool = False


def running(state: GroupState) -> bool:
    """Whether every container runs."""
    return bool(state.containers) and all(
        status.current is not None and status.current.state == "Running"
        for status in state.containers
    )


def completed(state: GroupState) -> bool:
    """Whether every container has ended with exit code 0."""
    return bool(state.containers) and all(
        _ended(status.current) and _exit_code(status.current) == 0 for status in state.containers
    )


def diagnose(
    state: GroupState, *, wants_completion: bool = False, running_for: float | None = None
) -> Verdict | None:
    """
    Why this group will never be ready, or ``None`` while it may.

    Args:
        state: What ARM last said.
        wants_completion: Whether an end with exit code 0 is what one waits for.
        running_for: Seconds since the containers were first seen running, or ``None``.
    """
    for status in (*state.init_containers, *state.containers):
        verdict = _pull_failure(status) or _crash(status)
        if verdict is not None:
            return verdict
    ended = [s for s in state.containers if _ended(s.current)]
    if ended and len(ended) == len(state.containers) and not wants_completion:
        return _exited(ended[0], ended[0].current)
    if state.provisioning_state in ("Failed", "Canceled") or state.state in ("Failed", "Stopped"):
        said = "; ".join(event.message for event in state.events if event.type == "Warning")
        words = f"{state.provisioning_state}, {state.state or 'no state'}"
        return Verdict(
            ProvisioningError(
                f"container group '{state.name}' is {words}" + (f": {said}" if said else "")
            ),
            ask_operation=state.provisioning_state == "Failed",
        )
    if state.public and state.ip is None and (running_for or 0.0) > ADDRESS_GRACE:
        return Verdict(
            ProvisioningError(
                f"container group '{state.name}' has run for {running_for:.0f} s and has no IP address"
            )
        )
    return None


def _ended(state: ContainerState | None) -> bool:
    return state is not None and state.state == "Terminated"


def _exit_code(state: ContainerState | None) -> int | None:
    return state.exit_code if state is not None else None


def _pull_failure(status: ContainerStatus) -> Verdict | None:
    waiting = status.current is not None and status.current.state == "Waiting"
    detail = status.current.detail if status.current is not None else ""
    if waiting and any(word in detail.lower() for word in _PULL_WORDS):
        return Verdict(
            ImagePullError(
                f"container '{status.name}': the service cannot pull '{status.image}': {detail}"
            )
        )
    if status.current is not None and status.current.state == "Running":
        return None
    for event in status.events:
        if event.name == "Failed" and any(word in event.message.lower() for word in _PULL_WORDS):
            return Verdict(
                ImagePullError(
                    f"container '{status.name}': the service cannot pull '{status.image}': "
                    f"{event.message}"
                )
            )
    return None


def _crash(status: ContainerStatus) -> Verdict | None:
    current = status.current
    if current is None:
        return None
    if current.state == "Waiting" and "crashloopbackoff" in current.detail.lower():
        code = _exit_code(status.previous)
        return Verdict(
            CrashLoopError(
                f"container '{status.name}' ends again and again"
                f" (last exit code {'unknown' if code is None else code}): {current.detail}",
                container=status.name,
                exit_code=code,
                detail=current.detail,
            ),
            container=status.name,
        )
    if _ended(current) and current.exit_code != 0:
        return _exited(status, current)
    return None


def _exited(status: ContainerStatus, state: ContainerState | None) -> Verdict:
    code = _exit_code(state)
    detail = state.detail if state is not None else ""
    how = "without an exit code" if code is None else f"with exit code {code}"
    return Verdict(
        ContainerExitedError(
            f"container '{status.name}' ended {how}"
            + (f" ({detail})" if detail else "")
            + " before it was ready",
            container=status.name,
            exit_code=code,
            detail=detail,
        ),
        container=status.name,
    )
