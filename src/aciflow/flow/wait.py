"""
Wait until a container group is ready, or certainly will not be.

ARM says how far things are and why they failed; once an address is known, the container itself is probed
and says when it is ready. Both overlap. The address is used, never the name: an FQDN is in the PUT's reply
but may not resolve for minutes, and asking early poisons the resolver's negative cache.
"""

from __future__ import annotations

import json
import re

from collections.abc import Mapping
from math import inf
from typing import cast

from attrs import define, evolve, field, frozen

from aciflow.arm.errors import operation_error
from aciflow.errors import (
    AciflowError,
    ArmError,
    GroupGoneError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    Problem,
    ProvisioningError,
    ValidationError,
)
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Cancel,
    Done,
    Effect,
    Env,
    Flow,
    HttpProbe,
    Next,
    Operation,
    ProbeResult,
    Start,
    TcpProbe,
)
from aciflow.flow.facts import Facts
from aciflow.flow.health import addressed, completed, diagnose, running, too_late
from aciflow.flow.ids import GroupRef
from aciflow.flow.inside import Inside, effect_for, inside_alone
from aciflow.flow.pace import Pace
from aciflow.flow.retry import retrying, transient
from aciflow.model import GroupState
from aciflow.ready import (
    Check,
    CompletedCheck,
    HttpCheck,
    LogCheck,
    ProbeCheck,
    Ready,
    RunningCheck,
    TcpCheck,
)


__all__ = [
    "MAPPED_HEADER",
    "MOST_MISSES",
    "Mapped",
    "Waited",
    "default_ready",
    "operation_failure",
    "parse_mapped",
    "wait_ready",
]

MAPPED_HEADER = "x-aciflow-mapped"
EXPOSED_HEADER = "x-aciflow-exposed"
# Probes that may be under way at once: at four a second and 2 s each there are never more.
MOST_PROBES = 8
# A group that was accepted may not be found for a moment; after so many reads it is gone.
MOST_MISSES = 3
# Seconds to find out why an operation failed.
REASON = 10.0

Mapped = Mapping[int, tuple[str, int]]


@frozen(kw_only=True)
class Waited:
    """
    What was seen last.

    Attributes:
        state: The container group.
        mapped: Ports that are reached elsewhere than on its address: port to (host, port).
    """

    state: GroupState
    mapped: Mapped


def default_ready(ports: tuple[int, ...], *, reachable: bool) -> Ready:
    """The first TCP port answers, or the containers run where there is no port to ask."""
    return Ready.tcp(ports[0]) if reachable and ports else Ready.running()


def wait_ready(
    env: Env,
    *,
    ref: GroupRef,
    ready: Ready,
    facts: Facts,
    pace: Pace,
    deadline: float,
    operation_url: str | None = None,
) -> Flow[Waited]:
    """
    Wait.

    Args:
        env: Clock and random generator.
        ref: The container group.
        ready: What to wait for.
        facts: Filled in; ``facts.accepted`` is when the wait begins to count.
        pace: How often to ask whom.
        deadline: On the flow's clock.
        operation_url: Of the PUT's operation, which may know why provisioning failed.

    Raises:
        LaunchError: It will not be ready, or was not in time.
        ArmError: ARM refused to tell, or the operation failed with a reason.
        GroupGoneError: It disappeared.
    """
    waiter = _Waiter(env=env, ref=ref, ready=ready, facts=facts, pace=pace, deadline=deadline)
    try:
        yield from waiter.run()
    except (ProvisioningError, NotReadyError, GroupGoneError) as error:
        # The PUT's operation may know a better reason.
        if operation_url is not None and not waiter.provisioned:
            reason = yield from operation_failure(env, operation_url)
            if reason is not None:
                raise reason from error
        raise
    return Waited(state=cast("GroupState", waiter.state), mapped=waiter.mapped)


def operation_failure(env: Env, url: str) -> Flow[ArmError | None]:
    """Why an operation failed, if it did; ``None`` also where ARM does not tell."""
    call = ArmCall(operation="operation.get", url=url, timeout=REASON)
    try:
        reply: ArmReply = yield from retrying(env, call, deadline=env.clock.now() + REASON)
    except AciflowError:
        return None  # the view of the group has said enough
    failed = isinstance(reply.body, dict) and reply.body.get("status") in ("Failed", "Canceled")
    return operation_error(reply.body) if failed else None


@define(kw_only=True)
class _Waiter:
    env: Env
    ref: GroupRef
    ready: Ready
    facts: Facts
    pace: Pace
    deadline: float
    state: GroupState | None = None
    mapped: Mapped = field(factory=dict)
    exposed: str = ""
    accepted: float = field(init=False)
    met: set[Check] = field(init=False, factory=set)
    probes: dict[int, tuple[ProbeCheck, float]] = field(init=False, factory=dict)
    outcomes: dict[Check, ProbeResult] = field(init=False, factory=dict)
    last_probe: float | None = field(init=False, default=None)
    turn: int = field(init=False, default=0)
    read: int | None = field(init=False, default=None)
    read_sent: float = field(init=False, default=0.0)
    last_read: float = field(init=False, default=0.0)
    next_read: float = field(init=False)
    misses: int = field(init=False, default=0)
    trouble: AciflowError | None = field(init=False, default=None)
    log: tuple[int, LogCheck, float] | None = field(init=False, default=None)
    next_log: float = field(init=False, default=0.0)
    logs_read: dict[LogCheck, float] = field(init=False, factory=dict)
    ended: float | None = field(init=False, default=None)
    running_since: float | None = field(init=False, default=None)
    told: str = field(init=False, default="")
    inside: Inside = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.inside = Inside(ref=self.ref, pace=self.pace)
        self.accepted = self.facts.began + (self.facts.accepted or 0.0)
        self.last_read = self.accepted
        self.next_read = self.accepted + self.pace.first_read

    @property
    def provisioned(self) -> bool:
        """Whether the service has said that it has done its part."""
        return self.state is not None and self.state.provisioning_state == "Succeeded"

    def run(self) -> Flow[None]:
        """Until every check is met."""
        while self.state is None or self._open():
            now = self.env.clock.now()
            if now >= self.deadline:
                raise self._too_late()
            due = yield from self._start_what_is_due(now)
            done = cast("Done | None", (yield Next(due)))
            if done is not None:
                yield from self._take(done)
        log = self.log and self.log[0]
        command = self.inside.under_way and self.inside.under_way[0]
        for token in (*self.probes, self.read, log, command):
            if token is not None:
                yield Cancel(token)

    # --- what to do next ------------------------------------------------------------------

    def _start_what_is_due(self, now: float) -> Flow[float]:
        """Start reads and probes whose time has come; returns when the next one's comes."""
        due = self.deadline
        if self.read is None:
            if now >= self.next_read:
                self.read_sent = now
                self.read = yield Start(self._call("group.get"))
            else:
                due = min(due, self.next_read)
        check = self._log_check()
        if check is not None and self.log is None:
            if now >= self.next_log:
                self.log = (yield Start(self._log_call(check))), check, now
            else:
                due = min(due, self.next_log)
        probe = self._probe()
        if probe is not None and len(self.probes) < MOST_PROBES:
            next_probe = now if self.last_probe is None else self.last_probe + self.pace.probe
            if now >= next_probe:
                token = yield Start(probe[1])
                self.probes[token] = (probe[0], now)
                self.last_probe, next_probe = now, now + self.pace.probe
                self.turn += 1
            due = min(due, next_probe)
        if self.inside.under_way is None:
            due = min(due, (yield from self._start_inside(now)))
        return due

    def _start_inside(self, now: float) -> Flow[float]:
        """Start a command in the container, if one is wanted now; returns when the next one may be."""
        wanted = self.inside.wanted(
            self._open(), self.state, self.running_since, now, self.outcomes
        )
        if wanted is None:
            since = self.running_since
            return inf if since is None else max(since, now) + self.pace.inside
        check, at = wanted
        if now < at:
            return at
        state = cast("GroupState", self.state)
        port = None
        if isinstance(check, TcpCheck | HttpCheck):
            port = check.port or self._first_port(state)
        token = yield Start(effect_for(check, state, self.ref, port))
        self.inside.begin(check, token, now)
        return inf

    def _call(self, operation: Operation) -> ArmCall:
        return ArmCall(
            operation=operation,
            resource_group=self.ref.resource_group.name,
            name=self.ref.name,
        )

    def _log_check(self) -> LogCheck | None:
        if self.state is None or not any(s.current for s in self.state.containers):
            return None
        checks = [c for c in self._open() if isinstance(c, LogCheck)]
        return min(checks, key=lambda check: self.logs_read.get(check, -inf), default=None)

    def _log_call(self, check: LogCheck) -> ArmCall:
        state = cast("GroupState", self.state)
        return evolve(
            self._call("group.logs"), container=check.container or state.containers[0].name
        )

    def _open(self) -> list[Check]:
        return [check for check in self.ready.checks if check not in self.met]

    def _probe(self) -> tuple[ProbeCheck, Effect] | None:
        """The next probe, in turn where there are several checks; ``None`` without an address."""
        checks = self._asked_from_here()
        if not checks or self.state is None or self.state.ip is None:
            return None
        check = checks[self.turn % len(checks)]
        port = check.port or self._first_port(self.state)
        host, port = self.mapped.get(port, (self.state.ip, port))
        if isinstance(check, TcpCheck):
            return check, TcpProbe(host=host, port=port, timeout=check.timeout)
        return check, HttpProbe(
            host=host, port=port, path=check.path, status=check.status, timeout=check.timeout
        )

    def _asked_from_here(self) -> list[ProbeCheck]:
        checks = [c for c in self._open() if isinstance(c, TcpCheck | HttpCheck)]
        return [check for check in checks if not inside_alone(check)]

    def _first_port(self, state: GroupState) -> int:
        port = next((port.port for port in state.ports if port.protocol == "TCP"), None)
        if port is None:
            raise ValidationError(
                [
                    Problem(
                        field="ready",
                        message=f"container group '{state.name}' has no TCP port on an address",
                    )
                ]
            )
        return port

    # --- what came of it ------------------------------------------------------------------

    def _take(self, done: Done) -> Flow[None]:
        if done.token == self.read:
            self.read = None
            yield from self._take_read(done)
        elif self.log is not None and done.token == self.log[0]:
            _, check, sent = self.log
            self.log = None
            self._take_log(check, sent, done)
        elif self.inside.under_way is not None and done.token == self.inside.under_way[0]:
            looked, result, sent = self.inside.take(done, self.env.clock.now())
            if result.ready and looked not in self.met:
                self.met.add(looked)
                self.facts.see_ready(resolution=self.pace.inside + (self.env.clock.now() - sent))
        elif done.token in self.probes:
            probed, sent = self.probes.pop(done.token)
            result = cast("ProbeResult", done.result())
            self.outcomes[probed] = result
            if result.ready and probed not in self.met:
                self.met.add(probed)
                self.facts.see_ready(resolution=self.pace.probe + (self.env.clock.now() - sent))

    def _take_read(self, done: Done) -> Flow[None]:
        now = self.env.clock.now()
        try:
            reply: ArmReply = done.result()
        except NotFoundError as error:
            self.misses += 1
            if self.misses >= MOST_MISSES:
                raise GroupGoneError(f"{self.ref.id} does not exist any more") from error
            self.next_read = now + self._read_interval(now)
            return
        except AciflowError as error:
            if not transient(error):
                raise
            pause = self.pace.watch_interval(now - self.accepted)
            self._trouble(error, now + self.env.random.uniform(0.5, 1.0) * pause)
            return
        unseen_since, self.last_read = self.last_read, now
        self.misses, self.trouble = 0, None
        state = GroupState.from_arm(reply.body)
        self.facts.see_reply(reply, sent=self.read_sent - self.facts.began)
        self.facts.see_state(state, reply.headers)
        self.mapped = parse_mapped(reply.headers.get(MAPPED_HEADER))
        self.exposed = reply.headers.get(EXPOSED_HEADER, "")
        if state.ip is not None and (self.state is None or self.state.ip is None):
            self.facts.see_address(unseen_since=unseen_since - self.facts.began)
        self.state = state
        probing = [c for c in self._open() if isinstance(c, TcpCheck | HttpCheck)]
        if any(check.port is None or not inside_alone(check) for check in probing):
            self._first_port(state)  # there must be one, or it would never be ready
        yield from self._tell(state)
        yield from self.facts.news()
        self.next_read = now + self._read_interval(now)
        self._judge(state, now, unseen_since)

    def _trouble(self, error: AciflowError, again: float) -> None:
        """ARM does not tell now. What it says of when to come back holds for every kind of read."""
        self.trouble = error
        self.next_read = max(self.next_read, again)
        if isinstance(error, ArmError) and error.retry_after:
            self.next_read = self.env.clock.now() + error.retry_after
            self.next_log = max(self.next_log, self.next_read)

    def _judge(self, state: GroupState, now: float, unseen_since: float) -> None:
        """Which of the checks that ARM decides are met; whether it is hopeless."""
        if running(state):
            self.running_since = now if self.running_since is None else self.running_since
        else:
            self.running_since = None
        done = completed(state)
        ran = done or (running(state) and addressed(state))
        for check, met in ((RunningCheck(), ran), (CompletedCheck(), done)):
            if check in self.ready.checks:
                (self.met.add if met else self.met.discard)(check)
                if met:
                    self.facts.see_ready(resolution=now - unseen_since)
        waiting = self._open()
        if not waiting:
            return
        for_ = None if self.running_since is None else now - self.running_since
        error = diagnose(state, wants_completion=CompletedCheck() in waiting, running_for=for_)
        if error is None:
            return
        if done:
            # It ended well, and may have written the awaited line: its log is read once more.
            if self.ended is None:
                self.ended = self.next_log = now
            if any(
                self.logs_read.get(c, -inf) < self.ended for c in waiting if isinstance(c, LogCheck)
            ):
                return
        raise error

    def _take_log(self, check: LogCheck, sent: float, done: Done) -> None:
        now = self.env.clock.now()
        self.next_log = now + self.pace.lines
        try:
            reply: ArmReply = done.result()
        except (NotFoundError, InvalidRequestError) as error:
            self.trouble = error  # a container that has just started has no log yet
            return
        except AciflowError as error:
            if not transient(error):
                raise
            self._trouble(error, self.next_read)
            return
        self.logs_read[check] = sent
        content = (reply.body or {}).get("content") or ""
        if any(re.search(check.pattern, line) for line in content.splitlines()):
            self.met.add(check)
            self.facts.see_ready(resolution=self.pace.lines)

    def _read_interval(self, now: float) -> float:
        since = max(0.0, now - self.accepted)
        if self._probe() is not None or self._log_check() is not None or self.inside.began:
            return self.pace.watch_interval(since)
        return self.pace.read_interval(since)

    def _tell(self, state: GroupState) -> Flow[None]:
        words = state.state or state.provisioning_state
        for status in state.containers:
            latest = max(status.events, key=lambda event: event.first, default=None)
            if status.current is not None:
                words = f"{status.name} {status.current.state.lower()}"
            elif latest is not None:
                words = f"{status.name}: {latest.message}"
        if state.ip is not None:
            words += f", {state.ip}"
        if words != self.told:
            self.told = words
            yield from self.facts.note(words)

    def _too_late(self) -> AciflowError:
        took = self.env.clock.now() - self.facts.began
        waiting = " and ".join(str(check) for check in self._open()) or "ARM"
        # What was seen inside says more than that nothing was seen from here.
        seen: dict[Check, ProbeResult] = {**self.outcomes, **self.inside.outcomes}
        return too_late(
            self.ref.name,
            f"is not ready after {took:.0f} s: waiting for {waiting}",
            self.state,
            [result for check, result in seen.items() if check not in self.met],
            self.trouble,
            self.exposed,
        )


def parse_mapped(header: str | None) -> Mapped:
    """Where the local endpoint's ports are, for engines whose addresses cannot be reached from here."""
    if header is None:
        return {}
    return {int(port): (str(where[0]), int(where[1])) for port, where in json.loads(header).items()}
