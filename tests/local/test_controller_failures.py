"""The group controller where something fails or begins anew, and what ARM shows of that."""

from __future__ import annotations

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.local.world import START, TRACE, World, container, group

from aciflow.local.config import Config
from aciflow.local.groups.desired import desired_from
from aciflow.local.groups.events import MAX_EVENTS, Events, GroupEvents
from aciflow.local.groups.group import insufficient_capacity
from aciflow.local.groups.logs import RUNNING_LIMIT, STOPPED_LIMIT, kept_log
from aciflow.local.groups.machine import GroupMachine
from aciflow.local.groups.times import whole_seconds
from aciflow.local.protocol import (
    Action,
    Exited,
    Mount,
    Observation,
    OpenSandbox,
    Pulled,
    PullImage,
    SandboxReady,
    StartContainer,
    StartFailed,
)
from aciflow.local.runtime.simulation import Simulation


FIVE = {"state", "startTime", "exitCode", "finishTime", "detailStatus"}


class NoVolume(Simulation):
    """A volume cannot be had, so many times."""

    times = 0

    def schedule(self, action: Action, now: float) -> list[tuple[float, Observation]]:
        """What comes of it; first starts fail by their volume."""
        if isinstance(action, StartContainer) and action.attempt < self.times:
            failed = StartFailed(
                uid=action.uid,
                container=action.run.name,
                at=now,
                message="exit status 128",
                attempt=action.attempt,
                volume="repo",
            )
            return [(now, failed)]
        return super().schedule(action, now)


def _without_volume(times: int, **more: Any) -> World:
    world = World()
    simulation = NoVolume(traces=[TRACE])
    simulation.times = times
    world.simulation = simulation
    mounted = container(volumeMounts=[{"name": "repo", "mountPath": "/repo"}])
    volumes = [{"name": "repo", "gitRepo": {"repository": "https://git.test/x"}}]
    world.put(group(mounted, volumes=volumes, **more))
    return world


def _operation(world: World, url: str) -> dict[str, Any]:
    path = url.partition("arm.test")[2].partition("?")[0]
    body: dict[str, Any] = world.request("GET", path).body
    return body


# --- volumes ------------------------------------------------------------------------------------


def test_every_kind_of_volume_is_what_the_body_says() -> None:
    """Folder, repository, directory, revision, files; read-only by the mount or by the share."""
    volumes: list[dict[str, Any]] = [
        {"name": "share", "azureFile": {"storageAccountName": "Acc", "shareName": "data"}},
        {
            "name": "frozen",
            "azureFile": {"storageAccountName": "acc", "shareName": "x", "readOnly": True},
        },
        {"name": "code", "gitRepo": {"repository": "r", "directory": ".", "revision": "abc"}},
        {"name": "bare", "gitRepo": {"repository": "r"}},
        {"name": "keys", "secret": {"a": "aGk="}},
        {"name": "scratch", "emptyDir": {}},
    ]
    names = [volume["name"] for volume in volumes]
    mounts = [{"name": name, "mountPath": f"/{name}", "readOnly": name == "code"} for name in names]
    body = {
        "id": "/x/g",
        "name": "g",
        "properties": {
            "containers": [container(volumeMounts=mounts)],
            "volumes": volumes,
        },
    }
    desired = desired_from(body, {"acc/DATA": "/srv/data"})

    assert desired.main[0].mounts == (
        Mount(volume="share", path="/share", kind="azure_file", folder="/srv/data"),
        Mount(volume="frozen", path="/frozen", kind="azure_file", read_only=True),
        Mount(
            volume="code",
            path="/code",
            kind="git_repo",
            read_only=True,
            repository="r",
            directory=".",
            revision="abc",
        ),
        Mount(volume="bare", path="/bare", kind="git_repo", repository="r"),
        Mount(volume="keys", path="/keys", kind="secret", files={"a": b"hi"}),
        Mount(volume="scratch", path="/scratch"),
    )


def test_a_share_keeps_its_folder_over_a_reload() -> None:
    """The folder comes from the endpoint's settings, not from what was saved."""
    volume = {
        "name": "files",
        "azureFile": {"storageAccountName": "acc", "shareName": "data", "storageAccountKey": "k"},
    }
    body = group(container(volumeMounts=[{"name": "files", "mountPath": "/f"}]), volumes=[volume])
    world = World(config=Config(azure_files={"acc/data": "/srv/old"}))
    world.put(body)
    other = World(config=Config(azure_files={"acc/data": "/srv/new"}))
    other.endpoint.load(world.endpoint.dump())
    [before], [after] = (each.endpoint.state.machines.values() for each in (world, other))

    assert before.main[0].run.mounts[0].folder == "/srv/old"
    assert after.main[0].run.mounts[0].folder == "/srv/new"


def test_a_volume_that_cannot_be_had_is_tried_again() -> None:
    """FailedMount on the group, the container is being created, and later it runs."""
    world = _without_volume(3)
    world.run(7)
    view, early = world.get()["properties"]["instanceView"], world.states()
    waiting = world.view()
    world.run(30)

    [event] = view["events"]
    assert event["name"] == "FailedMount"
    assert event["type"] == "Warning"
    assert event["message"] == 'MountVolume.SetUp failed for volume "repo" : exit status 128'
    assert event["count"] == 2
    assert early == ("Creating", "Pending")
    assert waiting["currentState"] == {"state": "Waiting", "detailStatus": "ContainerCreating"}
    assert world.states() == ("Succeeded", "Running")
    assert world.view()["restartCount"] == 0


def test_under_never_a_volume_that_cannot_be_had_fails_the_group() -> None:
    """Documented: infrastructure fails a group under that policy only."""
    world = _without_volume(99, restartPolicy="Never")
    world.run(3000)
    starts = [each for each in world.actions if isinstance(each, StartContainer)]

    assert world.states() == ("Failed", "Failed")
    assert [event["name"] for event in world.get()["properties"]["instanceView"]["events"]] == [
        "FailedMount"
    ]
    assert len(starts) == 1


def test_a_volume_that_never_comes_ends_in_the_time_out() -> None:
    """The operation fails after 30 minutes; the group goes on trying."""
    world = _without_volume(10**6)
    world.run(1700)
    before = world.states()
    world.run(200)
    tried = len(world.actions)
    world.run(500)

    assert before == ("Creating", "Pending")
    assert world.states() == ("Failed", "Pending")
    assert len(world.actions) > tried


# --- provisioning -------------------------------------------------------------------------------


def test_a_time_out_of_the_groups_own_counts() -> None:
    """``provisioningTimeoutInSeconds`` of the body instead of 1800."""
    world = World({**TRACE, "pull_error": "no"})
    url = world.put(group(provisioningTimeoutInSeconds=90)).headers["Azure-AsyncOperation"]
    world.run(89)
    before = world.states()[0]
    world.run(2)

    assert (before, world.states()[0]) == ("Creating", "Failed")
    assert "90 seconds" in _operation(world, url)["error"]["message"]


def test_a_group_that_timed_out_may_still_come_up() -> None:
    """Documented: a failed provisioning state does not mean that it stops attempting to succeed."""
    world = World({"pulling": 4.0, "pulled": 2000.0, "started": 2010.0})
    url = world.put().headers["Azure-AsyncOperation"]
    world.run(1900)
    early = world.states()
    world.run(200)

    assert early == ("Failed", "Pending")
    assert world.states() == ("Failed", "Running")
    assert _operation(world, url)["status"] == "Failed"
    assert world.request("POST", world.group_path(more="/stop")).status == 204
    world.run(10)
    assert world.states() == ("Succeeded", "Stopped")
    assert _operation(world, url)["status"] == "Failed"  # what has ended stays as it ended


def test_a_region_without_room_is_the_recorded_failure() -> None:
    """Pending until then; an event with a full stop in its name, an error without a code."""
    world = World()
    world.make_home()
    world.endpoint.state.doom = insufficient_capacity(
        "swedencentral", cpu=2, memory_gb=4, os_type="Linux", at=START + 20.25
    )
    url = world.put().headers["Azure-AsyncOperation"]
    world.run(19)
    before, none_yet = world.states(), list(world.actions)
    world.run(2)
    operation = _operation(world, url)
    message = (
        "The requested resource is not available in the location 'swedencentral' at this moment. "
        "Please retry with a different resource request or in another location. Resource "
        "requested: '2' CPU '4' GB memory 'Linux' OS"
    )

    assert before == ("Pending", "Pending")
    assert none_yet == []
    assert world.states() == ("Failed", "Failed")
    assert operation["status"] == "Failed"
    assert operation["error"] == {"message": message}
    [event] = operation["properties"]["events"]
    assert event["name"] == "InsufficientCapacity."
    assert event["type"] == "Warning"
    assert event["message"] == message
    assert event["firstTimestamp"] == "2023-11-14T22:13:40.25Z"  # containers have whole seconds
    assert world.view() == {}
    world.request("POST", world.group_path(more="/start"))  # a later attempt finds room
    world.run(30)
    assert world.states() == ("Succeeded", "Running")


def test_a_failure_that_is_to_come_survives_a_reload() -> None:
    """It is part of the saved state."""
    world = World()
    world.make_home()
    world.endpoint.state.doom = insufficient_capacity(
        "westus", cpu=1, memory_gb=1, os_type="Linux", at=START + 20
    )
    world.put()
    other = World()
    other.endpoint.load(world.endpoint.dump())
    other.run(30)

    assert other.states() == ("Failed", "Failed")
    assert other.actions == []


def test_what_the_service_fails_is_stopped() -> None:
    """In the middle of anything: running containers are stopped, nothing else is begun."""
    world = World(TRACE)
    world.put(group(container("a"), container("b")))
    world.run(20)
    [machine] = world.endpoint.state.machines.values()
    world.endpoint.state.act(machine, machine.fail("Failed", "the node is gone", world.now))
    world.run(60)
    before = len(world.actions)
    world.run(3000)

    assert world.states() == ("Failed", "Failed")
    assert {world.view(place)["currentState"]["state"] for place in (0, 1)} == {"Terminated"}
    assert len(world.actions) == before


# --- again and again ----------------------------------------------------------------------------


def test_a_restart_begins_new_events_and_keeps_the_old_ones() -> None:
    """As recorded: equal events of the new cycle are entries of their own, not counts."""
    world = World()
    world.put()
    world.run(20)
    old = world.view()["events"]
    world.request("POST", world.group_path(more="/restart"))
    world.run(60)
    view = world.view()
    names = [event["name"] for event in view["events"]]

    assert view["events"][: len(old)] == old
    assert names == ["Pulling", "Pulled", "Started", "Killing", "Pulling", "Pulled", "Started"]
    assert {event["count"] for event in view["events"]} == {1}
    assert set(view["previousState"]) == FIVE


def test_a_loop_never_shows_its_group_as_ended() -> None:
    """Recorded: Running while the container is terminated or waits."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 1})
    world.put()
    world.run(10.5)
    seen, states = set(), set()
    for _ in range(400):
        world.run(0.25)
        view = world.view()
        states.add(view["currentState"]["state"])
        seen.add(world.states())
        if "previousState" in view:
            assert set(view["previousState"]) == FIVE
            assert view["previousState"]["state"] == "Terminated"

    assert seen == {("Succeeded", "Running")}
    assert states == {"Running", "Terminated", "Waiting"}


def test_a_back_off_that_is_stopped_shows_as_stopped() -> None:
    """A container that waits for its restart is not left waiting in a stopped group."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 1})
    world.put()
    world.run_until(lambda: world.view().get("currentState", {}).get("state") == "Waiting", 60)
    world.run_until(lambda: "CrashLoop" in world.view()["currentState"]["detailStatus"], 60)
    world.request("POST", world.group_path(more="/stop"))
    view = world.view()

    assert world.states() == ("Succeeded", "Stopped")
    assert view["currentState"]["detailStatus"] == "Container stopped per client request"
    assert set(view["previousState"]) == FIVE


def test_an_init_container_that_fails_is_started_again() -> None:
    """Under Always and OnFailure, with the same back-off; the others wait."""
    world = World({**TRACE, "exits_after": 1.0, "exit_code": 5})
    init = container("first")
    del init["properties"]["resources"]
    world.put(group(initContainers=[init], restartPolicy="OnFailure"))
    world.run(60)
    starts = [each.run.name for each in world.actions if isinstance(each, StartContainer)]

    assert set(starts) == {"first"}
    assert len(starts) > 2
    assert world.states() == ("Creating", "Pending")
    assert world.view(key="initContainers")["restartCount"] == len(starts) - 1


def test_an_end_for_good_is_shown_as_killing() -> None:
    """Recorded since 2021, for containers that ended by themselves."""
    world = World({**TRACE, "exits_after": 2.0, "exit_code": 2})
    world.put(group(restartPolicy="Never"))
    world.run(20)
    view = world.view()

    assert [event["name"] for event in view["events"]] == [
        "Pulling",
        "Pulled",
        "Started",
        "Killing",
    ]
    assert view["events"][-1]["message"].startswith("Killing container with id ")


@given(
    marks=st.lists(
        st.one_of(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), st.just("cycle")),
        max_size=80,
    )
)
def test_events_are_counted_within_a_cycle(marks: list[Any]) -> None:
    """Against a list of all that happened: counts, first and last times, order."""
    events = Events()
    expected: list[list[Any]] = []
    since, now = 0, 0.0
    for mark in marks:
        now += 1
        if mark == "cycle":
            events.new_cycle()
            since = len(expected)
            continue
        name, message = mark
        events.add(name, str(message), now)
        for entry in expected[since:]:
            if entry[:2] == [name, str(message)]:
                entry[2] += 1
                entry[4] = whole_seconds(now)
                break
        else:
            expected.append([name, str(message), 1, whole_seconds(now), whole_seconds(now)])
    events = Events(events.to_arm(), events.since)

    assert expected == [
        [
            each["name"],
            each["message"],
            each["count"],
            each["firstTimestamp"],
            each["lastTimestamp"],
        ]
        for each in events.to_arm()
    ]


def test_events_do_not_grow_for_ever() -> None:
    """The oldest go; what is counted goes on being counted."""
    events = Events()
    for number in range(3 * MAX_EVENTS):
        events.add("Killing", f"id {number}", float(number))
        events.add("BackOff", "again", float(number))
    kept = events.to_arm()

    assert len(kept) == MAX_EVENTS
    assert kept[-1]["message"] == f"id {3 * MAX_EVENTS - 1}"


def test_events_of_a_group_survive_json() -> None:
    """With their counts and times."""
    events = GroupEvents()
    for at in (1.5, 2.5):
        events.add("FailedMount", "no", at)
    [only] = GroupEvents.load(events.dump()).entries

    assert (only.count, only.first, only.last) == (2, 1.5, 2.5)


# --- observations that come late ----------------------------------------------------------------


def test_pulls_that_end_after_the_failure_are_not_shown() -> None:
    """A group that has failed does not go on pulling."""
    body = {"id": "/x/g", "name": "g", "properties": {"containers": [container()]}}
    machine = GroupMachine("u", desired_from(body, {}), START)
    asked = machine.begin(START)
    assert [type(action) for action in asked] == [OpenSandbox, PullImage]
    machine.fail("InsufficientCapacity.", "no room", START + 1)
    late: list[Observation] = [
        SandboxReady(uid="u", at=START + 2),
        Pulled(uid="u", container="web", at=START + 2),
        Exited(uid="u", container="web", at=START + 2, exit_code=0),
    ]

    assert [machine.observe(seen, START + 2) for seen in late] == [[], [], []]
    assert machine.main[0].instance_view() is None
    assert [type(action) for action in machine.start(START + 3)] == [PullImage]


# --- logs ---------------------------------------------------------------------------------------


@given(text=st.text(max_size=300), times=st.integers(1, 400), ended=st.booleans())
def test_logs_are_cut_to_what_aci_keeps(text: str, times: int, ended: bool) -> None:
    """The end of them: 16 KB and 1,000 lines once it has ended, 4 MB before."""
    whole = text * times
    kept = kept_log(whole, ended=ended)

    assert whole.endswith(kept)
    assert len(kept.encode()) <= (STOPPED_LIMIT if ended else RUNNING_LIMIT)
    if ended:
        assert len(kept.splitlines()) <= 1000
    if not ended:
        assert kept == whole


@pytest.mark.parametrize(
    ("line", "count", "kept"),
    [("x" * 99, 2000, 16 * 1024), ("x", 2000, 2000), ("x" * 9, 100, 1000)],
)
def test_a_group_that_has_ended_keeps_less_of_its_logs(line: str, count: int, kept: int) -> None:
    """The whole of it while it runs; then 16 KB or 1,000 lines, whichever is less."""
    text = f"{line}\n" * count
    world = World({**TRACE, "exits_after": 5.0, "logs": text})
    world.put(group(restartPolicy="Never"))
    world.run(12)
    path = world.group_path(more="/containers/web/logs")
    running = world.request("GET", path).body["content"]
    world.run(20)

    assert running == text
    assert world.request("GET", path).body["content"] == text[-kept:]
