"""
The group controller under anything: requests and observations in any order.

A model of a faithful runtime keeps what it was asked for; Hypothesis decides what it answers and when,
repeats itself, tells of strangers, loses answers of probes, and lets time pass. From the first reload
on, the machine that was saved goes on beside the one that was loaded, and must do the same.
"""

from __future__ import annotations

import json

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aciflow.local.groups.desired import Desired
from aciflow.local.groups.machine import PROVISIONING_TIMEOUT, GroupMachine
from aciflow.local.groups.probing import LOST_AFTER
from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    ContainerRun,
    Exited,
    Observation,
    OpenSandbox,
    PortSpec,
    Probe,
    Probed,
    ProbeKind,
    Pulled,
    PullFailed,
    PullImage,
    PullStarted,
    RunProbe,
    SandboxFailed,
    SandboxReady,
    StartContainer,
    Started,
    StartFailed,
    StopContainer,
)


UID = "uid-1"
LIVENESS = Probe(command=("true",), period=20, failure_threshold=2, timeout=3)
READINESS = Probe(port=80, initial_delay=5, period=7, success_threshold=2)
CONTAINER = st.sampled_from(["init", "a", "b", "stranger"])


class AnyGroup(RuleBasedStateMachine):
    """One group, one faithful runtime, and no order at all."""

    @initialize(
        policy=st.sampled_from(["Always", "OnFailure", "Never"]),
        init=st.booleans(),
        at_rest=st.booleans(),
        up=st.booleans(),
    )
    def accept(self, policy: str, init: bool, at_rest: bool, up: bool) -> None:
        self.at_rest = at_rest
        self.now = 1000.0
        self.desired = Desired(
            resource_id="/subscriptions/s/x",
            name="g",
            restart_policy=policy,
            init=(ContainerRun(name="init", image="i", init=True),) if init else (),
            main=(
                ContainerRun(
                    name="a",
                    image="i:1",
                    probes={"liveness": LIVENESS, "readiness": READINESS},
                ),
                ContainerRun(name="b", image="r.io/i@d"),
            ),
            ports=(PortSpec(port=80),),
        )
        self.machine = GroupMachine(UID, self.desired, self.now)
        self.twin: GroupMachine | None = None
        self.probing: dict[ProbeKind, tuple[RunProbe, float]] = {}
        self.opening = 0
        self.sandboxes = 0
        self.pulling: list[str] = []
        self.starting: list[tuple[str, int]] = []
        self.running: dict[str, int] = {}
        self.stopping: list[str] = []
        self.attempts: dict[str, int] = {}
        self.exits: dict[str, int] = {}
        self.closes = 0
        self.told: list[Observation] = []
        self.call("begin", self.now)
        if up:
            self._comes_up()

    # --- the faithful runtime --------------------------------------------------------------

    def call(self, method: str, *arguments: Any) -> None:
        """Ask the machine, and its twin, which has to do the same; take the actions."""
        actions = getattr(self.machine, method)(*arguments)
        if self.twin is not None:
            assert actions == getattr(self.twin, method)(*arguments)
            assert self.machine.dump() == self.twin.dump()
        self.do(actions)

    def do(self, actions: list[Action]) -> None:
        """Take actions, and check that each makes sense now."""
        for action in actions:
            assert action.uid == UID
            assert self.closes == 0, "an action for a group that is closing"
            if isinstance(action, OpenSandbox):
                assert not self.opening
                assert {"Always": "always", "OnFailure": "on-failure", "Never": "never"}[
                    self.desired.restart_policy
                ] == action.restarts
                self.opening += 1
            elif isinstance(action, PullImage):
                assert action.container not in self.pulling
                self.pulling.append(action.container)
            elif isinstance(action, StartContainer):
                self._check_start(action)
            elif isinstance(action, StopContainer):
                assert action.container in self.running
                self.stopping.append(action.container)
            elif isinstance(action, RunProbe):
                self._check_probe(action)
            elif isinstance(action, CloseSandbox):
                self.closes += 1

    def _check_start(self, action: StartContainer) -> None:
        name = action.run.name
        assert action.attempt == self.attempts.get(name, -1) + 1, "an attempt twice, or left out"
        assert name not in self.running, "a second process of one container"
        assert name not in {started for started, _ in self.starting}
        if action.run.init:
            assert not {"a", "b"} & set(self.running), "an init container beside the others"
        elif self.desired.init:
            assert self.exits.get("init") == 0, "begun without the init container's success"
        self.attempts[name] = action.attempt
        self.starting.append((name, action.attempt))

    def _check_probe(self, action: RunProbe) -> None:
        assert self.running.get(action.container) == action.attempt, "a probe of what does not run"
        assert action.container not in self.stopping, "a probe of what is being stopped"
        before = self.probing.get(action.kind)
        if before is None or before[0].attempt != action.attempt:
            assert action.number == 0 or before is None
        else:
            asked, at = before
            assert action.number == asked.number + 1
            assert self.now >= at + asked.probe.timeout + LOST_AFTER, "two probes at a time"
        self.probing[action.kind] = action, self.now

    def tell(self, seen: Observation) -> None:
        self.told.append(seen)
        self.call("observe", seen, self.now)

    # --- rules -----------------------------------------------------------------------------

    @rule(seconds=st.one_of(st.sampled_from([5.0, 7.0, 14.0, 20.0]), st.floats(0, 400)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.call("wake", self.now)
        wake = self.machine.next_wake
        assert wake is None or wake > self.now, "asked to be woken in the past, for ever"

    @precondition(lambda self: self.opening)
    @rule(good=st.booleans())
    def sandbox(self, good: bool) -> None:
        self.opening -= 1
        self.sandboxes += good
        if good:
            self.tell(SandboxReady(uid=UID, at=self.now, ip="10.0.0.1", mapped={80: ("h", 1)}))
        else:
            self.tell(SandboxFailed(uid=UID, at=self.now, message="no"))

    @precondition(lambda self: self.pulling)
    @rule(data=st.data(), good=st.sampled_from([True, True, False]), told=st.booleans())
    def pull(self, data: st.DataObject, good: bool, told: bool) -> None:
        name = data.draw(st.sampled_from(self.pulling))
        self.pulling.remove(name)
        if told:
            self.tell(PullStarted(uid=UID, container=name, at=self.now, digest="sha256:1"))
        if good:
            self.tell(Pulled(uid=UID, container=name, at=self.now))
        else:
            self.tell(PullFailed(uid=UID, container=name, at=self.now, message="no"))

    @precondition(lambda self: self.starting)
    @rule(good=st.sampled_from([True, True, False]), volume=st.sampled_from(["", "data"]))
    def start_is_done(self, good: bool, volume: str = "") -> None:
        name, attempt = self.starting.pop(0)
        if good:
            self.running[name] = attempt
            self.tell(
                Started(uid=UID, container=name, at=self.now, container_id="c", attempt=attempt)
            )
        else:
            failed = StartFailed(
                uid=UID, container=name, at=self.now, message="no", attempt=attempt, volume=volume
            )
            self.tell(failed)

    @precondition(lambda self: self.probing)
    @rule(
        data=st.data(),
        ok=st.sampled_from([True, False, False]),
        lost=st.sampled_from([False, False, True]),
    )
    def a_probe_answers(self, data: st.DataObject, ok: bool, lost: bool) -> None:
        """One that was asked long ago may answer too; one whose container has ended does not."""
        kind = data.draw(st.sampled_from(sorted(self.probing)))
        asked, _ = self.probing[kind]
        if lost:
            return
        del self.probing[kind]
        if self.running.get(asked.container) == asked.attempt:
            self.tell(
                Probed(
                    uid=UID,
                    container=asked.container,
                    at=self.now,
                    kind=kind,
                    ok=ok,
                    message="" if ok else "no",
                    attempt=asked.attempt,
                    number=asked.number,
                )
            )

    @precondition(lambda self: self.running)
    @rule(data=st.data(), code=st.sampled_from([0, 1, 137]), oom=st.booleans())
    def a_container_ends(self, data: st.DataObject, code: int, oom: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        attempt = self.running.pop(name)
        self.stopping = [each for each in self.stopping if each != name]
        self.exits[name] = code
        self.tell(
            Exited(
                uid=UID,
                container=name,
                at=self.now,
                exit_code=code,
                attempt=attempt,
                oom_killed=oom,
            )
        )

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def an_old_story_again(self, data: st.DataObject) -> None:
        """Ends, starts and probes of an attempt may be told twice; they change nothing."""
        old = [
            seen for seen in self.told if isinstance(seen, Started | Exited | StartFailed | Probed)
        ]
        if old:
            seen = data.draw(st.sampled_from(old))
            if (seen.container, seen.attempt) not in self.starting:
                self.call("observe", seen, self.now)

    @rule(name=CONTAINER, attempt=st.integers(90, 99))
    def somebody_elses_story(self, name: str, attempt: int) -> None:
        before = self.machine.dump()
        for seen in (
            Exited(uid=UID, container=name, at=self.now, exit_code=1, attempt=attempt),
            Started(uid=UID, container=name, at=self.now, container_id="x", attempt=attempt),
            Probed(
                uid=UID, container=name, at=self.now, kind="liveness", ok=False, attempt=attempt
            ),
        ):
            assert not self.machine.observe(seen, self.now)
            assert self.twin is None or not self.twin.observe(seen, self.now)
        assert {**before, "seen": True} == {**self.machine.dump(), "seen": True}

    @rule(verb=st.sampled_from(["stop", "start", "restart"]))
    def request(self, verb: str) -> None:
        self.call(verb, self.now)

    @rule(sure=st.sampled_from([False, False, False, True]))
    def the_service_fails(self, sure: bool) -> None:
        if sure:
            self.call("fail", "InsufficientCapacity.", "no room", self.now)

    @rule()
    def save_and_load(self) -> None:
        saved = json.loads(json.dumps(self.machine.dump()))
        if self.twin is None:
            self.twin = self.machine
        self.machine = GroupMachine.load(self.desired, saved)
        resumed = self.machine.resume()
        again = {type(action) for action in resumed}
        probes = {(each.kind, each.number) for each in resumed if isinstance(each, RunProbe)}
        waited = {
            (kind, prober.number)
            for record in self.machine.main
            for kind, prober in record.probers.items()
            if prober.asked is not None
        }
        assert probes == waited or self.closes
        assert not self.starting or StartContainer in again or self.closes
        assert not self.pulling or PullImage in again or self.closes
        assert not (self.opening or self.sandboxes) or OpenSandbox in again or self.closes
        assert json.loads(json.dumps(self.machine.dump())) == saved

    @precondition(lambda self: not self.closes)
    @rule(sure=st.sampled_from([False, False, False, True]))
    def delete(self, sure: bool) -> None:
        if sure:
            self.call("close")

    # --- always ----------------------------------------------------------------------------

    @invariant()
    def what_it_shows_is_sound(self) -> None:
        machine = self.machine
        assert machine.provisioning_state in {"Pending", "Creating", "Succeeded", "Failed"}
        assert machine.state in {"Pending", "Running", "Succeeded", "Failed", "Stopped"}
        for record in (*machine.init, *machine.main):
            view = record.instance_view()
            json.dumps(view)
            assert view is None or view.get("events") != []
            if view and "previousState" in view:
                assert view["previousState"]["state"] in ("Terminated", "Running")
        if machine.state == "Stopped":
            assert not self.running

    @invariant()
    def no_restart_is_lost(self) -> None:
        machine = self.machine
        if machine.given_up or machine._intent != "run":
            return
        wake = machine.next_wake
        for record in machine.main:
            if self.desired.restart_policy == "Always":
                assert record.phase != "ended"
            if record.phase in ("waiting", "unpulled"):
                assert wake is not None
                assert record.retry_at is not None
                assert wake <= record.retry_at

    @invariant()
    def what_runs_is_probed(self) -> None:
        machine = self.machine
        for record in machine.main:
            for prober in record.probers.values():
                assert (prober.due is not None) is (record.phase == "running")
                if prober.wake is not None and machine._intent == "run":
                    assert machine.next_wake is not None
                    assert machine.next_wake <= prober.wake

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        if not self.closes and self.at_rest:
            self._comes_to_rest()
        self.call("close")
        while self.starting:  # what was under way is answered, and leads to nothing
            self.start_is_done(True)
        for seen in [*self.told, Closed(uid=UID, at=self.now)]:
            assert not self.machine.observe(seen, self.now)
        assert self.closes == 1
        assert self.machine.closed
        assert self.machine.next_wake is None
        assert not self.machine.wake(self.now + 1e6)
        for verb in ("stop", "start", "restart"):
            assert not getattr(self.machine, verb)(self.now)
        assert not self.machine.close()

    def _comes_to_rest(self) -> None:
        """With a runtime that does what it is asked, a restart ends in a group that is up."""
        self.call("restart", self.now)
        self._comes_up()

    def _comes_up(self) -> None:
        for _ in range(200):
            if self.opening:
                self.sandbox(True)
            elif self.pulling:
                name = self.pulling.pop()
                self.tell(Pulled(uid=UID, container=name, at=self.now))
            elif self.stopping or "init" in self.running:
                name = self.stopping.pop() if self.stopping else "init"
                self._end(name)
            elif self.starting:
                self.start_is_done(True)
            elif self.machine.settled:
                break
            else:
                self.now = (self.machine.next_wake or self.now) + 0.1
                self.call("wake", self.now)
        assert self.machine.settled
        assert ("Succeeded", "Running") == (self.machine.provisioning_state, self.machine.state)
        assert self.machine.ip == "10.0.0.1"

    def _end(self, name: str) -> None:
        attempt = self.running.pop(name)
        self.exits[name] = 0
        self.tell(Exited(uid=UID, container=name, at=self.now, exit_code=0, attempt=attempt))


TestAnyGroup: Any = AnyGroup.TestCase
TestAnyGroup.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_provisioning_has_acis_time_limit() -> None:
    """The limit is the one that every reply states."""
    assert PROVISIONING_TIMEOUT == 1800
