"""Run a container to its end: its exit code, and all that it wrote."""

from __future__ import annotations

from math import inf
from typing import cast

from attrs import define, evolve, field, frozen

from aciflow.errors import (
    AciflowError,
    ArmError,
    ContainerExitedError,
    GroupGoneError,
    LaunchContext,
    NotFoundError,
    NotReadyError,
    ProvisioningError,
    RunTimeoutError,
)
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, LedgerClear, Notify, Start
from aciflow.flow.facts import Facts
from aciflow.flow.groups import Made
from aciflow.flow.health import diagnose
from aciflow.flow.launch import Launching
from aciflow.flow.lines import LogCursor, LogLine
from aciflow.flow.request import Launched, LaunchRequest
from aciflow.flow.retry import PATIENT, STEADY, passing, perform, retrying, sleep
from aciflow.flow.wait import MOST_MISSES, operation_failure
from aciflow.model import ContainerState, GroupState


__all__ = ["RunOutcome", "read_new_lines", "run"]

# Once a container has ended its log may still be on its way; one more look after this share of the pace.
LAST_LOOK = 0.5
# How long the last read of a log may be tried.
LAST_READ = 30.0
# How long ARM may be out of reach before a container that runs is given up.
OUTAGE = 1800.0


@frozen(kw_only=True)
class RunOutcome:
    """
    What came of a run.

    Attributes:
        exit_code: Of the container; ``None`` where the service reported none.
        lines: What it wrote.
        truncated: Whether lines were lost.
        launched: The group as it was last seen, and all that was seen, for the timeline.
        seconds: From the container's start to its end, as the service tells it.
    """

    exit_code: int | None
    lines: tuple[LogLine, ...] = field(repr=False)
    truncated: bool
    launched: Launched
    seconds: float


def run(
    env: Env, request: LaunchRequest, made: Made, *, timeout: float | None, check: bool
) -> Flow[RunOutcome]:
    """
    Launch, follow the log to the end, delete.

    New log lines are told to the driver's hook as :class:`~aciflow.flow.lines.LogLine`.

    Args:
        env: Clock and random generator.
        request: ``wait`` is false; its ``timeout`` is the time to the container's start.
        made: Filled in as the run goes on.
        timeout: Seconds from the start to the end, or ``None``.
        check: An exit code other than 0 is an error.

    Raises:
        ContainerExitedError: With ``check``, and with the logs in its context.
        RunTimeoutError: It ran too long, and was ended.
        AciflowError: As for a launch.
    """
    job = Launching.begin(env, request, made)
    follower = _Follower(env=env, request=request, facts=job.facts, timeout=timeout)
    try:
        state, ended = yield from job.run(follower.follow)
        job.facts.close()
        start = yield from job.facts.begin("delete")
        yield from job.withdraw()
        yield from job.facts.end("delete", start)
        yield from perform(env, LedgerClear(launch_id=request.launch_id))
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from job.fail(error)
        if isinstance(error, AciflowError) and error.context is not None and follower.lines:
            # All that was read while it ran, which is more than what a stopped group still tells.
            error.context = evolve(error.context, logs=follower.text)
        raise
    outcome = RunOutcome(
        exit_code=ended.exit_code,
        lines=tuple(follower.lines),
        truncated=follower.cursor.truncated,
        launched=Launched(state=state, mapped={}, adopted=False, facts=job.facts),
        seconds=max(0.0, (ended.finished_at or 0.0) - (ended.started_at or 0.0)),
    )
    if check and outcome.exit_code != 0:
        raise _failed(outcome, request)
    return outcome


def _failed(outcome: RunOutcome, request: LaunchRequest) -> ContainerExitedError:
    name = request.spec.containers[0].name
    error = ContainerExitedError(
        f"container '{name}' ended with exit code {outcome.exit_code}",
        container=name,
        exit_code=outcome.exit_code,
    )
    error.context = LaunchContext(
        phase="run",
        timeline=outcome.launched.facts.timeline(),
        resource_id=request.ref.id,
        logs="\n".join(str(line) for line in outcome.lines),
    )
    return error


@define(kw_only=True)
class _Follower:
    env: Env
    request: LaunchRequest
    facts: Facts
    timeout: float | None
    cursor: LogCursor = field(factory=LogCursor)
    lines: list[LogLine] = field(factory=list)
    started: float | None = field(init=False, default=None)
    misses: int = field(init=False, default=0)

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self.lines)

    def follow(
        self, _accepted: GroupState, operation_url: str | None
    ) -> Flow[tuple[GroupState, ContainerState]]:
        """Until the container has ended, and its log is read."""
        env, pace = self.env, self.request.pace
        self.facts.phase = "start"
        accepted = env.clock.now()
        yield from sleep(env, min(pace.first_read, self._start_deadline - accepted))
        while True:
            state = yield from self._read()
            current = next(
                (s.current for s in (state.containers if state is not None else ())), None
            )
            now = env.clock.now()
            if current is not None and current.state == "Terminated":
                yield from self._read_lines(whole=False)
                yield from sleep(env, pace.lines * LAST_LOOK)
                yield from self._read_lines(whole=True)
                return cast("GroupState", state), current
            if current is not None and current.state == "Running":
                self.started = now if self.started is None else self.started
                self.facts.phase = "run"
                yield from self._read_lines(whole=False)
            if state is not None:
                yield from self._check(state, operation_url)
            pause = pace.lines if self.started is not None else pace.read_interval(now - accepted)
            yield from sleep(env, min(pause, self._left(state, env.clock.now())))

    @property
    def _start_deadline(self) -> float:
        return self.facts.began + self.request.timeout

    @property
    def _end(self) -> float:
        """When it has to have started or, once it has, to be done; on the flow's clock."""
        if self.started is None:
            return self._start_deadline
        return inf if self.timeout is None else self.started + self.timeout

    def _left(self, state: GroupState | None, now: float) -> float:
        """Seconds that it may still take; raises when there are none."""
        left = self._end - now
        if left > 0:
            return left
        if self.started is not None:
            raise self._too_long()
        seen = "not seen" if state is None else state.state or state.provisioning_state
        raise NotReadyError(
            f"container group '{self.request.spec.name}' has not started within "
            f"{self.request.timeout:g} s ({seen})"
        )

    def _too_long(self) -> RunTimeoutError:
        return RunTimeoutError(
            f"container group '{self.request.spec.name}' was not done within {self.timeout:g} s, "
            f"and was ended"
        )

    def _check(self, state: GroupState, operation_url: str | None) -> Flow[None]:
        error = diagnose(state, wants_completion=True)
        if error is None:
            return
        if isinstance(error, ProvisioningError) and operation_url is not None:
            reason = yield from operation_failure(self.env, operation_url)
            if reason is not None:
                raise reason from error
        raise error

    def _read(self) -> Flow[GroupState | None]:
        """As ARM shows it; ``None`` where it is not found yet."""
        ref = self.request.ref
        sent = self.facts.elapsed()
        call = ArmCall(operation="group.get", resource_group=ref.resource_group.name, name=ref.name)
        until, policy = self._end, STEADY
        if self.started is not None:
            until, policy = min(until, self.env.clock.now() + OUTAGE), PATIENT
        try:
            reply: ArmReply = yield from retrying(self.env, call, deadline=until, policy=policy)
        except NotFoundError as error:
            self.misses += 1
            if self.misses >= MOST_MISSES:
                raise GroupGoneError(f"{ref.id} does not exist any more") from error
            return None
        except AciflowError as error:
            if self.started is None or until < self._end or not passing(error):
                raise
            # The next attempt would be after its time; until then it may go on.
            yield from sleep(self.env, until - self.env.clock.now())
            raise self._too_long() from error
        self.misses = 0
        state = GroupState.from_arm(reply.body)
        self.facts.see_reply(reply, sent=sent)
        self.facts.see_state(state, reply.headers)
        return state

    def _read_lines(self, *, whole: bool) -> Flow[None]:
        lines = yield from read_new_lines(
            self.env,
            ArmCall(
                operation="group.logs",
                resource_group=self.request.resource_group.name,
                name=self.request.spec.name,
                container=self.request.spec.containers[0].name,
                timestamps=True,
            ),
            self.cursor,
            whole=whole,
            until=self._end,
        )
        self.lines += lines
        for line in lines:
            yield Start(Notify(event=line))


def read_new_lines(
    env: Env,
    call: ArmCall,
    cursor: LogCursor,
    *,
    whole: bool,
    until: float = inf,
    patience: float = LAST_READ,
) -> Flow[list[LogLine]]:
    """
    Read a log; returns what is new.

    A log that cannot be read now is no error: a container that has only just started has none yet, and
    what throttles says when to come back, which is waited for. The last read, of a whole log, is tried
    again where it fails.

    Args:
        env: Clock and random generator.
        call: The read.
        cursor: How far the log has been read.
        whole: Nothing more is written to it.
        until: On the flow's clock; what throttles is not waited for any longer.
        patience: Seconds for which the last read is tried.
    """
    cursor.asked = True
    try:
        reply: ArmReply = yield from (
            retrying(env, call, deadline=env.clock.now() + patience, policy=PATIENT)
            if whole
            else perform(env, call)
        )
    except NotFoundError:
        return []
    except AciflowError as error:
        if not passing(error):
            raise
        if not whole and isinstance(error, ArmError) and error.retry_after:
            yield from sleep(env, min(error.retry_after, until - env.clock.now()))
        return []
    return cursor.feed((reply.body or {}).get("content") or "", whole=whole)
