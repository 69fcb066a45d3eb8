"""Drives a flow from ordinary code: effects run in a few daemon threads, the caller's thread waits."""

from __future__ import annotations

import logging
import queue
import random
import threading

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import define, field

from aciflow.drivers.clock import SystemClock
from aciflow.drivers.steps import Steps
from aciflow.drivers.workers import Workers
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
        execute: Runs a command in a container; blocks.
    """

    def __init__(
        self,
        *,
        arm: Arm,
        prober: Prober,
        ledger: Ledger,
        workers: Workers,
        execute: Callable[[Exec], ExecResult],
    ) -> None:
        self._arm = arm
        self._execute = execute
        self._prober = prober
        self._ledger = ledger
        self._workers = workers
        self.clock = SystemClock()

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
        env = Env(clock=self.clock, random=random.Random(), on_phase=on_phase)
        steps = Steps(make(env))
        run = _Run(driver=self, on_phase=on_phase)
        while True:
            try:
                while (command := steps.next()) is not None:
                    if isinstance(command, Start):
                        run.start(command.effect, steps.token)
                    else:
                        steps.answer(run.obey(command))
                return steps.value
            except BaseException as interruption:  # thrown into the flow, unless it came from there
                steps.interrupt(interruption)

    def effect(self, effect: Effect) -> Any:
        """Do one effect, in this thread."""
        match effect:
            case ArmCall():
                return self._arm.perform(effect)
            case Authenticate():
                return self._arm.authenticate()
            case TcpProbe() | HttpProbe():
                return self._prober.probe(effect)
            case Exec():
                return self._execute(effect)
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

    def start(self, effect: Effect, token: int) -> None:
        if isinstance(effect, Notify):
            tell(self.on_phase, effect.event)
        else:
            self.driver.start(effect, token, self.results)

    def obey(self, command: Next | Cancel) -> Done | None:
        if isinstance(command, Cancel):
            self.cancelled.add(command.token)
            return None
        while True:
            done = self._next(command.until)
            if done is None or done.token not in self.cancelled:
                return done

    def _next(self, until: float | None) -> Done | None:
        if until is None:
            return self.results.get()
        left = max(0.0, until - self.driver.clock.now())
        try:
            return self.results.get(timeout=min(left, threading.TIMEOUT_MAX))
        except queue.Empty:
            return None
