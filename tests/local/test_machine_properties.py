"""
The group controller under anything: requests and observations in any order.

A model of a faithful runtime keeps what it was asked for; Hypothesis decides what it answers and when,
repeats itself, tells of strangers, and lets time pass.
"""

from __future__ import annotations

import json

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aciflow.local.groups.desired import Desired
from aciflow.local.groups.machine import PROVISIONING_TIMEOUT, GroupMachine
from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    ContainerRun,
    Exited,
    Observation,
    OpenSandbox,
    PortSpec,
    Pulled,
    PullFailed,
    PullImage,
    PullStarted,
    SandboxFailed,
    SandboxReady,
    StartContainer,
    Started,
    StartFailed,
    StopContainer,
)


UID = "uid-1"
CONTAINER = st.sampled_from(["init", "a", "b", "stranger"])


class AnyGroup(RuleBasedStateMachine):
    """One group, one faithful runtime, and no order at all."""

    @initialize(
        policy=st.sampled_from(["Always", "OnFailure", "Never"]),
        init=st.booleans(),
        at_rest=st.booleans(),
    )
    def accept(self, policy: str, init: bool, at_rest: bool) -> None:
        self.at_rest = at_rest
        self.now = 1000.0
        self.desired = Desired(
            resource_id="/subscriptions/s/x",
            name="g",
            restart_policy=policy,
            init=(ContainerRun(name="init", image="i", init=True),) if init else (),
            main=(ContainerRun(name="a", image="i:1"), ContainerRun(name="b", image="r.io/i@d")),
            ports=(PortSpec(port=80),),
        )
        self.machine = GroupMachine(UID, self.desired, self.now)
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
        self.do(self.machine.begin(self.now))

    # --- the faithful runtime --------------------------------------------------------------

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

    def tell(self, seen: Observation) -> None:
        self.told.append(seen)
        self.do(self.machine.observe(seen, self.now))

    # --- rules -----------------------------------------------------------------------------

    @rule(seconds=st.floats(0, 400))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.machine.wake(self.now))
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
    @rule(good=st.sampled_from([True, True, False]))
    def start_is_done(self, good: bool) -> None:
        name, attempt = self.starting.pop(0)
        if good:
            self.running[name] = attempt
            self.tell(
                Started(uid=UID, container=name, at=self.now, container_id="c", attempt=attempt)
            )
        else:
            self.tell(
                StartFailed(uid=UID, container=name, at=self.now, message="no", attempt=attempt)
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
        """Ends and starts of an attempt may be told twice; they change nothing."""
        old = [seen for seen in self.told if isinstance(seen, Started | Exited | StartFailed)]
        if old:
            seen = data.draw(st.sampled_from(old))
            if (seen.container, seen.attempt) not in self.starting:
                self.do(self.machine.observe(seen, self.now))

    @rule(name=CONTAINER, attempt=st.integers(90, 99))
    def somebody_elses_story(self, name: str, attempt: int) -> None:
        before = self.machine.dump()
        for seen in (
            Exited(uid=UID, container=name, at=self.now, exit_code=1, attempt=attempt),
            Started(uid=UID, container=name, at=self.now, container_id="x", attempt=attempt),
        ):
            assert not self.machine.observe(seen, self.now)
        assert {**before, "seen": True} == {**self.machine.dump(), "seen": True}

    @rule(verb=st.sampled_from(["stop", "start", "restart"]))
    def request(self, verb: str) -> None:
        self.do(getattr(self.machine, verb)(self.now))

    @rule()
    def save_and_load(self) -> None:
        saved = json.loads(json.dumps(self.machine.dump()))
        self.machine = GroupMachine.load(self.desired, saved)
        again = {type(action) for action in self.machine.resume()}
        assert not self.starting or StartContainer in again or self.closes
        assert not self.pulling or PullImage in again or self.closes
        assert not (self.opening or self.sandboxes) or OpenSandbox in again or self.closes
        assert json.loads(json.dumps(self.machine.dump())) == saved

    @precondition(lambda self: not self.closes)
    @rule(sure=st.sampled_from([False, False, False, True]))
    def delete(self, sure: bool) -> None:
        if sure:
            self.do(self.machine.close())

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

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        if not self.closes and self.at_rest:
            self._comes_to_rest()
        self.do(self.machine.close())
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
        self.do(self.machine.restart(self.now))
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
                self.do(self.machine.wake(self.now))
        assert self.machine.settled
        assert ("Succeeded", "Running") == (self.machine.provisioning_state, self.machine.state)
        assert self.machine.ip == "10.0.0.1"

    def _end(self, name: str) -> None:
        attempt = self.running.pop(name)
        self.exits[name] = 0
        self.tell(Exited(uid=UID, container=name, at=self.now, exit_code=0, attempt=attempt))


TestAnyGroup: Any = AnyGroup.TestCase
TestAnyGroup.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_provisioning_has_acis_time_limit() -> None:
    """The limit is the one that every reply states."""
    assert PROVISIONING_TIMEOUT == 1800
