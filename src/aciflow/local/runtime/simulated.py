"""
The simulated runtime: ACI's timing in real time, or on whatever clock drives it.

A simulator calls :meth:`SimulatedRuntime.schedule` and keeps the heap itself. In a ``LocalAzure``
one thread does: it waits for the next observation and reports it.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading

from collections.abc import Callable, Mapping
from typing import Any, Literal

from attrs import evolve

from aciflow.local.clock import LocalClock
from aciflow.local.protocol import Action, Observation, OpenTerminal, Question
from aciflow.local.runtime.base import Clock, Report, Terminal
from aciflow.local.runtime.simulated_terminals import NothingRunsHere, SimulatedLog
from aciflow.local.runtime.simulation import Simulation
from aciflow.local.runtime.starts import Traces, draw_serving_delay


__all__ = ["SimulatedRuntime"]


class SimulatedRuntime:
    """
    A :class:`~aciflow.local.runtime.base.Runtime` without containers.

    Args:
        traces: Starts to replay: a list of mappings with ``pulling``, ``pulled`` and ``started`` in
            seconds after the group was accepted, and optionally ``exits_after``, ``exit_code``,
            ``pull_error``, ``logs``, ``ready_after`` and ``unhealthy_after`` (see
            :class:`~aciflow.local.runtime.starts.Start`); or a document with such a list under
            ``starts``. Each group takes the next. ``None`` draws from the distribution that
            :mod:`aciflow.local.runtime.simulation` describes.
        seed: For everything that is drawn.
        speed: How many simulated seconds pass in a real one. Only in real time; the times that it
            reports are real.
        ip_visible: When a group's address appears.
        serving_delay: Seconds from a container's start until it serves, or a function that draws them.
    """

    kind: Literal["simulated"] = "simulated"

    def __init__(
        self,
        *,
        traces: Traces | None = None,
        seed: int = 0,
        speed: float = 1.0,
        ip_visible: Literal["creating", "running"] = "creating",
        serving_delay: float | Callable[[random.Random], float] = draw_serving_delay,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above zero, not {speed}")
        self._simulation = Simulation(
            traces=traces, seed=seed, ip_visible=ip_visible, serving_delay=serving_delay
        )
        self._speed = speed
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Observation]] = []
        self._numbers = itertools.count()
        self._report: Report | None = None
        self._clock: Clock | None = None
        self._epoch = 0.0
        self._settable: LocalClock | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    # --- pure ------------------------------------------------------------------------------

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one."""
        return self._speed

    def schedule(self, action: Action, now: float) -> list[tuple[float, Observation]]:
        """What comes of an action, and when; see :meth:`Simulation.schedule`."""
        return self._simulation.schedule(action, now)

    def answer(self, question: Question) -> Any:
        """Every image can be had; logs are those of the traces."""
        with self._condition:
            return self._simulation.answer(question)

    def serving(self, ip: str, port: int, now: float) -> bool:
        """Whether ``ip:port`` is served at ``now``, on the clock that :meth:`schedule` was given."""
        return self._simulation.serving(ip, port, now)

    def served_since(self, uid: str) -> float | None:
        """When a group began, or will begin, to serve; see :meth:`Simulation.served_since`."""
        return self._simulation.served_since(uid)

    # --- in real time ----------------------------------------------------------------------

    def start(self, report: Report, clock: Clock) -> None:
        """Begin to report."""
        self._report, self._clock = report, clock
        self._epoch = clock()
        self._settable = clock if isinstance(clock, LocalClock) else None
        if self._settable is not None:
            self._settable.subscribe(self)

    def execute(self, action: Action) -> None:
        """Schedule what comes of an action."""
        with self._condition:
            if self._closed:
                return
            for at, seen in self._simulation.schedule(action, self.now()):
                real = self._real(at)
                entry = (real, next(self._numbers), evolve(seen, at=real))
                heapq.heappush(self._heap, entry)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="aciflow-simulated", daemon=True
                )
                self._thread.start()
            self._condition.notify_all()

    def now(self) -> float:
        """Simulated seconds: real ones since the start, times the speed."""
        if self._clock is None:
            raise RuntimeError("the runtime was not started")
        return self._epoch + (self._clock() - self._epoch) * self._speed

    def serves(self, ip: str, port: int) -> bool | None:
        """Whether ``ip:port`` is served now; ``None`` where there is nothing at ``ip``."""
        with self._condition:
            if not self._simulation.routed(ip):
                return None
            return self._simulation.serving(ip, port, self.now())

    def terminal(self, wanted: OpenTerminal) -> Terminal:
        """
        What exec and attach see of a simulated container.

        No process runs in it: ``exec`` shows a line that says so, and ends. ``attach`` shows what the
        trace says that it writes, until it ends.

        Raises:
            LookupError: It does not run.
        """
        with self._condition:
            attempt = self._simulation.runs(wanted.uid, wanted.container, self.now())
        if attempt is None:
            raise LookupError(f"container '{wanted.container}' does not run")
        if wanted.kind == "exec":
            return NothingRunsHere(wanted)
        return SimulatedLog(self, wanted, attempt)

    def follow(
        self, wanted: OpenTerminal, attempt: int, shown: int, given_up: Callable[[], bool]
    ) -> str:
        """
        Wait for more of a container's log than ``shown`` characters.

        Returns:
            What is new; empty when its run has ended, or the reader has ``given_up``.
        """
        with self._condition:
            while True:
                now = self.now()
                text = "".join(self._simulation.written(wanted.uid, wanted.container, now))
                running = self._simulation.runs(wanted.uid, wanted.container, now) == attempt
                if len(text) > shown or self._closed or not running or given_up():
                    return text[shown:]
                self._condition.wait(1.0)  # whatever happens notifies; rounding may be a hair late

    def recover(self, groups: Mapping[str, Mapping[str, Any]]) -> None:
        """Nothing outlives the process of a simulation."""

    def due(self) -> float | None:
        """When the next thing happens, by the clock; all that is before now has been reported."""
        with self._condition:
            return self._heap[0][0] if self._heap else None

    def wake(self) -> None:
        """The clock was changed."""
        with self._condition:
            self._condition.notify_all()

    def settle(self, timeout: float) -> bool:
        """Wait until all that is due has been reported."""
        clock = self._clock
        if clock is None:
            return True
        with self._condition:
            return self._condition.wait_for(
                lambda: not self._heap or self._closed or self._heap[0][0] > clock(), timeout
            )

    def close(self, *, remove: bool) -> None:  # noqa: ARG002
        """Stop reporting."""
        if self._settable is not None:
            self._settable.unsubscribe(self)
        with self._condition:
            self._closed = True
            self._heap.clear()
            self._condition.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def describe(self) -> dict[str, Any]:
        """For ``doctor``."""
        return {
            "kind": self.kind,
            "ok": True,
            "detail": f"simulated starts, {self._speed:g} times real time; no containers",
        }

    def _real(self, at: float) -> float:
        return self._epoch + (at - self._epoch) / self._speed

    def _run(self) -> None:
        report, clock = self._report, self._clock
        if report is None or clock is None:
            raise RuntimeError("the runtime was not started")
        while True:
            with self._condition:
                if self._closed:
                    return
                wait = self._heap[0][0] - clock() if self._heap else None
                if wait is None or wait > 0:
                    still = self._settable is not None and self._settable.frozen
                    self._condition.wait(None if still else wait)
                    continue
                # Reported before anybody can see that it is not due any more.
                report(heapq.heappop(self._heap)[2])
                self._condition.notify_all()
