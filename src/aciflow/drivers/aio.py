"""Drives a flow on an asyncio loop: each effect is a task."""

from __future__ import annotations

import asyncio
import random

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, field

from aciflow.drivers.clock import SystemClock
from aciflow.drivers.steps import Steps
from aciflow.drivers.sync import OnPhase, tell
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Cancel,
    Done,
    Effect,
    Env,
    Exec,
    Flow,
    HttpProbe,
    LedgerClear,
    LedgerWrite,
    Next,
    Notify,
    ProbeResult,
    Start,
    TcpProbe,
)


if TYPE_CHECKING:
    from aciflow.ledger import Ledger
    from aciflow.sessions.values import ExecResult


__all__ = ["AsyncDriver", "AsyncProber"]

R = TypeVar("R")
T = TypeVar("T")


class AsyncArm(Protocol):
    """What the driver needs of a gateway."""

    async def perform(self, call: ArmCall, /) -> ArmReply: ...
    async def authenticate(self) -> None: ...


class AsyncProber(Protocol):
    """What the driver needs to probe."""

    async def probe(self, probe: TcpProbe | HttpProbe, /) -> ProbeResult: ...  # noqa: D102


class AsyncDriver:
    """
    Runs flows; any number at once.

    Args:
        arm: The gateway.
        prober: Probes addresses.
        ledger: Where intents are written.
        execute: Runs a command in a container.
    """

    def __init__(
        self,
        *,
        arm: AsyncArm,
        prober: AsyncProber,
        ledger: Ledger,
        execute: Callable[[Exec], Awaitable[ExecResult]],
    ) -> None:
        self._arm = arm
        self._execute = execute
        self._prober = prober
        self._ledger = ledger

    async def run(self, make: Callable[[Env], Flow[R]], on_phase: OnPhase | None = None) -> R:
        """
        Run a flow to its end.

        Raises:
            BaseException: What the flow raises. A cancellation is thrown into the flow, which cleans up
                and lets it go on; a second one ends the clean-up.
        """
        env = Env(clock=SystemClock(), random=random.Random(), on_phase=on_phase)
        steps = Steps(make(env))
        run = _Run(driver=self, on_phase=on_phase)
        try:
            while True:
                try:
                    while (command := steps.next()) is not None:
                        if isinstance(command, Start):
                            run.start(command.effect, steps.token)
                        else:
                            steps.answer(await run.obey(command))
                    return steps.value
                except BaseException as interruption:  # into the flow, unless it came from there
                    steps.interrupt(interruption)
        finally:
            await run.close()

    async def effect(self, effect: Effect) -> Any:
        """Do one effect."""
        match effect:
            case ArmCall():
                return await self._arm.perform(effect)
            case Authenticate():
                return await self._arm.authenticate()
            case TcpProbe() | HttpProbe():
                return await self._prober.probe(effect)
            case Exec():
                return await self._execute(effect)
            case LedgerWrite():
                return await _in_thread(self._ledger.write, effect.record)
            case LedgerClear():
                return await _in_thread(self._ledger.clear, effect.launch_id)
            case Notify():
                raise AssertionError("the driver tells the hook itself")  # pragma: no cover


async def _in_thread(function: Callable[[T], None], argument: T) -> None:
    """A thread cannot be cancelled, so its end is awaited: what comes next must come after it."""
    future = asyncio.get_running_loop().run_in_executor(None, function, argument)
    try:
        await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        future.result()


@define(kw_only=True)
class _Run:
    driver: AsyncDriver
    on_phase: OnPhase | None
    results: deque[Done] = field(factory=deque)
    awake: asyncio.Event = field(factory=asyncio.Event)
    tasks: dict[int, asyncio.Task[Done]] = field(factory=dict)
    cancelled: set[int] = field(factory=set)

    def start(self, effect: Effect, token: int) -> None:
        if isinstance(effect, Notify):
            tell(self.on_phase, effect.event)
        else:
            task = asyncio.create_task(
                self._work(effect, token), name=f"aciflow-{type(effect).__name__}"
            )
            self.tasks[token] = task
            task.add_done_callback(lambda task: self._ended(token, task))

    async def obey(self, command: Next | Cancel) -> Done | None:
        if isinstance(command, Cancel):
            self.cancelled.add(command.token)
            if command.token in self.tasks:
                self.tasks[command.token].cancel()
            return None
        while True:
            done = await self._next(command.until)
            if done is None or done.token not in self.cancelled:
                return done

    async def _next(self, until: float | None) -> Done | None:
        # Not asyncio.timeout: until Python 3.11.3 it takes its own end for a cancellation in a task
        # that has been cancelled before, and a cancelled launch has to wait while it cleans up.
        if not self.results:
            self.awake.clear()
            timer = None
            if until is not None:
                left = max(0.0, until - SystemClock().now())
                timer = asyncio.get_running_loop().call_later(left, self.awake.set)
            try:
                await self.awake.wait()
            finally:
                if timer is not None:
                    timer.cancel()
        return self.results.popleft() if self.results else None

    async def _work(self, effect: Effect, token: int) -> Done:
        try:
            return Done(token, await self.driver.effect(effect))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # delivered to the flow
            return Done(token, error=error)

    def _ended(self, token: int, task: asyncio.Task[Done]) -> None:
        """
        Deliver an effect's end.

        A cancellation is one, too, by whomever: at its end ``asyncio.run`` cancels all tasks, also those
        that have not begun, and the flow would wait for what never comes.
        """
        del self.tasks[token]
        cut_short = task.cancelled()
        done = Done(token, error=asyncio.CancelledError()) if cut_short else task.result()
        self.results.append(done)
        self.awake.set()

    async def close(self) -> None:
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
