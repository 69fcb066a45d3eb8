"""Run a container to its end: its exit code, and all that it wrote."""

from __future__ import annotations

from attrs import define, field, frozen

from aciflow.errors import (
    AciflowError,
    ContainerExitedError,
    LaunchContext,
    NotReadyError,
    RunTimeoutError,
)
from aciflow.flow.delete import DELETE_BUDGET, delete_group
from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, LedgerClear, Notify, Start
from aciflow.flow.facts import Facts
from aciflow.flow.health import diagnose
from aciflow.flow.launch import Launched, Launching, LaunchRequest, Made, title_of
from aciflow.flow.lines import LogCursor, LogLine
from aciflow.flow.retry import perform, retrying, sleep, transient
from aciflow.model import ContainerState, GroupState


__all__ = ["RunOutcome", "read_new_lines", "run"]

# Once a container has ended its log may still be on its way; one more look after this share of the pace.
LAST_LOOK = 0.5


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
    facts = Facts(env=env, target=request.target, title=title_of(request))
    deadline = facts.began + request.timeout
    job = Launching(env=env, request=request, facts=facts, deadline=deadline, made=made)
    follower = _Follower(env=env, request=request, facts=facts, timeout=timeout)
    try:
        launched = yield from job.run()
        state, ended = yield from follower.follow()
    except GeneratorExit:
        raise
    except BaseException as error:
        yield from job.fail(error)
        raise
    facts.close()
    start = yield from facts.begin("delete")
    budget = env.clock.now() + DELETE_BUDGET
    yield from delete_group(env, request.ref, pace=request.pace, deadline=budget)
    made.container_group = False
    yield from facts.end("delete", start)
    yield from perform(env, LedgerClear(launch_id=request.launch_id))
    outcome = RunOutcome(
        exit_code=ended.exit_code,
        lines=tuple(follower.lines),
        truncated=follower.cursor.truncated,
        launched=Launched(
            state=state,
            mapped=launched.mapped,
            adopted=False,
            facts=facts,
        ),
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

    def follow(self) -> Flow[tuple[GroupState, ContainerState]]:
        """Until the container has ended, and its log is read."""
        request, pace = self.request, self.request.pace
        accepted = self.env.clock.now()
        yield from sleep(self.env, pace.first_read)
        while True:
            state = yield from self._read()
            current = state.containers[0].current
            now = self.env.clock.now()
            if current is not None and current.state != "Waiting":
                self.started = now if self.started is None else self.started
                yield from self._read_lines()
            if current is not None and current.state == "Terminated":
                yield from sleep(self.env, pace.lines * LAST_LOOK)
                yield from self._read_lines()
                return state, current
            verdict = diagnose(state, wants_completion=True)
            if verdict is not None:
                raise verdict.error
            if self.started is None:
                if now >= self.facts.began + request.timeout:
                    raise NotReadyError(
                        f"container group '{request.spec.name}' has not started within "
                        f"{request.timeout:g} s ({state.state or state.provisioning_state})"
                    )
                yield from sleep(self.env, pace.read_interval(now - accepted))
            else:
                if self.timeout is not None and now >= self.started + self.timeout:
                    raise RunTimeoutError(
                        f"container group '{request.spec.name}' was not done within "
                        f"{self.timeout:g} s, and was ended"
                    )
                yield from sleep(self.env, pace.lines)

    def _read(self) -> Flow[GroupState]:
        ref = self.request.ref
        sent = self.facts.elapsed()
        reply: ArmReply = yield from retrying(
            self.env,
            ArmCall(operation="group.get", resource_group=ref.resource_group.name, name=ref.name),
            deadline=float("inf"),
        )
        state = GroupState.from_arm(reply.body)
        self.facts.see_reply(reply, sent=sent)
        self.facts.see_state(state, reply.headers)
        return state

    def _read_lines(self) -> Flow[None]:
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
        )
        self.lines += lines
        for line in lines:
            yield Start(Notify(event=line))


def read_new_lines(env: Env, call: ArmCall, cursor: LogCursor) -> Flow[list[LogLine]]:
    """
    Read a log; returns what is new.

    A log that cannot be read now is no error: the service answers ``ContainerGroupDeploymentNotReady``
    for a container that has only just started, and throttles.
    """
    try:
        reply: ArmReply = yield from perform(env, call)
    except AciflowError as error:
        if transient(error) or getattr(error, "code", None) == "ContainerGroupDeploymentNotReady":
            return []
        raise
    return cursor.feed((reply.body or {}).get("content") or "")
