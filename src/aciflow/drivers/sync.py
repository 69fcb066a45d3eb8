"""Drives a flow from ordinary code: effects run in a few daemon threads, the caller's thread waits."""

from __future__ import annotations

import logging
import queue
import random

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, field

from aciflow.drivers.clock import SystemClock
from aciflow.drivers.workers import Workers
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


__all__ = ["OnPhase", "Prober", "SyncDriver", "tell"]

R = TypeVar("R")
OnPhase = Callable[[Any], None]
log = logging.getLogger("aciflow")


class Arm(Protocol):
    """What the driver needs of a gateway."""

    def perform(self, call: ArmCall, /) -> ArmReply: ...
    def authenticate(self) -> None: ...


class Prober(Protocol):
    """What the driver needs to probe."""

    def probe(self, probe: TcpProbe | HttpProbe, /) -> ProbeResult: ...  # noqa: D102


def tell(on_phase: OnPhase | None, event: Any) -> None:
    """Call the user's hook. Its errors are its own: they are logged and do not end a launch."""
    if on_phase is None:
        return
    try:
        on_phase(event)
    except Exception:
        log.exception("on_phase raised; the launch goes on")


class SyncDriver:
    """
    Runs flows, one at a time per call of :meth:`run`; several threads may call it.

    Args:
        arm: The gateway.
        prober: Probes addresses.
        ledger: Where intents are written.
        workers: Threads for the effects.
    """

    def __init__(self, *, arm: Arm, prober: Prober, ledger: Ledger, workers: Workers) -> None:
        self._arm = arm
        self._prober = prober
        self._ledger = ledger
        self._workers = workers
        self._clock = SystemClock()

    def run(self, make: Callable[[Env], Flow[R]], on_phase: OnPhase | None = None) -> R:
        """
        Run a flow to its end.

        Args:
            make: Begins the flow.
            on_phase: Told what happens, in the caller's thread.

        Raises:
            BaseException: What the flow raises. An interruption (Ctrl-C) is thrown into the flow, which
                cleans up and lets it go on; a second one ends the clean-up.
        """
        env = Env(clock=self._clock, random=random.Random(), on_phase=on_phase)
        flow = make(env)
        run = _Run(driver=self, on_phase=on_phase)
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                command = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            value, error = None, None
            try:
                value = run.obey(command)
            except BaseException as interruption:  # thrown into the flow
                error = interruption

    def effect(self, effect: Effect) -> Any:
        """Do one effect, in this thread."""
        match effect:
            case ArmCall():
                return self._arm.perform(effect)
            case Authenticate():
                return self._arm.authenticate()
            case TcpProbe() | HttpProbe():
                return self._prober.probe(effect)
            case LedgerWrite():
                return self._ledger.write(effect.record)
            case LedgerClear():
                return self._ledger.clear(effect.launch_id)
            case Notify():
                raise AssertionError("the driver tells the hook itself")  # pragma: no cover

    def start(self, effect: Effect, token: int, results: queue.SimpleQueue[Done]) -> None:
        """Do one effect in some thread; its end goes to ``results``."""

        def work() -> None:
            try:
                done = Done(token, self.effect(effect))
            except BaseException as error:  # delivered to the flow
                done = Done(token, error=error)
            results.put(done)

        if isinstance(effect, LedgerWrite | LedgerClear):
            work()  # a file write is shorter than a change of threads
        else:
            self._workers.submit(work)


@define(kw_only=True)
class _Run:
    driver: SyncDriver
    on_phase: OnPhase | None
    results: queue.SimpleQueue[Done] = field(factory=queue.SimpleQueue)
    cancelled: set[int] = field(factory=set)
    tokens: int = 0

    def obey(self, command: Command) -> int | Done | None:
        match command:
            case Start(effect):
                self.tokens += 1
                if isinstance(effect, Notify):
                    tell(self.on_phase, effect.event)
                else:
                    self.driver.start(effect, self.tokens, self.results)
                return self.tokens
            case Next(until):
                return self._next(until)
            case Cancel(token):
                self.cancelled.add(token)
                return None

    def _next(self, until: float | None) -> Done | None:
        clock = SystemClock()
        while True:
            try:
                if until is None:
                    done = self.results.get()
                else:
                    done = self.results.get(timeout=max(0.0, until - clock.now()))
            except queue.Empty:
                return None
            if done.token not in self.cancelled:
                return done
