"""Liveness and readiness probes: when they run, and what comes of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.local.world import TRACE, World, container, group

from aciflow.local.groups.container import ContainerRecord
from aciflow.local.groups.probing import LOST_AFTER, Prober, probe_from, probes_from
from aciflow.local.protocol import (
    Action,
    Exited,
    Observation,
    Probe,
    Probed,
    ProbeKind,
    RunProbe,
    StartContainer,
    StopContainer,
)
from aciflow.local.runtime.simulation import Simulation
from aciflow.model import Container, ContainerGroupSpec, to_arm
from aciflow.model import Probe as WantedProbe


FIVE = {"state", "startTime", "exitCode", "finishTime", "detailStatus"}
EXEC = {"exec": {"command": ["cat", "/tmp/healthy"]}, "periodSeconds": 5}


def _record(world: World) -> ContainerRecord:
    [machine] = world.endpoint.state.machines.values()
    return machine.main[0]


def _probes(world: World) -> list[RunProbe]:
    return [action for action in world.actions if isinstance(action, RunProbe)]


def _answer(world: World, asked: RunProbe, *, ok: bool, **other: Any) -> None:
    told: dict[str, Any] = {
        "uid": asked.uid,
        "container": asked.container,
        "at": world.now,
        "kind": asked.kind,
        "ok": ok,
        "message": "" if ok else "exit code 1",
        "attempt": asked.attempt,
        "number": asked.number,
    }
    world.observe(Probed(**{**told, **other}))


class Mute(Simulation):
    """No probe is answered by itself."""

    def schedule(self, action: Action, now: float) -> list[tuple[float, Observation]]:
        """What comes of it, but for probes."""
        return [] if isinstance(action, RunProbe) else super().schedule(action, now)


def _mute(probes: dict[str, Any], **more: Any) -> World:
    world = World()
    world.simulation = Mute(traces=[TRACE])
    world.put(group(container(**probes), **more))
    world.run(10)  # the container starts now
    return world


# --- reading ------------------------------------------------------------------------------------


def test_the_defaults_are_the_kubelets() -> None:
    """Period 10, timeout 1, thresholds 3 and 1, no delay; a zero means the default."""
    plain = probe_from({"httpGet": {"port": 80}})

    assert plain is not None
    assert plain == Probe(port=80)
    assert (plain.period, plain.timeout, plain.initial_delay) == (10, 1, 0)
    assert (plain.failure_threshold, plain.success_threshold) == (3, 1)
    assert plain == probe_from(
        {"httpGet": {"port": 80, "path": None, "scheme": None}, "periodSeconds": 0}
    )
    assert probe_from({}) is None


def test_what_a_specification_says_is_what_is_probed() -> None:
    """From ``Probe`` over ARM's JSON to the probe that a runtime is given, field by field."""
    timing: dict[str, Any] = {
        "initial_delay": 3,
        "period": 4,
        "failure_threshold": 5,
        "success_threshold": 1,
        "timeout": 6,
    }
    wanted = Container(
        name="web",
        image="nginx",
        liveness=WantedProbe.exec(["cat", "/x"], **timing),
        readiness=WantedProbe.http(
            8080, "/ready", scheme="https", http_headers={"Host": "a"}, period=2
        ),
    )
    body = to_arm(ContainerGroupSpec(name="g", containers=[wanted]), location="westus")
    found = probes_from(body["properties"]["containers"][0]["properties"])

    assert found == {
        "liveness": Probe(command=("cat", "/x"), **timing),
        "readiness": Probe(
            port=8080, path="/ready", scheme="https", headers=(("Host", "a"),), period=2
        ),
    }


# --- timing -------------------------------------------------------------------------------------


def test_probes_begin_after_the_delay_and_come_every_period() -> None:
    """First at the start plus the delay, then each period, numbered from zero."""
    world = World()
    probe = {**EXEC, "initialDelaySeconds": 7}
    world.put(group(container(livenessProbe=probe)))
    times = []
    world.run_until(lambda: bool(world.view().get("currentState", {}).get("startTime")))
    began = world.now
    for _ in range(200):
        before = len(_probes(world))
        world.run(0.25)
        times += [world.now - began] * (len(_probes(world)) - before)

    assert [7, 12, 17, 22, 27, 32, 37, 42, 47][: len(times)] == [round(at) for at in times]
    assert len(times) >= 8
    assert [each.number for each in _probes(world)] == list(range(len(times)))


@given(
    steps=st.lists(
        st.tuples(st.floats(0.5, 40), st.sampled_from(["ok", "no", "stale", "lost"])), max_size=60
    ),
    failures=st.integers(1, 4),
    successes=st.integers(1, 3),
)
def test_the_thresholds_count_what_is_in_a_row(
    steps: list[tuple[float, str]], failures: int, successes: int
) -> None:
    """Against a list of the answers: what passes is decided by the last so many of them."""
    probe = Probe(port=1, failure_threshold=failures, success_threshold=successes, timeout=2)
    prober = Prober(probe)
    prober.begin(0.0)
    now, asked_at, answers, expected = 0.0, None, [], None
    for wait, what in steps:
        now += wait
        if prober.ask(now):
            assert asked_at is None or now >= asked_at + probe.timeout + LOST_AFTER
            asked_at = now
        if what == "lost":
            continue
        number = prober.number - (1 if what == "stale" else 0)
        seen = Probed(
            uid="u", container="c", at=now, kind="readiness", ok=what == "ok", number=number
        )
        assert prober.answered(seen) is (what != "stale" and asked_at is not None)
        if what == "stale" or asked_at is None:
            continue
        asked_at = None
        answers.append(what)
        for word, count in (("ok", successes), ("no", failures)):
            if answers[-count:] == [word] * count:
                expected = word == "ok"
        assert prober.passing is expected
    assert prober.wake is not None  # it never stalls


def test_a_lost_answer_does_not_stall_probing() -> None:
    """The next probe is asked for once the answer is given up, and nothing counts against it."""
    world = _mute({"livenessProbe": {**EXEC, "failureThreshold": 1}})
    world.run(100)

    assert len(_probes(world)) >= 8  # every 11 s: time-out and what is waited beyond
    assert "Unhealthy" not in {event["name"] for event in world.view()["events"]}
    assert world.view()["restartCount"] == 0


def test_stale_answers_are_nobodys() -> None:
    """Of another attempt, or of a probe that was given up, or told twice: they change nothing."""
    world = _mute({"livenessProbe": {**EXEC, "failureThreshold": 1}})
    world.run(15)
    first, second = _probes(world)[:2]
    before = world.endpoint.dump()["groups"][0]["machine"]
    _answer(world, first, ok=False)
    _answer(world, second, ok=False, attempt=7)
    _answer(world, second, ok=False, kind="readiness")

    assert world.endpoint.dump()["groups"][0]["machine"] == before
    _answer(world, second, ok=True)
    _answer(world, second, ok=False)
    assert "Unhealthy" not in {event["name"] for event in world.view()["events"]}


@pytest.mark.parametrize("how", ["exit", "stop"])
def test_probes_end_with_the_container(how: str) -> None:
    """After its end, or once it is being stopped, nothing is probed."""
    world = World()
    world.put(group(container(livenessProbe=EXEC), restartPolicy="Never"))
    world.run(30)
    if how == "stop":
        world.request("POST", world.group_path(more="/stop"))
    else:
        uid = _probes(world)[0].uid
        world.observe(Exited(uid=uid, container="web", at=world.now, exit_code=0))
    asked = len(_probes(world))
    world.run(100)

    assert asked > 0
    assert len(_probes(world)) == asked


def test_init_containers_have_no_probes() -> None:
    """ACI's have none; what is not main is not probed."""
    init = container("first", livenessProbe=EXEC)
    del init["properties"]["resources"]
    assert probes_from(init["properties"])  # it would be read

    world = World()
    machine_of = world.endpoint.state.machines
    world.put(group(container("main", livenessProbe=EXEC)))
    [machine] = machine_of.values()
    assert set(machine.main[0].probers) == {"liveness"}


# --- liveness -----------------------------------------------------------------------------------


def test_a_container_that_is_not_alive_is_restarted() -> None:
    """Unhealthy as often as it failed, Killing, another start, and the end as previous state."""
    world = World({**TRACE, "unhealthy_after": 30.0})
    world.put(group(container(livenessProbe=EXEC)))
    world.run(10 + 30 + 20)
    view = world.view()
    events = {event["name"]: event for event in view["events"]}

    assert view["restartCount"] == 1
    assert view["currentState"]["state"] == "Running"
    assert set(view["previousState"]) == FIVE
    assert view["previousState"]["exitCode"] == 137
    assert events["Unhealthy"]["count"] == 3
    assert events["Unhealthy"]["type"] == "Warning"
    assert events["Unhealthy"]["message"].startswith("Liveness probe failed: ")
    assert events["Killing"]["type"] == "Normal"
    assert events["Started"]["count"] == 2
    assert world.states() == ("Succeeded", "Running")


def test_killed_under_never_it_stays_ended() -> None:
    """Documented: restart policies supersede the restarts of liveness probes."""
    world = World({**TRACE, "unhealthy_after": 5.0})
    world.put(group(container(livenessProbe=EXEC), restartPolicy="Never"))
    world.run(100)
    view = world.view()

    assert view["restartCount"] == 0
    assert set(view["currentState"]) == FIVE
    assert view["currentState"]["state"] == "Terminated"
    assert [event["count"] for event in view["events"] if event["name"] == "Killing"] == [1]
    assert world.states() == ("Succeeded", "Failed")


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_killed_it_comes_back_whatever_its_exit_code(policy: str) -> None:
    """A server that ends well when it is told to has failed its probe all the same."""
    world = _mute({"livenessProbe": {**EXEC, "failureThreshold": 1}}, restartPolicy=policy)
    [asked] = _probes(world)
    _answer(world, asked, ok=False)
    assert [each.container for each in world.actions if isinstance(each, StopContainer)] == ["web"]
    world.observe(Exited(uid=asked.uid, container="web", at=world.now, exit_code=0))
    world.run(5)

    assert len([each for each in world.actions if isinstance(each, StartContainer)]) == 2


def test_too_many_restarts_back_off() -> None:
    """Documented: a probe that fails again and again leads to the same back-off as a crash."""
    world = World({**TRACE, "unhealthy_after": 1.0})
    world.put(group(container(livenessProbe={**EXEC, "periodSeconds": 1, "failureThreshold": 1})))
    details = set()
    for _ in range(60):
        world.run(1)
        details.add(world.view().get("currentState", {}).get("detailStatus", ""))

    assert "CrashLoopBackOff: Back-off 10s restarting failed" in details
    assert "CrashLoopBackOff: Back-off 20s restarting failed" in details


def test_stopping_a_group_while_one_is_killed_stops_it() -> None:
    """The client's stop wins: no restart, and ACI's words for it."""
    world = _mute({"livenessProbe": {**EXEC, "failureThreshold": 1}})
    [asked] = _probes(world)
    _answer(world, asked, ok=False)
    world.request("POST", world.group_path(more="/stop"))
    world.run(60)

    assert world.states() == ("Succeeded", "Stopped")
    assert world.view()["currentState"]["detailStatus"] == "Container stopped per client request"


# --- readiness ----------------------------------------------------------------------------------


def test_what_is_not_ready_runs_and_says_so_in_an_event() -> None:
    """Unhealthy, no restart; ready once the probe has succeeded often enough."""
    world = World({**TRACE, "ready_after": 20.0})
    probe = {"httpGet": {"port": 80}, "periodSeconds": 5, "successThreshold": 2}
    world.put(group(container(readinessProbe=probe)))
    world.run(10 + 24)
    early = _record(world).ready
    events = {event["name"]: event for event in world.view()["events"]}
    world.run(10)

    assert not early
    assert _record(world).ready
    assert events["Unhealthy"]["message"] == (
        "Readiness probe failed: HTTP probe failed with statuscode: 503"
    )
    assert world.view()["restartCount"] == 0
    assert "Killing" not in {event["name"] for event in world.view()["events"]}
    assert world.states() == ("Succeeded", "Running")


@pytest.mark.parametrize("kind", ["liveness", "readiness"])
def test_the_simulation_answers_probes(kind: ProbeKind) -> None:
    """A command always succeeds; an HTTP probe once the container serves, on whatever port."""
    world = World()
    field = f"{kind}Probe"
    world.put(
        group(
            container("a", **{field: EXEC}),
            container("b", **{field: {"httpGet": {"port": 9}, "periodSeconds": 1}}),
        )
    )
    world.run(60)
    [machine] = world.endpoint.state.machines.values()
    unhealthy = [
        [event["message"] for event in world.view(place)["events"] if event["name"] == "Unhealthy"]
        for place in (0, 1)
    ]

    assert [record.probers[kind].passing for record in machine.main] == [True, True]
    assert unhealthy[0] == []
    assert len(unhealthy[1]) == 1  # the first one came before it served
    assert "connection refused" in unhealthy[1][0]
