"""The group controller: what containers do over time, and what ARM shows of it."""

from __future__ import annotations

import copy
import itertools
import json

import pytest

from tests.local.world import TRACE, World, container, group

from aciflow.local.protocol import (
    CloseSandbox,
    Exited,
    OpenSandbox,
    PullFailed,
    SandboxFailed,
    SandboxReady,
    StartContainer,
    Started,
    StartFailed,
    StopContainer,
)


def test_a_start_goes_through_the_recorded_states() -> None:
    """Pending without a view, Creating with an address, then Succeeded and Running."""
    world = World()
    world.put()
    seen = []
    for _ in range(50):
        body = world.get()["properties"]
        view = world.view()
        seen.append(
            (
                body["provisioningState"],
                body["instanceView"]["state"],
                "ip" in body["ipAddress"],
                view.get("currentState", {}).get("state"),
            )
        )
        world.run(0.25)

    assert list(dict.fromkeys(seen)) == [
        ("Pending", "Pending", False, None),
        ("Creating", "Pending", True, "Waiting"),
        ("Succeeded", "Running", True, "Running"),
    ]


def test_an_address_can_come_only_with_the_running_container() -> None:
    """The case that benchmarks call late: no ip before the container runs."""
    world = World(TRACE, ip_visible="running")
    world.put()
    world.run(9.9)
    creating = world.get()["properties"]["ipAddress"]
    world.run(0.2)

    assert "ip" not in creating
    assert "ip" in world.get()["properties"]["ipAddress"]


def test_events_have_whole_seconds_and_states_have_milliseconds() -> None:
    """Times are written as ACI writes each kind."""
    world = World({"pulling": 1.25, "pulled": 2.5, "started": 3.125})
    world.put()
    world.run(5)
    view = world.view()

    assert [event["name"] for event in view["events"]] == ["Pulling", "Pulled", "Started"]
    assert {event["firstTimestamp"][-4:] for event in view["events"]} == {":21Z", ":22Z", ":23Z"}
    assert view["currentState"] == {
        "state": "Running",
        "startTime": "2023-11-14T22:13:23.125Z",
        "detailStatus": "",
    }


def test_never_leaves_an_ended_container_alone() -> None:
    """Restart policy Never: one end with its exit code, a failed group, no second start."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 3})
    world.put(group(restartPolicy="never"))
    world.run(2000)
    starts = [action for action in world.actions if isinstance(action, StartContainer)]

    assert world.states() == ("Succeeded", "Failed")
    assert world.view()["currentState"]["exitCode"] == 3
    assert world.view()["currentState"]["detailStatus"] == "Error"
    assert len(starts) == 1


@pytest.mark.parametrize(
    ("policy", "exit_code", "restarts"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 1, True), ("OnFailure", 0, False)],
)
def test_restart_policies(policy: str, exit_code: int, restarts: bool) -> None:
    """Always restarts whatever the exit code; OnFailure only a failure."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": exit_code})
    world.put(group(restartPolicy=policy))
    world.run(20)

    assert (world.view()["restartCount"] > 0) is restarts


def test_a_crash_loop_backs_off_up_to_five_minutes() -> None:
    """Restarts come after 1, 10, 20, 40 ... 300 s, and the state says so."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 1})
    world.put()
    starts: list[float] = []
    details = set()
    while len(starts) < 9:
        before = len(world.actions)
        world.run(1)
        started = [each for each in world.actions[before:] if isinstance(each, StartContainer)]
        starts += [world.now] * len(started)
        details.add(world.view().get("currentState", {}).get("detailStatus", ""))
    gaps = [later - earlier - 1.5 for earlier, later in itertools.pairwise(starts[1:])]
    back_off = next(each for each in world.view()["events"] if each["name"] == "BackOff")

    assert [10, 20, 40, 80, 160, 300, 300] == [
        min((10, 20, 40, 80, 160, 300), key=lambda want: abs(want - gap)) for gap in gaps
    ]
    assert "CrashLoopBackOff: Back-off 10s restarting failed" in details
    assert "CrashLoopBackOff: Back-off 300s restarting failed" in details
    assert back_off["message"] == "Back-off restarting failed container"
    assert back_off["type"] == "Warning"
    assert back_off["count"] >= 7
    assert world.view()["previousState"]["exitCode"] == 1


def test_a_long_healthy_run_resets_the_back_off() -> None:
    """After ten good minutes the next end is restarted at once."""
    world = World({**TRACE, "exits_after": 700.0, "exit_code": 1})
    world.put()
    world.run(10 + 3 * 703)
    events = {event["name"] for event in world.view()["events"]}

    assert world.view()["restartCount"] == 3
    assert "BackOff" not in events


def test_a_pull_that_fails_is_tried_again_until_provisioning_times_out() -> None:
    """The container waits with ImagePullBackOff, events say why; after 30 minutes it has failed."""
    world = World({**TRACE, "pull_error": "manifest unknown"})
    url = world.put().headers["Azure-AsyncOperation"]
    world.run(60)
    view = world.view()
    early = world.states()
    world.run(1800)
    operation = world.request("GET", url.partition("arm.test")[2].partition("?")[0]).body

    assert early == ("Creating", "Pending")
    assert view["currentState"]["state"] == "Waiting"
    assert view["currentState"]["detailStatus"].startswith("ImagePullBackOff")
    assert {"Failed", "BackOff"} <= {event["name"] for event in view["events"]}
    assert any("manifest unknown" in event["message"] for event in view["events"])
    assert world.states() == ("Failed", "Pending")  # documented: it goes on trying
    assert operation["status"] == "Failed"
    assert set(operation["error"]) == {"message"}  # no code, as recorded
    assert "30 minutes" in operation["error"]["message"]


@pytest.mark.parametrize(
    ("policy", "restarts"), [("Always", "always"), ("OnFailure", "on-failure"), ("Never", "never")]
)
def test_an_open_sandbox_is_asked_for_again_after_a_reload(policy: str, restarts: str) -> None:
    """Before anything runs in it, the engine knows nothing of it that a new process could find."""
    world = World()
    world.put(group(restartPolicy=policy))
    world.run(5)  # the sandbox is ready, and the image on its way
    assert "ip" in world.get()["properties"]["ipAddress"]
    other = World()
    other.endpoint.load(json.loads(json.dumps(world.endpoint.dump())))
    other.run(0)

    [first] = [action for action in world.actions if isinstance(action, OpenSandbox)]
    [again] = [action for action in other.actions if isinstance(action, OpenSandbox)]
    assert first == again
    assert restarts == again.restarts


def test_another_address_is_shown_from_then_on() -> None:
    """A runtime may find that the old one was given to somebody else."""
    world = World()
    world.put()
    world.run(20)
    [opened] = [action for action in world.actions if isinstance(action, OpenSandbox)]
    world.observe(SandboxReady(uid=opened.uid, at=world.now, ip="192.0.2.9"))

    assert "192.0.2.9" == world.get()["properties"]["ipAddress"]["ip"]
    assert ("Succeeded", "Running") == world.states()


def test_no_address_fails_the_group_and_starts_nothing() -> None:
    """A sandbox that cannot be had is a failed operation that says which port."""
    world = World()
    url = world.put().headers["Azure-AsyncOperation"]
    opened = next(action for action in world.actions if isinstance(action, OpenSandbox))
    world.observe(SandboxFailed(uid=opened.uid, at=world.now, message="port 80 is taken"))
    world.run(100)
    operation = world.request("GET", url.partition("arm.test")[2].partition("?")[0]).body

    assert world.states() == ("Failed", "Failed")
    assert operation["error"] == {"message": "port 80 is taken"}
    assert operation["properties"]["events"][-1]["message"] == "port 80 is taken"
    assert not [action for action in world.actions if isinstance(action, StartContainer)]


def test_a_command_that_cannot_start_shows_as_an_end() -> None:
    """StartFailed: exit code 128 and an event with the engine's words."""
    world = World()
    world.put(group(restartPolicy="Never"))
    world.run_until(lambda: any(isinstance(each, StartContainer) for each in world.actions))
    start = next(each for each in world.actions if isinstance(each, StartContainer))
    world.observe(
        StartFailed(uid=start.uid, container="web", at=world.now, message="no such file", attempt=0)
    )
    world.run(30)

    assert world.view()["currentState"]["exitCode"] == 128
    assert any("no such file" in event["message"] for event in world.view()["events"])
    assert world.states() == ("Succeeded", "Failed")


def test_init_containers_run_in_order_before_the_others() -> None:
    """One after the other, each to its end, then all others together."""
    world = World()
    init = [container("first"), container("second")]
    for each in init:
        del each["properties"]["resources"]
    world.put(group(container("a"), container("b"), initContainers=init))
    world.run(60)
    starts = [each.run.name for each in world.actions if isinstance(each, StartContainer)]

    assert starts == ["first", "second", "a", "b"]
    assert world.states() == ("Succeeded", "Running")
    assert world.view(1, key="initContainers")["currentState"]["detailStatus"] == "Completed"


def test_a_failed_init_container_without_restarts_fails_the_group() -> None:
    """Restart policy Never: the group has failed and its containers never start."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 5})
    init = container("first")
    del init["properties"]["resources"]
    world.put(group(initContainers=[init], restartPolicy="Never"))
    world.run(60)
    starts = [each.run.name for each in world.actions if isinstance(each, StartContainer)]

    assert starts == ["first"]
    assert world.states() == ("Failed", "Failed")


def test_stop_shows_the_recorded_states_and_start_runs_it_again() -> None:
    """Stopped with ACI's words; a start pulls and starts anew, with the restart count at zero."""
    world = World()
    world.put()
    world.run(20)
    ip = world.get()["properties"]["ipAddress"]["ip"]
    stop = world.request("POST", world.group_path(more="/stop"))
    world.run(5)
    stopped, view = world.states(), world.view()
    start = world.request("POST", world.group_path(more="/start"))
    world.run(60)

    assert (stop.status, start.status) == (204, 204)
    assert "Azure-AsyncOperation" not in stop.headers
    assert stopped == ("Succeeded", "Stopped")
    assert view["currentState"]["detailStatus"] == "Container stopped per client request"
    assert set(view["currentState"]) == {"state", "finishTime", "detailStatus"}
    assert view["previousState"]["state"] == "Running"
    assert world.states() == ("Succeeded", "Running")
    assert world.view()["restartCount"] == 0
    assert world.get()["properties"]["ipAddress"]["ip"] == ip


def test_what_volumes_had_is_lost_by_a_stop_and_by_nothing_else() -> None:
    """Documented: an emptyDir survives crashes, and no stop; also where the endpoint ended meanwhile."""
    mount = {"name": "scratch", "mountPath": "/scratch"}
    body = group(container(volumeMounts=[mount]), volumes=[{"name": "scratch", "emptyDir": {}}])
    world = World()
    world.put(body)
    world.run(20)
    for action in ("restart", "stop", "start"):
        world.request("POST", world.group_path(more=f"/{action}"))
        world.run(60)
    saved = json.loads(json.dumps(world.endpoint.dump()))
    again = World()
    again.endpoint.load(saved)
    again.now, again.simulation = world.now, world.simulation
    for action in ("stop", "start"):
        again.request("POST", again.group_path(more=f"/{action}"))
        again.run(60)

    def generations(one: World) -> list[str]:
        starts = [action for action in one.actions if isinstance(action, StartContainer)]
        return [start.run.mounts[0].key for start in starts]

    assert ["scratch", "scratch", "scratch.1"] == generations(world)
    assert "scratch.2" == generations(again)[-1]


def test_a_group_is_pending_until_each_of_its_containers_has_run() -> None:
    """Nothing but Pending was ever recorded before provisioning has succeeded."""
    world = World()
    world.put(group(container("a"), container("b")))
    seen = set()
    for _ in range(100):
        seen.add(world.states())
        world.run(0.2)
    assert ("Succeeded", "Running") in seen
    assert {"Pending"} == {state for provisioning, state in seen if provisioning != "Succeeded"}


def test_restart_keeps_the_old_events_and_has_an_operation() -> None:
    """As recorded: 204 with an operation whose events are the old and the new ones."""
    world = World()
    world.put()
    world.run(20)
    reply = world.request("POST", world.group_path(more="/restart"))
    path = reply.headers["Azure-AsyncOperation"].partition("arm.test")[2].partition("?")[0]
    during = world.request("GET", path).body["status"]
    world.run(60)
    after = world.request("GET", path).body

    assert reply.status == 204
    assert reply.body is None
    assert during == "Pending"
    assert after["status"] == "Succeeded"
    assert sum(event["count"] for event in after["properties"]["events"]) == 7  # with Killing
    assert len([each for each in world.actions if isinstance(each, StopContainer)]) == 1


def test_nothing_can_be_asked_of_a_group_under_way() -> None:
    """PUT, start, stop and restart of a group that is being created are refused; DELETE is not."""
    world = World()
    world.put()
    world.run(1)
    replies = [
        world.request("PUT", world.group_path(), group()),
        *(
            world.request("POST", world.group_path(more=f"/{verb}"))
            for verb in ("start", "stop", "restart")
        ),
    ]

    assert [(409, "ContainerGroupTransitioning")] * 4 == [
        (reply.status, reply.body["error"]["code"]) for reply in replies
    ]
    assert world.request("DELETE", world.group_path()).status == 200


def test_a_put_over_a_group_runs_it_anew() -> None:
    """The old incarnation is closed, the new one has nothing of it."""
    world = World()
    world.put()
    world.run(20)
    reply = world.put(group(container(image="nginx:2")))
    world.run(60)
    closed = [each.uid for each in world.actions if isinstance(each, CloseSandbox)]
    opened = [each.uid for each in world.actions if isinstance(each, OpenSandbox)]

    assert reply.status == 200
    assert reply.body["properties"]["provisioningState"] == "Pending"
    assert closed == opened[:1]
    assert world.states() == ("Succeeded", "Running")
    assert world.get()["properties"]["containers"][0]["properties"]["image"] == "nginx:2"
    assert len(world.view()["events"]) == 3


def test_what_a_deleted_incarnation_still_reports_is_not_the_new_ones() -> None:
    """Late observations of a group that was replaced change nothing."""
    world = World()
    world.put()
    world.run(20)
    old = next(each.uid for each in world.actions if isinstance(each, OpenSandbox))
    world.put()
    before = world.get()
    world.observe(
        Exited(uid=old, container="web", at=world.now, exit_code=1),
        PullFailed(uid=old, container="web", at=world.now, message="late"),
        Started(uid="nobody", container="web", at=world.now, container_id="x"),
    )

    assert world.get() == before


def test_killed_for_memory_says_so() -> None:
    """An OOM kill is shown as such."""
    world = World()
    world.put(group(restartPolicy="Never"))
    world.run(20)
    uid = next(each.uid for each in world.actions if isinstance(each, OpenSandbox))
    world.observe(Exited(uid=uid, container="web", at=world.now, exit_code=137, oom_killed=True))

    assert world.view()["currentState"]["exitCode"] == 137
    assert world.view()["currentState"]["detailStatus"] == "OOMKilled"


def test_actions_under_way_are_repeated_after_a_reload() -> None:
    """The state survives JSON at any moment, and the launch goes on from there."""
    world = World()
    world.put(group(container(environmentVariables=[{"name": "A", "secureValue": "s3cret"}])))
    for _ in range(60):
        saved = json.loads(json.dumps(world.endpoint.dump()))
        other = World()
        other.endpoint.load(saved)
        other.simulation = copy.deepcopy(world.simulation)  # what runs, runs on
        other.now = world.now
        body = other.get()
        other.run(100)

        assert body == world.get()
        assert other.endpoint.dump()["groups"][0]["kept"] == saved["groups"][0]["kept"]
        if world.states()[1] == "Pending":
            assert other.states() == ("Succeeded", "Running")
        world.run(0.5)
    world.request("DELETE", world.group_path())
    other = World()
    other.endpoint.load(json.loads(json.dumps(world.endpoint.dump())))
    other.simulation = world.simulation
    other.now = world.now
    other.run(10)

    assert other.endpoint.idle
    with pytest.raises(ValueError, match="version"):
        other.endpoint.load({"version": 99})
