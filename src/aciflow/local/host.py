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

from typing import Any, Protocol

from aciflow.errors import EndpointUnreachableError
from aciflow.local.endpoint import Endpoint
from aciflow.local.protocol import Observation, Reply, Request
from aciflow.local.runtime.base import Clock, Runtime, Terminal


__all__ = ["Host", "Store"]

log = logging.getLogger("aciflow")

DELETE_WAIT = 60.0
"""Seconds that the reply to a DELETE is held until nothing of the group is left; ACI takes 3 to 4."""

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


class Host:
    """
    One endpoint on one runtime.

    Args:
        endpoint: Used by this host alone from now on.
        runtime: Not yet started; the host starts and closes it.
        store: Where the state goes whenever it has changed, or ``None``.
        recover: Let the runtime adopt or remove what an earlier process left; always done for an
            endpoint that has groups.
        clock: Seconds since the epoch.

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
    ) -> None:
        self.endpoint = endpoint
        self.runtime = runtime
        self.clock = clock
        self._store = store
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
        runtime.start(self._inbox.put, clock)
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
        """
        self._check()
        answer: Any = None
        while True:
            with self._lock:
                self._check()
                before = self.endpoint.closing if request.method == "DELETE" else frozenset()
                reply = self.endpoint.handle(request, self.clock(), answer)
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
            thread = self._thread
            self._changed.notify_all()
        self._inbox.put(None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)
        self.runtime.close(remove=not keep)

    # --- inside ----------------------------------------------------------------------------

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
        self._changed.wait_for(
            lambda: self._closed or not uids & self.endpoint.closing, timeout=DELETE_WAIT
        )

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
        wake = self._wake
        timeout = None if wake is None else max(wake - self.clock(), 0.0)
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
