"""
Drives the endpoint in real time: one daemon thread between it and the runtime.

Requests come from any thread. Observations come from the runtime's threads and are only queued
there. The host's thread takes them in, wakes when the endpoint asked for it, and hands actions to
the runtime.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve

from aciflow.errors import EndpointUnreachableError
from aciflow.local.clock import LocalClock
from aciflow.local.endpoint import Endpoint
from aciflow.local.protocol import Dropped, Observation, Reply, Request
from aciflow.local.runtime.base import Clock, Runtime, Terminal


if TYPE_CHECKING:
    from aciflow.local.faults import Faults, Plan


__all__ = ["FaultBox", "Host", "Store"]

log = logging.getLogger("aciflow")

DELETE_WAIT = 60.0
"""Seconds that the reply to a DELETE is held until nothing of the group is left; ACI takes 3 to 4."""

CONTROL = "/_aciflow/"
"""Where the endpoint's own pages begin, see :mod:`aciflow.local.control`."""

_RETRY = 1.0
"""Seconds until the state is written again where it could not be."""


class Store(Protocol):
    """Where the state is kept."""

    def save(self, state: dict[str, Any]) -> None:
        """
        Write it, so that a crash leaves the old or the new; secrets inside: 0600.

        Raises:
            OSError: It cannot be written now; the host goes on and tries again.
        """
        ...


class FaultBox:
    """
    An endpoint's faults, made when somebody first asks: few do, and what they need takes its time to load.

    Args:
        seed: Of the faults.

    Attributes:
        current: Those that there are, or ``None``.
    """

    def __init__(self, seed: int = 0) -> None:
        self.current: Faults | None = None
        self._seed = seed
        self._lock = threading.Lock()

    def get(self) -> Faults:
        """The faults, to add rules."""
        from aciflow.local.faults import Faults

        with self._lock:
            if self.current is None:
                self.current = Faults(self._seed)
            return self.current


class Host:
    """
    One endpoint on one runtime.

    Args:
        endpoint: Used by this host alone from now on.
        runtime: Not yet started; the host starts and closes it.
        store: Where the state goes whenever it has changed, or ``None``.
        recover: Let the runtime adopt or remove what an earlier process left; always done for an
            endpoint that has groups.
        clock: Seconds since the epoch. Where it can be set, a simulated runtime follows it; what a real
            one reports is put into its time.
        faults: What goes wrong on purpose, or ``None``.

    Raises:
        aciflow.errors.EngineUnavailableError: The runtime cannot start.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        runtime: Runtime,
        store: Store | None = None,
        *,
        recover: bool = False,
        clock: Clock = time.time,
        faults: FaultBox | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.runtime = runtime
        self.clock = clock if isinstance(clock, LocalClock) else LocalClock(clock)
        self._faults = faults
        self._store = store
        self._ended = threading.Event()
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._inbox: queue.SimpleQueue[Observation | None] = queue.SimpleQueue()
        self._wake: float | None = None
        self._saved = endpoint.generation
        self._unsaved = False
        self._closed = False
        self._failed: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._pending = 0  # observations that were reported and not yet taken in
        self._pending_lock = threading.Lock()
        # What a runtime without a `due` does takes real time.
        self._due_of_runtime: Callable[[], float | None] | None = getattr(runtime, "due", None)
        real = self._due_of_runtime is None
        runtime.start(self._report, self.clock.real if real else self.clock)
        self.clock.subscribe(self)
        if recover or not endpoint.idle:
            runtime.recover(endpoint.recovery())
        if not endpoint.idle:
            with self._lock:
                self._tick([])
            self._ensure_thread()

    def request(self, request: Request) -> Reply:
        """
        Answer a request, from any thread; blocks while the runtime looks for images or logs.

        The reply to a group's DELETE comes when nothing of the group is left, as ACI's does.

        Raises:
            EndpointUnreachableError: The host is closed or broken, or this process is a fork of the
                one that made it.
            Dropped: A fault says that the connection ends here.
        """
        self._check()
        if request.path.startswith(CONTROL):
            return self._control(request)
        faults = self._faults.current if self._faults is not None else None
        if faults is None or not faults.active:
            return self._request(request, None)
        with self._lock:
            self._check()
            plan = None
            if self.endpoint.authentic(request):
                where = partial(self.endpoint.location_of, request)
                plan = faults.plan(request, self.clock(), where)
        if plan is None:
            return self._request(request, None)
        # Nobody else is held up by a reply that is slow, or waits for this lock.
        said = plan.before or self._request(request, plan)
        said = plan.after or said
        if plan.delay:
            self._ended.wait(plan.delay)
            self._check()
        if isinstance(said, Dropped):
            raise said
        if said is plan.before or said is plan.after:
            said = self.endpoint.dressed(request, said, self.clock())
        return said

    def _control(self, request: Request) -> Reply:
        from aciflow.local import control

        with self._lock:
            self._check()
            if not self.endpoint.authentic(request):
                refused = self.endpoint.handle(request, self.clock())
                if isinstance(refused, Reply):
                    return refused
        faults = self._faults.get() if self._faults is not None else None
        reply = control.answer(request, self.clock, faults)
        return self.endpoint.dressed(request, reply, self.clock())

    def _request(self, request: Request, plan: Plan | None) -> Reply:
        answer: Any = None
        while True:
            with self._lock:
                self._check()
                before = self.endpoint.closing if request.method == "DELETE" else frozenset()
                reply = self.endpoint.handle(request, self.clock(), answer, plan)
                if isinstance(reply, Reply):
                    self._tick([])
                    if self._wake is not None or not self.endpoint.idle:
                        self._ensure_thread()
                    if request.method == "DELETE" and reply.status == 200:
                        self._hold(self.endpoint.closing - before)
                    return reply
            answer = self.runtime.answer(reply)

    def connect(self, session: str, password: str) -> Terminal | None:
        """
        Open what an exec or attach has promised, from any thread.

        Returns:
            ``None`` for a session that cannot be claimed.

        Raises:
            LookupError: Its container does not run any more.
            EndpointUnreachableError: The host is closed or broken.
        """
        self._check()
        with self._lock:
            self._check()
            wanted = self.endpoint.claim(session, password, self.clock())
        return None if wanted is None else self.runtime.terminal(wanted)

    def close(self, *, keep: bool = False) -> None:
        """
        End the thread and the runtime.

        Args:
            keep: Leave the groups running and the state saved, for another process to take up;
                otherwise everything is removed.
        """
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._closed:
                return
            if self._unsaved:  # else the next process finds groups that are deleted, or misses some
                self._save()
            self._closed = True
            self._ended.set()
            thread = self._thread
            self._changed.notify_all()
        self.clock.unsubscribe(self)
        self._inbox.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)
        self.runtime.close(remove=not keep)

    # --- for the clock ---------------------------------------------------------------------

    def due(self) -> float | None:
        """When the endpoint, or a simulated container, has something to do."""
        of_runtime = self._due_of_runtime() if self._due_of_runtime is not None else None
        return min((at for at in (self._wake, of_runtime) if at is not None), default=None)

    def wake(self) -> None:
        """The clock was changed: look again what is due."""
        self._inbox.put(None)
        with self._lock:
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Wait until what is due has happened and all that was reported has been taken in."""
        with self._lock:
            return self._changed.wait_for(self._settled, timeout)

    def _settled(self) -> bool:
        if self._closed or self._failed is not None or self._thread is None:
            return True
        due = self.due()
        return self._pending == 0 and (due is None or due > self.clock())

    # --- inside ----------------------------------------------------------------------------

    def _report(self, seen: Observation) -> None:
        if self._due_of_runtime is None and self.clock.changed:
            seen = evolve(seen, at=self.clock.instant(seen.at))
        with self._pending_lock:
            self._pending += 1
        self._inbox.put(seen)

    def _check(self) -> None:
        if os.getpid() != self._pid:  # the lock may be held for ever by a thread that is not here
            raise EndpointUnreachableError(
                "this local endpoint belongs to the process that this one was forked from"
            )
        if self._closed:
            raise EndpointUnreachableError("this local endpoint is closed")
        if self._failed is not None:
            raise EndpointUnreachableError(
                f"this local endpoint has failed: {self._failed!r}"
            ) from self._failed

    def _hold(self, uids: frozenset[str]) -> None:
        simulated = self._due_of_runtime is not None

        def over() -> bool:
            # What is simulated does not end as long as the clock stands still.
            still = simulated and self.clock.frozen
            return self._closed or still or not uids & self.endpoint.closing

        self._changed.wait_for(over, timeout=DELETE_WAIT)

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aciflow-local", daemon=True)
            self._thread.start()

    def _tick(self, observed: list[Observation]) -> None:
        """With the lock held: let the endpoint act, and save what changed before the runtime acts."""
        earlier = self._wake
        now = self.clock()
        actions, self._wake = self.endpoint.tick(observed, now)
        try:
            self._save()
        finally:  # whatever the store does must not keep a group from being deleted
            for action in actions:
                self.runtime.execute(action)
        if self._unsaved:
            self._wake = min(now + _RETRY, self._wake if self._wake is not None else math.inf)
        if self._wake != earlier and threading.current_thread() is not self._thread:
            self._inbox.put(None)  # wait for the new time
        self._changed.notify_all()

    def _save(self) -> None:
        """With the lock held: a disk that is full now may not be so at the next tick."""
        if self._store is None or self.endpoint.generation == self._saved:
            return
        try:
            self._store.save(self.endpoint.dump())
        except OSError as problem:
            if not self._unsaved:
                log.warning(
                    "the local endpoint's state cannot be saved, and is tried again: %s", problem
                )
            self._unsaved = True
        else:
            self._saved = self.endpoint.generation
            self._unsaved = False

    def _run(self) -> None:
        try:
            while not self._closed:
                self._step()
        except BaseException as problem:
            with self._lock:
                self._failed = problem
                self._changed.notify_all()

    def _step(self) -> None:
        timeout = self.clock.wait_for(self._wake)
        observed = []
        try:
            first = self._inbox.get(timeout=timeout)
            if first is not None:
                observed.append(first)
            while True:  # whatever came meanwhile goes into the same tick
                more = self._inbox.get_nowait()
                if more is not None:
                    observed.append(more)
        except queue.Empty:
            pass
        with self._lock:
            if not self._closed:
                self._tick(observed)
            if observed:
                with self._pending_lock:
                    self._pending -= len(observed)
                self._changed.notify_all()
