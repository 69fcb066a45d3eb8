"""Drives a flow on an asyncio loop: each effect is a task."""

from __future__ import annotations

import asyncio
import random

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, field

from aciflow.drivers.clock import SystemClock
from aciflow.drivers.sync import OnPhase, tell
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Cancel,
    Command,
    Done,
    Effect,
    Env,
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


__all__ = ["AsyncDriver", "AsyncProber"]

R = TypeVar("R")


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
    """

    def __init__(self, *, arm: AsyncArm, prober: AsyncProber, ledger: Ledger) -> None:
        self._arm = arm
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
        flow = make(env)
        run = _Run(driver=self, on_phase=on_phase)
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                try:
                    command = flow.send(value) if error is None else flow.throw(error)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                value, error = None, None
                try:
                    value = await run.obey(command)
                except BaseException as interruption:  # thrown into the flow
                    error = interruption
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
            case LedgerWrite():
                return await asyncio.to_thread(self._ledger.write, effect.record)
            case LedgerClear():
                return await asyncio.to_thread(self._ledger.clear, effect.launch_id)
            case Notify():
                raise AssertionError("the driver tells the hook itself")  # pragma: no cover


@define(kw_only=True)
class _Run:
    driver: AsyncDriver
    on_phase: OnPhase | None
    results: asyncio.Queue[Done] = field(factory=asyncio.Queue)
    tasks: dict[int, asyncio.Task[None]] = field(factory=dict)
    tokens: int = 0

    async def obey(self, command: Command) -> int | Done | None:
        match command:
            case Start(effect):
                self.tokens += 1
                if isinstance(effect, Notify):
                    tell(self.on_phase, effect.event)
                else:
                    self.tasks[self.tokens] = asyncio.create_task(
                        self._work(effect, self.tokens), name=f"aciflow-{type(effect).__name__}"
                    )
                return self.tokens
            case Next(until):
                return await self._next(until)
            case Cancel(token):
                if token in self.tasks:
                    self.tasks[token].cancel()
                return None

    async def _next(self, until: float | None) -> Done | None:
        seconds = None if until is None else max(0.0, until - SystemClock().now())
        try:
            async with asyncio.timeout(seconds):
                return await self.results.get()
        except TimeoutError:
            return None

    async def _work(self, effect: Effect, token: int) -> None:
        try:
            done = Done(token, await self.driver.effect(effect))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # delivered to the flow
            done = Done(token, error=error)
        self.results.put_nowait(done)
        del self.tasks[token]

    async def close(self) -> None:
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
