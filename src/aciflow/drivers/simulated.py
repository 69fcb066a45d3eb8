"""Drives flows on a virtual clock: a heap of events, no threads, no waiting; a run repeats from its seed."""

from __future__ import annotations

import heapq
import itertools
import random

from collections.abc import Callable
from math import inf
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field

from aciflow.flow.effects import Cancel, Done, Effect, Env, Flow, Next, Notify, Start


__all__ = ["Process", "SimulatedDriver", "World"]

R = TypeVar("R")

# Where every simulation's clock begins: 2026-01-01T00:00:00Z. Virtual time must not depend on real time.
EPOCH = 1_767_225_600.0


class World:
    """
    Virtual time, and what happens in it.

    Also the :class:`~aciflow.flow.effects.Clock` of the flows in it.
    """

    def __init__(self, epoch: float = EPOCH) -> None:
        self._epoch = epoch
        self._now = 0.0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def now(self) -> float:
        """Seconds since the world began."""
        return self._now

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._now

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Have something happen at a time (now, if that has passed)."""
        heapq.heappush(self._heap, (max(time, self._now), next(self._order), event))

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        until = self._now + seconds
        while self._heap and self._heap[0][0] <= until:
            self._step()
        self._now = max(self._now, until)

    def run(self, *, most: int = 10_000_000) -> None:
        """
        Until nothing is left to happen.

        Raises:
            RuntimeError: There is no end to it.
        """
        for _ in range(most):
            if not self._heap:
                return
            self._step()
        raise RuntimeError(f"still busy after {most} events")

    def run_until(self, done: Callable[[], bool]) -> None:
        """
        Until ``done()``.

        Raises:
            RuntimeError: Nothing is left to happen, and it is not done.
        """
        while not done():
            if not self._heap:
                raise RuntimeError("nothing is left to happen, and it is not done")
            self._step()

    def _step(self) -> None:
        time, _, event = heapq.heappop(self._heap)
        self._now = max(self._now, time)
        event()


class Effects(Protocol):
    """Whatever the flows of a world act upon."""

    def begin(self, effect: Effect, done: Callable[[Any, BaseException | None], None], /) -> None:
        """Begin an effect; ``done(value, error)`` is called when it ends, in virtual time."""
        ...


@define
class Process(Generic[R]):
    """
    A flow that is under way, or has ended.

    Attributes:
        ended_at: When, in virtual seconds; ``None`` while it runs.
        error: What it raised.
        events: What it told its hook.
    """

    ended_at: float | None = None
    error: BaseException | None = None
    events: list[Any] = field(factory=list)
    _value: R | None = None
    _interrupt: Callable[[BaseException], None] | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    def result(self) -> R:
        """What it returned; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self._value  # type: ignore[return-value]

    def interrupt(self, error: BaseException) -> None:
        """Throw something into it, as Ctrl-C and cancellation do; nothing, if it has ended."""
        if self._interrupt is not None and not self.ended:
            self._interrupt(error)


class SimulatedDriver:
    """
    Starts flows in a world.

    Args:
        world: Its time.
        effects: What they act upon.
        seed: Of the flows' own randomness.
    """

    def __init__(self, world: World, effects: Effects, *, seed: int = 0) -> None:
        self._world = world
        self._effects = effects
        self._random = random.Random(seed)  # jitter

    def start(self, make: Callable[[Env], Flow[R]]) -> Process[R]:
        """Begin a flow; it goes on as the world's time does."""
        process: Process[R] = Process()
        env = Env(clock=self._world, random=self._random, on_phase=process.events.append)
        _Run(self._world, self._effects, make(env), process)
        return process

    def run(self, make: Callable[[Env], Flow[R]]) -> R:
        """Begin a flow and let time pass until it ends."""
        process = self.start(make)
        self._world.run_until(lambda: process.ended)
        return process.result()


class _Run:
    def __init__(
        self, world: World, effects: Effects, flow: Flow[Any], process: Process[Any]
    ) -> None:
        self._world = world
        self._effects = effects
        self._flow = flow
        self._process = process
        self._ready: list[Done] = []
        self._cancelled: set[int] = set()
        self._tokens = 0
        self._waits = 0  # which wait is under way, so that the timers of earlier ones do nothing
        self._waiting = False
        process._interrupt = self._throw
        world.at(world.now(), lambda: self._resume(None))

    def _throw(self, error: BaseException) -> None:
        self._world.at(self._world.now(), lambda: self._resume(None, error))

    def _resume(self, value: Any, error: BaseException | None = None) -> None:
        if self._process.ended:
            return
        self._waiting = False
        while True:
            try:
                command = self._flow.send(value) if error is None else self._flow.throw(error)
            except StopIteration as stop:
                self._process._value = stop.value
                self._process.ended_at = self._world.now()
                return
            except BaseException as raised:  # kept for who asks
                self._process.error = raised
                self._process.ended_at = self._world.now()
                return
            error = None
            match command:
                case Start(effect):
                    value = self._start(effect)
                case Cancel(token):
                    self._cancelled.add(token)
                    self._ready = [done for done in self._ready if done.token != token]
                    value = None
                case Next(until):
                    if not self._ready:
                        self._wait(until)
                        return
                    value = self._ready.pop(0)

    def _start(self, effect: Effect) -> int:
        self._tokens += 1
        token = self._tokens
        if isinstance(effect, Notify):
            self._process.events.append(effect.event)
        else:
            self._effects.begin(effect, lambda value, error: self._done(Done(token, value, error)))
        return token

    def _wait(self, until: float | None) -> None:
        self._waiting = True
        self._waits += 1
        mine = self._waits
        if until is not None and until < inf:
            self._world.at(until, lambda: self._time_is_up(mine))

    def _time_is_up(self, which: int) -> None:
        if self._waiting and which == self._waits:
            self._resume(None)

    def _done(self, done: Done) -> None:
        if done.token in self._cancelled:
            return
        if self._waiting:
            self._resume(done)
        else:
            self._ready.append(done)
