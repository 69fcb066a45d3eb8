"""
ACI's timing without containers, pure: an action and its time in, observations with their times out.

How long each step of a start takes is in :mod:`~aciflow.local.runtime.starts`; how long after its start
a container serves, ``serving_delay`` says.

No process runs: an HTTP probe succeeds once its container serves, a command always, unless the trace
says otherwise. Volumes of every kind are taken to be there.
"""

from __future__ import annotations

import math
import random

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import define, field

from aciflow.local.groups.times import milliseconds
from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    Exited,
    ImageAnswer,
    ListImages,
    Observation,
    OpenSandbox,
    Probed,
    Pulled,
    PullFailed,
    PullImage,
    PullStarted,
    Question,
    ReadLogs,
    RunProbe,
    SandboxReady,
    StartContainer,
    Started,
    StopContainer,
)
from aciflow.local.runtime.starts import (
    Start,
    Traces,
    draw_job,
    draw_serving_delay,
    draw_start,
)


__all__ = ["Simulation"]


STOPPING = 0.5
"""Seconds from SIGTERM to the end of a container."""

CLOSING = 3.0
"""Seconds that a deletion takes (recorded: 3 to 4)."""

PROBING = 0.005
"""Seconds that a probe takes."""

RESTARTING = 0.5
"""Seconds from the order to start a container anew to its start, with its image there."""


@define
class _Run:
    """One start of one container."""

    started: float
    serves: float
    ends: float
    attempt: int
    exit_code: int
    container_id: str


@define
class _Group:
    """What is simulated of one group."""

    opened: float
    plan: Start
    rng: random.Random
    ip: str
    ports: frozenset[int]
    restarts: str
    runs: dict[str, _Run] = field(factory=dict)
    logs: dict[str, list[tuple[float, str]]] = field(factory=dict)
    inits: set[str] = field(factory=set)


class Simulation:
    """
    Simulated ACI, for one endpoint.

    Deterministic: the n-th group that is opened gets the n-th trace (they repeat), or draws that depend
    on the seed and n alone.

    Args:
        traces: Recorded starts, as rows or as a document that has them under ``starts``; ``None`` for
            the default distribution.
        seed: For everything that is drawn.
        ip_visible: When the address appears: as soon as the group is ``Creating``, which is recorded
            once, or only when a container runs.
        serving_delay: Seconds from a container's start until it serves, or a function that draws them.
    """

    def __init__(
        self,
        *,
        traces: Traces | None = None,
        seed: int = 0,
        ip_visible: Literal["creating", "running"] = "creating",
        serving_delay: float | Callable[[random.Random], float] = draw_serving_delay,
    ) -> None:
        rows = traces["starts"] if isinstance(traces, Mapping) else traces
        self._plans = [Start.from_trace(trace) for trace in rows] if rows else None
        self._seed = seed
        self._ip_visible = ip_visible
        self._serving_delay = serving_delay
        self._groups: dict[str, _Group] = {}
        self._by_ip: dict[str, _Group] = {}
        self._opened = 0

    def schedule(self, action: Action, now: float) -> list[tuple[float, Observation]]:
        """
        What comes of an action.

        Observations of a group that is closed later are still in the caller's hands; the endpoint
        ignores what it is told of a group that it is closing, so they need not be taken back.

        Returns:
            Pairs of a time, not before ``now``, and what is observed then.
        """
        if isinstance(action, OpenSandbox):
            return self._open(action, now)
        if isinstance(action, CloseSandbox):
            group = self._groups.pop(action.uid, None)
            if group is not None:
                self._by_ip.pop(group.ip, None)
            done = now + (CLOSING if group is not None else 0.0)
            return [(done, Closed(uid=action.uid, at=done))]
        group = self._groups.get(action.uid)
        if group is None:
            return []
        if isinstance(action, PullImage):
            return self._pull(action, group, now)
        if isinstance(action, StartContainer):
            return self._start(action, group, now)
        if isinstance(action, RunProbe):
            return self._probe(action, group, now)
        return self._stop(action, group, now)

    def answer(self, question: Question) -> Any:
        """Every image can be had, and none is here; logs are those of the traces."""
        if isinstance(question, ReadLogs):
            return self._read(question)
        if isinstance(question, ListImages):
            return ()
        return tuple(ImageAnswer(image=image) for image in question.images)

    def serving(self, ip: str, port: int, now: float) -> bool:
        """Whether a connection to ``ip:port`` would be answered by an application at ``now``."""
        group = self._by_ip.get(ip)
        if group is None or port not in group.ports:
            return False
        return any(
            run.serves <= now < run.ends
            for name, run in group.runs.items()
            if name not in group.inits
        )

    def routed(self, ip: str) -> bool:
        """Whether there is anything at an address."""
        return ip in self._by_ip

    def runs(self, uid: str, container: str, now: float) -> int | None:
        """Which attempt of a container runs at ``now``, if any."""
        group = self._groups.get(uid)
        run = group.runs.get(container) if group is not None else None
        if run is None or not run.started <= now < run.ends:
            return None
        return run.attempt

    def written(self, uid: str, container: str, now: float) -> list[str]:
        """What each start of a container has written until ``now``."""
        group = self._groups.get(uid)
        logs = group.logs.get(container, []) if group is not None else []
        return [text for at, text in logs if at <= now]

    def served_since(self, uid: str) -> float | None:
        """When the first of a group's running containers began, or will begin, to serve."""
        group = self._groups.get(uid)
        runs = (
            [run.serves for name, run in group.runs.items() if name not in group.inits]
            if group
            else []
        )
        return min(runs, default=None)

    # --- inside ----------------------------------------------------------------------------

    def _open(self, action: OpenSandbox, now: float) -> list[tuple[float, Observation]]:
        group = self._groups.get(action.uid)
        if group is None:
            number = self._opened
            self._opened += 1
            rng = random.Random(f"{self._seed}/{number}")
            plans = self._plans
            group = _Group(
                opened=now,
                plan=plans[number % len(plans)] if plans else draw_start(rng),
                rng=rng,
                ip=_address(number),
                ports=frozenset(port.port for port in action.ports),
                restarts=action.restarts,
            )
            self._groups[action.uid] = group
            self._by_ip[group.ip] = group
        at = max(group.opened + group.plan.pulling, now)
        early = group.ports and self._ip_visible == "creating"
        ready = SandboxReady(uid=action.uid, at=at, ip=group.ip if early else None)
        return [(at, ready)]

    def _pull(
        self, action: PullImage, group: _Group, now: float
    ) -> list[tuple[float, Observation]]:
        plan = group.plan
        begins = max(group.opened + plan.pulling, now)
        ends = begins + plan.pulled - plan.pulling
        seen: list[tuple[float, Observation]] = [
            (begins, PullStarted(uid=action.uid, container=action.container, at=begins))
        ]
        if plan.pull_error is not None:
            failed = PullFailed(
                uid=action.uid, container=action.container, at=ends, message=plan.pull_error
            )
            return [*seen, (ends, failed)]
        return [*seen, (ends, Pulled(uid=action.uid, container=action.container, at=ends))]

    def _start(
        self, action: StartContainer, group: _Group, now: float
    ) -> list[tuple[float, Observation]]:
        name = action.run.name
        plan = group.plan
        known = group.runs.get(name)
        if known is not None and known.attempt == action.attempt:  # given again: answered again
            return self._report(action, group, known, now)
        begin = plan.started - plan.pulled if known is None else RESTARTING
        if action.run.init:
            begin = min(begin, RESTARTING)
            group.inits.add(name)
        delay = self._serving_delay
        serving = delay if isinstance(delay, int | float) else delay(group.rng)
        lasts = plan.exits_after
        if action.run.init and lasts is None:
            lasts = STOPPING
        if lasts is None and group.restarts == "never" and not group.ports:
            lasts = draw_job(group.rng)  # what is not to be restarted and serves nobody is a job
        started = now + begin
        ends = started + lasts if lasts is not None else math.inf
        code = 0 if action.run.init and plan.exits_after is None else plan.exit_code
        run = _Run(
            started=started,
            serves=started + serving,
            ends=ends,
            attempt=action.attempt,
            exit_code=code,
            container_id=f"{group.rng.getrandbits(256):064x}",
        )
        group.runs[name] = run
        group.logs.setdefault(name, []).append((started, plan.logs))
        return self._report(action, group, run, now)

    def _report(
        self, action: StartContainer, group: _Group, run: _Run, now: float
    ) -> list[tuple[float, Observation]]:
        uid, name = action.uid, action.run.name
        started = max(run.started, now)
        seen: list[tuple[float, Observation]] = []
        if group.ports and self._ip_visible == "running":
            seen.append((started, SandboxReady(uid=uid, at=started, ip=group.ip)))
        seen.append(
            (
                started,
                Started(
                    uid=uid,
                    container=name,
                    at=started,
                    container_id=run.container_id,
                    attempt=run.attempt,
                ),
            )
        )
        if run.ends < math.inf:
            ends = max(run.ends, now)
            seen.append((ends, self._exit(uid, name, ends, run.exit_code, run.attempt)))
        return seen

    def _stop(
        self, action: StopContainer, group: _Group, now: float
    ) -> list[tuple[float, Observation]]:
        run = group.runs.get(action.container)
        if run is None or run.ends <= now:
            return []
        ends = max(now, run.started) + STOPPING
        run.ends = min(run.ends, ends)
        return [(ends, self._exit(action.uid, action.container, ends, 137, run.attempt))]

    def _probe(
        self, action: RunProbe, group: _Group, now: float
    ) -> list[tuple[float, Observation]]:
        run = group.runs.get(action.container)
        at = now + PROBING
        if run is None or run.attempt != action.attempt or not run.started <= now or run.ends <= at:
            return []
        message = _complaint(action, group, run, at)
        seen = Probed(
            uid=action.uid,
            container=action.container,
            at=at,
            kind=action.kind,
            ok=not message,
            message=message,
            attempt=action.attempt,
            number=action.number,
        )
        return [(at, seen)]

    @staticmethod
    def _exit(uid: str, container: str, at: float, code: int, attempt: int) -> Exited:
        return Exited(uid=uid, container=container, at=at, exit_code=code, attempt=attempt)

    def _read(self, question: ReadLogs) -> str:
        group = self._groups.get(question.uid)
        written = group.logs.get(question.container, []) if group is not None else []
        lines = [(at, line) for at, text in written for line in text.splitlines(keepends=True)]
        if question.tail is not None:
            lines = lines[max(len(lines) - question.tail, 0) :]
        if question.timestamps:
            return "".join(f"{milliseconds(at)} {line}" for at, line in lines)
        return "".join(line for _, line in lines)


def _complaint(action: RunProbe, group: _Group, run: _Run, at: float) -> str:
    """What a probe has to complain of, in the kubelet's words; empty for nothing."""
    probe, plan = action.probe, group.plan
    age = at - run.started
    late = action.kind == "readiness" and plan.ready_after is not None and age < plan.ready_after
    ill = (
        action.kind == "liveness"
        and plan.unhealthy_after is not None
        and age >= plan.unhealthy_after
    )
    if probe.command:
        return "the command exited with code 1, as its trace says" if late or ill else ""
    if at < run.serves:
        where = f"{group.ip}:{probe.port}"
        url = f"{probe.scheme}://{where}{probe.path}"
        return f'Get "{url}": dial tcp {where}: connect: connection refused'
    return "HTTP probe failed with statuscode: 503" if late or ill else ""


def _address(number: int) -> str:
    """An address of the benchmarking network 198.18.0.0/15 (RFC 2544), which nobody has."""
    place = number % (2 * 65536 - 2) + 1
    return f"198.{18 + place // 65536}.{place // 256 % 256}.{place % 256}"
