from __future__ import annotations

from typing import Any

import pytest

from tests.flow import kit
from tests.flow.kit import REFUSED, SILENT

from aciflow.errors import (
    ContainerExitedError,
    CrashLoopError,
    ImagePullError,
    LaunchError,
    NotReadyError,
    ProvisioningError,
    UnreachableFromHereError,
)
from aciflow.flow.health import ADDRESS_GRACE, addressed, completed, diagnose, running, too_late
from aciflow.model import GroupState


def _state(*states: Any, **more: Any) -> GroupState:
    return GroupState.from_arm(kit.body(*states, **more))


def test_a_group_runs_when_every_container_does() -> None:
    """One that has not been told of does not."""
    assert running(_state(kit.running(), kit.running()))
    assert not running(_state(kit.running(), None))
    assert not running(_state(kit.running(), kit.waiting()))
    assert not running(_state())


def test_a_group_is_complete_when_every_container_ended_well() -> None:
    """An end without an exit code is not well."""
    assert completed(_state(kit.ended(), kit.ended()))
    assert not completed(_state(kit.ended(), kit.ended(1)))
    assert not completed(_state(kit.ended(None)))
    assert not completed(_state(kit.ended(), kit.running()))
    assert not completed(_state())


def test_only_a_group_with_ports_has_an_address() -> None:
    """One without asks for none."""
    assert addressed(_state(kit.running(), ports=[]))
    assert addressed(_state(kit.running()))
    assert not addressed(_state(kit.running(), ip=None))


@pytest.mark.parametrize(
    "states",
    [
        (None,),
        (kit.waiting(),),
        (kit.running(),),
        (kit.running(), kit.ended()),
    ],
)
def test_a_group_that_may_become_ready_is_no_failure(states: Any) -> None:
    """A side container may end."""
    assert diagnose(_state(*states, provisioning="Creating", state="Pending")) is None


def test_an_exit_code_ends_the_wait() -> None:
    """Although ARM says Succeeded."""
    error = diagnose(_state(kit.ended(3, detail="Error"), state="Failed"))
    assert isinstance(error, ContainerExitedError)
    assert ("web", 3, "Error") == (error.container, error.exit_code, error.detail)
    assert "with exit code 3 (Error)" in error.message


def test_an_end_without_an_exit_code_is_said_so() -> None:
    """Nothing is made up."""
    error = diagnose(_state(kit.ended(None)), wants_completion=True)
    assert isinstance(error, ContainerExitedError)
    assert "without an exit code" in error.message


def test_a_good_end_is_a_failure_only_where_something_is_to_serve() -> None:
    """A run is over; a server is not."""
    ended = _state(kit.ended())
    assert isinstance(diagnose(ended), ContainerExitedError)
    assert diagnose(ended, wants_completion=True) is None


@pytest.mark.parametrize(("previous", "said"), [(kit.ended(7), "7"), (None, "unknown")])
def test_a_crash_loop_ends_the_wait(previous: Any, said: str) -> None:
    """With the exit code of the run before, if there is one."""
    state = {"restartCount": 2, "currentState": kit.waiting("CrashLoopBackOff: Back-off 10s")}
    if previous is not None:
        state["previousState"] = previous
    error = diagnose(_state(state))
    assert isinstance(error, CrashLoopError)
    assert f"last exit code {said}" in error.message


def test_an_init_container_that_fails_is_named() -> None:
    """The others never start."""
    error = diagnose(_state(None, init={"restartCount": 0, "currentState": kit.ended(1)}))
    assert isinstance(error, ContainerExitedError)
    assert "init" == error.container


@pytest.mark.parametrize("detail", ["ErrImagePull", "ImagePullBackOff: Back-off pulling image x"])
def test_a_pull_that_fails_ends_the_wait(detail: str) -> None:
    """As the container's state tells it."""
    assert isinstance(diagnose(_state(kit.waiting(detail))), ImagePullError)


PULL_FAILED = 'Failed to pull image "x": rpc error'


def test_a_pull_that_fails_is_seen_in_its_events() -> None:
    """Where the state says nothing."""
    events = [kit.event("Failed", 2.0, PULL_FAILED)]
    error = diagnose(_state(None, container_events=events))
    assert isinstance(error, ImagePullError)
    assert "rpc error" in error.message


@pytest.mark.parametrize(
    ("state", "events"),
    [
        (kit.running(), [kit.event("Failed", 2.0, PULL_FAILED)]),
        (None, [kit.event("Failed", 2.0, PULL_FAILED), kit.event("Pulled", 3.0)]),
        (None, [kit.event("Failed", 2.0, "Failed to mount")]),
    ],
)
def test_a_pull_that_worked_in_the_end_is_no_failure(state: Any, events: Any) -> None:
    """Events stay when they are history."""
    found = _state(state, container_events=events, provisioning="Creating", state="Pending")
    assert diagnose(found) is None


@pytest.mark.parametrize(
    ("provisioning", "state"),
    [("Failed", ""), ("Canceled", "Pending"), ("Succeeded", "Failed"), ("Succeeded", "Stopped")],
)
def test_a_group_that_failed_as_a_whole_ends_the_wait(provisioning: str, state: str) -> None:
    """With the service's warnings."""
    events = [kit.event("FailedMount", 1.0, "no such share", "Warning"), kit.event("Other", 1.0)]
    error = diagnose(_state(None, provisioning=provisioning, state=state, events=events))
    assert isinstance(error, ProvisioningError)
    assert error.message.endswith(": no such share")


def test_a_failed_group_without_events_says_what_is_known() -> None:
    """Its two states."""
    error = diagnose(_state(None, provisioning="Failed", state=""))
    assert error is not None
    assert error.message.endswith("is Failed, no state")


def test_a_missing_address_ends_the_wait_after_a_while() -> None:
    """It may come a little later than the container."""
    state = _state(kit.running(), ip=None)
    assert diagnose(state, running_for=ADDRESS_GRACE) is None
    error = diagnose(state, running_for=ADDRESS_GRACE + 1)
    assert isinstance(error, ProvisioningError)
    assert "no IP address" in error.message


def _too_late(state: GroupState | None, *seen: Any, trouble: Any = None) -> LaunchError:
    return too_late("web", "is not ready", state, seen, trouble)


def test_a_port_that_only_this_machine_cannot_reach_is_told_apart() -> None:
    """The container runs; the message names the ports."""
    error = _too_late(_state(kit.running()), SILENT)
    assert isinstance(error, UnreachableFromHereError)
    assert "80/tcp" in error.message


def test_the_ports_that_the_image_exposes_are_named() -> None:
    """A wrong port is the likeliest cause, whether connections are refused or lost."""
    for seen in (SILENT, REFUSED):
        error = too_late("web", "is late", _state(kit.running()), (seen,), None, "8080/tcp")
        assert "open are 80/tcp, and the image exposes 8080/tcp" in error.message


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (_state(kit.running()), (REFUSED,)),
        (_state(kit.running()), (SILENT, REFUSED)),
        (_state(kit.running()), ()),
        (_state(kit.waiting("slow"), ip=None), (SILENT,)),
        (_state(None), ()),
    ],
)
def test_what_does_not_serve_is_not_ready(state: GroupState, seen: Any) -> None:
    """With all that was seen."""
    error = _too_late(state, *seen)
    assert isinstance(error, NotReadyError)
    for result in seen:
        assert result.detail in error.message


def test_an_arm_that_could_not_be_read_is_part_of_the_message() -> None:
    """Whether it was ever read or not."""
    assert "could not be read: down" in _too_late(None, trouble=kit.outage()).message
    assert "could not be read: down" in _too_late(_state(None), trouble=kit.outage()).message
    assert "could not be read" not in _too_late(None).message
