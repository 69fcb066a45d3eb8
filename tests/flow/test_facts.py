from __future__ import annotations

import json

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.flow import kit
from tests.flow.kit import date, drive, event

from aciflow.drivers.simulated import World
from aciflow.flow.effects import ArmReply, Env, Notify, Start
from aciflow.flow.facts import ClockOffset, Facts, ServiceTimes
from aciflow.model import GroupState
from aciflow.timeline import Timeline


offsets = st.floats(-3600.0, 3600.0)


@given(
    offsets,
    st.lists(st.tuples(st.floats(0.0, 1e5), st.floats(0.0, 5.0), st.floats(0.0, 1.0)), max_size=20),
)
def test_replies_narrow_the_offset_down_to_what_it_is(
    offset: float, replies: list[tuple[float, float, float]]
) -> None:
    """The true offset is never excluded, and the estimate is as good as it says."""
    seen = ClockOffset()
    for sent, took, share in replies:
        stamp = float(int(sent + took * share + offset))
        if sent + took * share + offset < 0:
            continue
        seen.see(stamp, sent=sent, received=sent + took)
        assert seen.low - 1e-6 <= offset <= seen.high + 1e-6
    if not seen.low <= 0.0 <= seen.high:
        assert abs(seen.value - offset) <= seen.uncertainty + 1e-6


def test_clocks_that_may_agree_are_taken_to() -> None:
    """Whole seconds say no more."""
    seen = ClockOffset()
    seen.see(100.0, sent=100.2, received=100.4)
    assert (0.0, 0.0) == (seen.value, seen.uncertainty)


def test_a_reply_that_contradicts_the_others_is_passed_over() -> None:
    """A proxy's cache, say."""
    seen = ClockOffset()
    seen.see(110.0, sent=100.2, received=100.4)
    low, high = seen.low, seen.high
    seen.see(10.0, sent=101.0, received=101.1)
    assert (low, high) == (seen.low, seen.high)
    assert 9.0 < seen.value < 11.0


def _facts(world: World | None = None) -> Facts:
    env = Env(clock=world or World(), random=None)  # type: ignore[arg-type]
    return Facts(env=env, target="", title="web")


def _at(facts: Facts, seconds: float) -> None:
    world = facts.env.clock
    assert isinstance(world, World)
    world.advance(seconds - world.now())


def _see(facts: Facts, *states: Any, headers: Any = None, **more: Any) -> None:
    facts.see_state(GroupState.from_arm(kit.body(*states, **more)), headers or {})


def _phase(timeline: Timeline, name: str) -> tuple[float, float]:
    phase = timeline[name]
    return round(phase.start, 3), round(phase.end, 3)


EVENTS = [event("Pulling", 4.0), event("Pulled", 6.0), event("Started", 7.0)]


def test_the_services_times_become_phases() -> None:
    """With their source and resolution."""
    facts = _facts()
    facts.accepted = 1.0
    _see(facts, kit.running(7.25), container_events=EVENTS)
    _at(facts, 8.0)
    facts.see_address(unseen_since=5.0)
    facts.see_ready(resolution=0.3)
    facts.close()
    timeline = facts.timeline()
    assert (1.0, 4.0) == _phase(timeline, "schedule")
    assert (4.0, 6.0) == _phase(timeline, "pull")
    assert (6.0, 7.25) == _phase(timeline, "start")
    assert (1.0, 8.0) == _phase(timeline, "address")
    assert (7.25, 8.0) == _phase(timeline, "ready")
    assert "service" == timeline["pull"].source
    assert pytest.approx(1.0) == timeline["pull"].resolution
    assert pytest.approx(3.0) == timeline["address"].resolution


def test_what_was_not_reported_is_absent() -> None:
    """Events come late, or never."""
    facts = _facts()
    facts.accepted = 1.0
    _see(facts, None)
    assert facts.incomplete
    _see(facts, kit.running(7.0))
    assert facts.incomplete
    names = [phase.name for phase in facts.timeline().phases]
    assert [] == names


def test_before_arm_accepted_there_is_nothing_of_the_services() -> None:
    """A time needs its beginning."""
    facts = _facts()
    _see(facts, kit.running(7.0), container_events=EVENTS)
    facts.see_ready(resolution=0.1)
    assert () == facts.timeline().phases
    assert not facts.incomplete


def test_times_of_a_clock_that_is_ahead_are_corrected() -> None:
    """By what the Date headers said, and the timeline says how sure that is."""
    facts = _facts()
    facts.accepted = 1.0
    facts.see_reply(ArmReply(status=200, headers={"date": date(100.0)}), sent=0.0)
    _see(
        facts,
        kit.running(107.0),
        container_events=[event("Pulling", 104.0), event("Pulled", 106.0)],
    )
    pull = facts.timeline()["pull"]
    assert abs(pull.start - 4.0) <= pull.resolution
    assert 2.0 == pytest.approx(pull.duration)


@pytest.mark.parametrize("stamp", [None, "yesterday"])
def test_a_reply_without_a_date_says_nothing(stamp: str | None) -> None:
    """Proxies drop and mangle headers."""
    facts = _facts()
    facts.see_reply(ArmReply(status=200, headers={"date": stamp} if stamp else {}), sent=0.0)
    assert ClockOffset() == facts.offset


def test_the_local_endpoints_exact_times_are_used() -> None:
    """They need neither rounding nor correction."""
    world = World()
    facts = _facts(world)
    facts.accepted = 0.1
    times = {
        "containers": {
            "web": {n: world.wall() + at for n, at in (("pulling", 0.2), ("pulled", 0.25))}
        }
    }
    headers = {"x-aciflow-times": json.dumps(times), "date": date(50.0)}
    facts.see_reply(ArmReply(status=200, headers=headers), sent=0.0)
    _see(facts, kit.running(0.5), headers=headers)
    assert (0.2, 0.25) == _phase(facts.timeline(), "pull")
    assert (0.25, 0.5) == _phase(facts.timeline(), "start")
    assert 0.001 == facts.timeline()["pull"].resolution


def test_several_containers_have_phases_of_their_own() -> None:
    """The group is scheduled once."""
    facts = _facts()
    facts.accepted = 1.0
    _see(facts, kit.running(7.0), kit.ended(0, 8.0), container_events=EVENTS)
    phases = facts.timeline().phases
    assert ["web", "web1"] == [p.container for p in phases if p.name == "pull"]
    assert [None] == [p.container for p in phases if p.name == "schedule"]
    assert [9.0] == [p.end for p in phases if p.name == "run"]


@pytest.mark.parametrize(
    ("restarts", "previous", "started"),
    [(0, None, 20.0), (1, kit.ended(1, 7.0), 7.0), (1, None, 20.0), (5, kit.ended(1, 15.0), 7.0)],
)
def test_the_first_start_counts(restarts: int, previous: Any, started: float) -> None:
    """After a restart it is told by the state before, and after more of them by the events alone."""
    state: dict[str, Any] = {"restartCount": restarts, "currentState": kit.running(20.0)}
    if previous is not None:
        state["previousState"] = previous
    facts = _facts()
    facts.accepted = 1.0
    _see(facts, state, container_events=EVENTS)
    assert started == facts.timeline()["start"].end


def test_a_group_that_was_there_before_has_no_phases_of_its_start() -> None:
    """They were somebody else's."""
    facts = _facts()
    _at(facts, 500.0)
    facts.accepted = 500.0
    _see(facts, kit.running(7.0), container_events=EVENTS)
    facts.see_ready(resolution=0.1)
    assert ["ready"] == [phase.name for phase in facts.timeline().phases]


def test_a_phase_that_was_under_way_ends_with_the_launch() -> None:
    """The timeline of an error shows in what the time went."""
    facts = _facts()
    drive(facts.begin("submit"))
    _at(facts, 3.0)
    drive(facts.begin("register"))
    _at(facts, 4.0)
    drive(facts.end("register", 3.0))
    assert "submit" == facts.phase
    _at(facts, 6.0)
    facts.close()
    facts.close()
    _at(facts, 9.0)
    assert (0.0, 6.0) == _phase(facts.timeline(), "submit")
    assert 6.0 == facts.timeline().total


def test_a_wait_that_failed_began_when_the_container_started() -> None:
    """As a wait that did not."""
    facts = _facts()
    facts.accepted = 1.0
    drive(facts.begin("ready"))
    _see(facts, kit.running(7.0), container_events=EVENTS)
    _at(facts, 30.0)
    facts.close()
    assert (7.0, 30.0) == _phase(facts.timeline(), "ready")


def test_another_region_starts_over() -> None:
    """What was seen in the first is of a group that is gone."""
    facts = _facts()
    facts.accepted = 1.0
    _see(facts, kit.running(7.0), container_events=EVENTS)
    facts.see_address(unseen_since=0.0)
    facts.start_over()
    assert () == facts.timeline().phases


def test_a_phase_that_is_repeated_is_counted() -> None:
    """The second PUT is another attempt."""
    facts = _facts()
    for _ in range(2):
        drive(facts.end("submit", drive(facts.begin("submit"))))
    assert [1, 2] == [phase.attempt for phase in facts.timeline().phases]


moments = st.none() | st.floats(-100.0, 200.0)
states = st.one_of(
    st.none(),
    st.floats(-100.0, 200.0).map(kit.running),
    st.builds(kit.ended, st.none() | st.integers(0, 255), st.floats(-100.0, 200.0)),
    st.just(kit.waiting("CrashLoopBackOff")),
)


@given(
    accepted=moments,
    address=moments,
    ready=moments,
    seen=st.lists(
        st.tuples(
            st.lists(states, min_size=1, max_size=3),
            st.lists(
                st.tuples(
                    st.sampled_from(["Pulling", "Pulled", "Started", "Killing"]),
                    st.floats(-100.0, 200.0),
                ),
                max_size=5,
            ),
            st.floats(-50.0, 50.0),
        ),
        max_size=3,
    ),
)
def test_a_timeline_is_well_formed_whatever_was_seen(
    accepted: float | None, address: float | None, ready: float | None, seen: list[Any]
) -> None:
    """No phase ends before it starts, or starts before the call; each can be shown."""
    facts = _facts()
    facts.accepted = None if accepted is None else abs(accepted)
    _at(facts, 300.0)
    for containers, events, ahead in seen:
        headers = {"date": date(300.0 + ahead)}
        facts.see_reply(ArmReply(status=200, headers=headers), sent=299.0)
        _see(facts, *containers, container_events=[event(name, at) for name, at in events])
    if address is not None:
        facts.see_address(unseen_since=address)
    if ready is not None:
        facts.see_ready(resolution=abs(ready))
    facts.close()
    timeline = facts.timeline()
    for phase in timeline.phases:
        assert 0.0 <= phase.start <= phase.end
        assert 0.0 <= phase.resolution
        if facts.accepted is not None:
            assert facts.accepted <= phase.end
    assert timeline == Timeline.from_dict(json.loads(json.dumps(timeline.to_dict())))
    assert str(timeline)


def test_what_happened_before_the_reply_came_is_shown() -> None:
    """A service may pull before its reply to the PUT has come; that is part of the launch."""
    launch = _facts()
    launch.submitted, launch.accepted = 1.0, 2.0
    launch.same_clock = True
    at = launch.began_wall
    launch.services["web"] = ServiceTimes(
        pulling=at + 1.2, pulled=at + 1.4, started=at + 3.0, event_resolution=0.001
    )
    launch.close()
    phases = {phase.name: (phase.start, phase.end) for phase in launch.timeline().phases}
    assert pytest.approx((1.2, 1.2)) == phases["schedule"]
    assert pytest.approx((1.2, 1.4)) == phases["pull"]
    assert pytest.approx((1.4, 3.0)) == phases["start"]


def test_phases_that_others_measured_are_told_once() -> None:
    """The caller's hook hears of schedule, pull, start and address as they become known."""
    launch = _facts()
    launch.same_clock, launch.submitted, launch.accepted = True, 0.0, 0.5
    at = launch.began_wall
    told: list[str] = []

    def hear() -> None:
        for command in launch.news():
            assert isinstance(command, Start)
            assert isinstance(command.effect, Notify)
            told.append(command.effect.event.name)

    launch.services["web"] = ServiceTimes(pulling=at + 1.0, event_resolution=0.001)
    hear()
    launch.see_address(unseen_since=0.0)
    launch.services["web"] = ServiceTimes(
        pulling=at + 1.0, pulled=at + 2.0, started=at + 3.0, event_resolution=0.001
    )
    hear()
    hear()
    assert ["schedule", "pull", "start", "address"] == told
    launch.start_over()
    launch.accepted = 9.0
    hear()
    assert ["schedule", "pull", "start", "address"] == told
