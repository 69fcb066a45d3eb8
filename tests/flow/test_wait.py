from __future__ import annotations

import itertools
import json

from typing import Any

import pytest

from attrs import evolve
from tests.flow.kit import (
    OK,
    REF,
    REFUSED,
    SILENT,
    URL,
    Script,
    busy,
    ended,
    event,
    logs,
    missing,
    outage,
    reply,
    running,
    throttled,
    unreachable,
    view,
    waiting,
)

from aciflow.errors import (
    AuthorizationError,
    CapacityError,
    ContainerExitedError,
    CrashLoopError,
    GroupGoneError,
    InvalidRequestError,
    NotReadyError,
    ProvisioningError,
    UnreachableFromHereError,
    ValidationError,
)
from aciflow.flow.effects import ArmCall, HttpProbe, Start, TcpProbe
from aciflow.flow.facts import Facts
from aciflow.flow.pace import AZURE
from aciflow.flow.wait import Waited, default_ready, wait_ready
from aciflow.ready import Ready


CREATING = view(None, provisioning="Creating", state="Pending", ip=None)
ADDRESSED = view(None, provisioning="Creating", state="Pending")
RUNNING = view(running())


def _wait(
    script: Script, ready: Ready, *, timeout: float = 300.0, url: str | None = URL, **pace: Any
) -> Waited:
    def flow(env: Any) -> Any:
        facts = Facts(env=env, target="", title="web")
        facts.accepted = 0.0
        return (
            yield from wait_ready(
                env,
                ref=REF,
                ready=ready,
                facts=facts,
                pace=evolve(AZURE, **pace),
                deadline=timeout,
                operation_url=url,
            )
        )

    waited: Waited = script.run(flow)
    return waited


def test_the_first_tcp_port_is_what_one_waits_for() -> None:
    """Or that the containers run, where nobody can connect."""
    assert Ready.tcp(8080) == default_ready((8080, 80), reachable=True)
    assert Ready.running() == default_ready((), reachable=True)
    assert Ready.running() == default_ready((80,), reachable=False)


def test_a_container_is_probed_as_soon_as_its_address_is_known() -> None:
    """ARM need not say that it runs."""
    script = Script(group_get=[CREATING, ADDRESSED], probe=[(2.0, SILENT)] * 4 + [OK])
    waited = _wait(script, Ready.tcp())
    assert "Creating" == waited.state.provisioning_state
    first = next(effect for _, effect in script.asked if isinstance(effect, TcpProbe))
    assert ("10.0.0.1", 80) == (first.host, first.port)


def test_probes_overlap_and_are_at_most_four_a_second() -> None:
    """A dropped SYN holds nothing up, and nobody is flooded."""
    script = Script(group_get=ADDRESSED, probe=[(2.0, SILENT)] * 20 + [OK])
    _wait(script, Ready.tcp())
    times = script.times("probe")
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert pytest.approx(0.25) == min(gaps)
    assert max(gaps) < 0.5


def test_probes_that_hang_are_not_piled_up() -> None:
    """At most eight are under way."""
    script = Script(group_get=ADDRESSED, probe=(60.0, OK))
    _wait(script, Ready.tcp(timeout=60.0))
    assert 8 == len(script.times("probe"))


def test_an_http_probe_asks_for_the_path() -> None:
    """With the statuses that count."""
    script = Script(group_get=RUNNING, probe=OK)
    _wait(script, Ready.http("/health", 80, 204))
    probe = next(effect for _, effect in script.asked if isinstance(effect, HttpProbe))
    assert ("/health", 80, (204,)) == (probe.path, probe.port, probe.status)


def test_a_port_may_be_reached_elsewhere() -> None:
    """An engine whose addresses cannot be reached from here maps its ports."""
    headers: Any = {"x_aciflow_mapped": json.dumps({"80": ["127.0.0.1", 49152]})}
    script = Script(group_get=reply(RUNNING.body, **headers), probe=OK)
    waited = _wait(script, Ready.tcp())
    assert {80: ("127.0.0.1", 49152)} == waited.mapped
    probe = next(effect for _, effect in script.asked if isinstance(effect, TcpProbe))
    assert ("127.0.0.1", 49152) == (probe.host, probe.port)


def test_several_conditions_must_all_hold() -> None:
    """Probes take turns, and one that has been met is not asked again."""
    answers = {TcpProbe: [REFUSED, OK], HttpProbe: [REFUSED, REFUSED, REFUSED, OK]}
    script = Script(
        group_get=RUNNING,
        probe=lambda effect: answers[type(effect)].pop(0),
        group_logs=logs("up\n"),
    )
    _wait(script, Ready.tcp() & Ready.http() & Ready.running() & Ready.log("^up$"))
    assert {TcpProbe: [], HttpProbe: []} == answers


def test_a_probe_that_answers_late_changes_nothing() -> None:
    """A second success of the same condition is one success."""
    script = Script(
        group_get=RUNNING,
        probe=[(0.6, OK), (0.6, OK), (0.6, OK)],
        group_logs=[logs(""), logs("up")],
    )
    _wait(script, Ready.tcp() & Ready.log("up"))
    assert 3 == len(script.times("probe"))


@pytest.mark.parametrize("ports", [[], [{"port": 53, "protocol": "UDP"}]])
def test_a_group_without_a_tcp_port_can_never_be_probed(ports: Any) -> None:
    """Which is said at once."""
    with pytest.raises(ValidationError, match="no TCP port"):
        _wait(Script(group_get=view(running(), ports=ports)), Ready.tcp())


def test_running_needs_every_container_and_the_address() -> None:
    """A handle without an address is of no use."""
    script = Script(group_get=[CREATING, view(running(), ip=None), RUNNING])
    assert "10.0.0.1" == _wait(script, Ready.running()).state.ip


def test_a_container_that_ended_well_has_run() -> None:
    """It may be over before anybody looks."""
    waited = _wait(Script(group_get=view(ended(), ip=None)), Ready.running())
    assert waited.state.ip is None


def test_completed_waits_for_the_end() -> None:
    """With exit code 0."""
    script = Script(group_get=[RUNNING, RUNNING, view(ended())])
    assert "Terminated" == _wait(script, Ready.completed()).state.containers[0].current.state  # type: ignore[union-attr]


def test_a_condition_that_does_not_hold_any_more_is_not_met() -> None:
    """A container that ran and is started again does not run."""
    script = Script(
        group_get=[RUNNING, view(waiting()), view(waiting()), RUNNING],
        group_logs=[(9.0, logs("up"))],
    )
    _wait(script, Ready.running() & Ready.log("up"))
    assert 4 <= len(script.calls("group.get"))


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (view(ended(3), state="Failed"), ContainerExitedError),
        (view(waiting("CrashLoopBackOff: 10s")), CrashLoopError),
        (view(ended(0)), ContainerExitedError),
    ],
)
def test_a_container_that_ends_ends_the_wait(last: Any, kind: type[Exception]) -> None:
    """At the next read, not at the deadline."""
    script = Script(group_get=[ADDRESSED, last], probe=SILENT)
    with pytest.raises(kind):
        _wait(script, Ready.tcp())
    assert script.world.now() < 20.0


def test_a_container_that_ended_well_may_have_written_the_line() -> None:
    """Its log is read once more."""
    script = Script(group_get=[RUNNING, view(ended())], group_logs=[logs("a\n"), logs("a\ndone\n")])
    _wait(script, Ready.log("done"), lines=60.0)
    assert 2 == len(script.calls("group.logs"))


def test_a_container_that_ended_without_the_line_is_an_error() -> None:
    """Once its log has really been read, by every condition."""
    script = Script(
        group_get=[RUNNING, view(ended())], group_logs=[logs("a\n"), outage(), logs("a\n")]
    )
    with pytest.raises(ContainerExitedError):
        _wait(script, Ready.log("done") & Ready.log("a"))
    assert script.world.now() < 30.0


def test_a_completed_container_without_the_line_is_an_error_too() -> None:
    """Completion was met, and the line will never come."""
    script = Script(group_get=view(ended()), group_logs=logs("a\n"))
    with pytest.raises(ContainerExitedError):
        _wait(script, Ready.log("done") & Ready.completed())
    assert script.world.now() < 30.0


def test_a_log_is_read_of_the_container_that_was_named() -> None:
    """The first, by default; and not before anything has started."""
    script = Script(
        group_get=[CREATING, view(running(), running())], group_logs=[logs(""), logs("up")]
    )
    _wait(script, Ready.log("up", container="web1"))
    assert ["web1", "web1"] == [call.container for call in script.calls("group.logs")]


@pytest.mark.parametrize(
    "trouble", [missing(), busy(), outage(), throttled(), InvalidRequestError("?", status=400)]
)
def test_a_log_that_is_not_there_yet_is_no_error(trouble: Exception) -> None:
    """A container that has just started has none."""
    script = Script(group_get=RUNNING, group_logs=[trouble, logs("up")])
    assert "Running" == _wait(script, Ready.log("up")).state.state


def test_a_log_that_may_not_be_read_is_an_error() -> None:
    """Waiting does not help."""
    script = Script(group_get=RUNNING, group_logs=AuthorizationError("no", status=403))
    with pytest.raises(AuthorizationError):
        _wait(script, Ready.log("up"))


def test_retry_after_holds_for_every_kind_of_read() -> None:
    """A log that was throttled holds the group's reads up, and the other way round."""
    script = Script(group_get=RUNNING, group_logs=[throttled(40.0), logs("up")])
    _wait(script, Ready.log("up"))
    first, second = script.times("group.logs")
    assert second - first >= 40.0
    assert all(not first + 0.2 < at < second for at in script.times("group.get"))

    script = Script(
        group_get=[RUNNING, throttled(40.0), RUNNING], group_logs=[logs("")] * 3 + [logs("up")]
    )
    _wait(script, Ready.log("up"))
    throttled_at = script.times("group.get")[1]
    assert all(
        not throttled_at + 0.2 < at < throttled_at + 40.0 for at in script.times("group.logs")
    )


@pytest.mark.parametrize("trouble", [outage(), unreachable(), busy(), throttled(None)])
def test_an_arm_that_does_not_tell_for_a_while_is_no_failure(trouble: Exception) -> None:
    """The probes go on meanwhile."""
    script = Script(
        group_get=[ADDRESSED, *[trouble] * 5, RUNNING], probe=[(2.0, SILENT)] * 60 + [OK]
    )
    assert _wait(script, Ready.tcp()).state.ip is not None


def test_an_arm_that_refuses_to_tell_is_one() -> None:
    """Waiting does not help."""
    with pytest.raises(AuthorizationError):
        _wait(Script(group_get=AuthorizationError("no", status=403)), Ready.tcp())


def test_a_group_may_not_be_found_at_first() -> None:
    """ARM's reads lag behind its writes."""
    script = Script(group_get=[missing(), missing(), RUNNING], probe=OK)
    assert "10.0.0.1" == _wait(script, Ready.tcp()).state.ip


def test_a_group_that_is_not_found_again_and_again_is_gone() -> None:
    """Somebody deleted it."""
    script = Script(group_get=missing(), operation_get=reply({"status": "Succeeded"}))
    with pytest.raises(GroupGoneError):
        _wait(script, Ready.tcp())
    assert 3 == len(script.calls("group.get"))


FAILED = {
    "status": "Failed",
    "properties": {
        "events": [
            {
                "name": "InsufficientCapacity.",
                "type": "Warning",
                "message": "The requested resource is not available in the location 'westus'",
            }
        ]
    },
    "error": {"message": "The requested resource is not available in the location 'westus'"},
}


@pytest.mark.parametrize(
    "last", [view(None, provisioning="Failed", state="", ip=None), missing(), CREATING]
)
def test_a_failed_operation_names_the_reason(last: Any) -> None:
    """However the group itself looks: failed, gone, or as if nothing had happened."""
    script = Script(group_get=[CREATING, last], operation_get=[outage(), reply(FAILED)])
    with pytest.raises(CapacityError) as caught:
        _wait(script, Ready.tcp(), timeout=60.0)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "operation", [reply({"status": "Creating"}), missing(), reply(None), unreachable()]
)
def test_an_operation_that_does_not_tell_leaves_what_was_seen(operation: Any) -> None:
    """The view of the group has said enough."""
    failed = view(None, provisioning="Failed", state="", ip=None)
    script = Script(group_get=failed, operation_get=operation)
    with pytest.raises(ProvisioningError):
        _wait(script, Ready.tcp())


def test_the_operation_is_asked_only_where_it_may_know_more() -> None:
    """Not without its URL, nor once the group was provisioned."""
    failed = view(None, provisioning="Failed", state="", ip=None)
    with pytest.raises(ProvisioningError):
        _wait(Script(group_get=failed), Ready.tcp(), url=None)
    with pytest.raises(NotReadyError):
        _wait(Script(group_get=RUNNING, probe=REFUSED), Ready.tcp(), timeout=20.0)


def test_a_port_that_this_machine_cannot_reach_is_told_apart() -> None:
    """The container runs, and every probe was dropped."""
    script = Script(group_get=RUNNING, probe=(2.0, SILENT))
    with pytest.raises(UnreachableFromHereError, match="80/tcp"):
        _wait(script, Ready.tcp(), timeout=20.0)
    assert pytest.approx(20.0) == script.world.now()


def test_the_deadline_names_what_is_still_waited_for() -> None:
    """And what was seen of it last."""
    script = Script(group_get=RUNNING, probe=REFUSED, group_logs=logs("up\n"))
    with pytest.raises(NotReadyError, match="waiting for tcp port 80 ") as caught:
        _wait(script, Ready.tcp(80) & Ready.log("up"), timeout=20.0)
    assert REFUSED.detail in caught.value.message


def test_a_deadline_without_any_reply_says_why() -> None:
    """ARM was out of reach all the time."""
    script = Script(group_get=unreachable(), operation_get=unreachable())
    with pytest.raises(NotReadyError, match="waiting for running; ARM could not be read: no reply"):
        _wait(script, Ready.running(), timeout=20.0)


def test_no_condition_is_met_by_the_first_reply() -> None:
    """There is a state to return all the same."""
    script = Script(group_get=CREATING)
    assert "Creating" == _wait(script, Ready(())).state.provisioning_state
    late = Script(group_get=(None, None), operation_get=missing())
    with pytest.raises(NotReadyError, match="waiting for ARM"):
        _wait(late, Ready(()), timeout=20.0)


def test_a_missing_address_ends_the_wait() -> None:
    """Long before the deadline, and although the container runs."""
    script = Script(group_get=view(running(), ip=None))
    with pytest.raises(ProvisioningError, match="no IP address"):
        _wait(script, Ready.tcp())
    assert 30.0 < script.world.now() < 60.0


def test_what_was_begun_before_the_wait_does_not_disturb_it() -> None:
    """Its result is dropped."""

    def flow(env: Any) -> Any:
        yield Start(ArmCall(operation="group.list"))
        facts = Facts(env=env, target="", title="web")
        return (
            yield from wait_ready(
                env, ref=REF, ready=Ready.running(), facts=facts, pace=AZURE, deadline=300.0
            )
        )

    script = Script(group_list=reply({"value": []}), group_get=RUNNING)
    assert script.run(flow).state.ip == "10.0.0.1"


def test_what_happens_is_told_as_it_happens() -> None:
    """Each thing once: an event, then the container's state, then the address."""
    pulling = view(
        None,
        provisioning="Creating",
        state="Pending",
        ip=None,
        container_events=[event("Pulling", 2.0, "pulling image x")],
    )
    script = Script(group_get=[CREATING, pulling, pulling, RUNNING], probe=OK)

    def flow(env: Any) -> Any:
        facts = Facts(env=env, target="", title="web")
        facts.accepted = 0.0
        yield from wait_ready(
            env, ref=REF, ready=Ready.tcp(), facts=facts, pace=AZURE, deadline=300.0
        )

    process = script.start(flow)
    script.world.run()
    process.result()
    assert ["Pending", "web: pulling image x", "web running, 10.0.0.1"] == [
        said.detail for said in process.events if said.status == "progress"
    ]
