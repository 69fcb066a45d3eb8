"""
A few daemon threads that run what is given to them.

``concurrent.futures`` is not enough here: its threads are joined before ``atexit`` functions run, and
some interpreters refuse new threads from then on, yet what a process launched must still be deleted at
that point. So threads are daemons, idle ones stay, and where none can be had the caller runs the work
itself.
"""

from __future__ import annotations

import logging
import os
import queue
import threading

from collections.abc import Callable
from typing import Any


__all__ = ["Workers"]

log = logging.getLogger("aciflow")


class Workers:
    """
    A pool of at most ``limit`` daemon threads, started when there is work for them.

    Args:
        limit: The most threads.
        name: Prefix of the threads' names.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._pid = os.getpid()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, work: Callable[[], Any]) -> None:
        """Run ``work`` soon, in some thread. What it raises is logged: nobody else would hear of it."""
        self._after_fork()
        with self._lock:
            closed = self._closed
            idle = self._idle > 0
            start = not (closed or idle) and self._threads < self._limit
            if not closed:
                self._jobs.put(work)  # before what ends the threads
                self._idle -= idle
                self._threads += start
        if closed:
            self._do(work)
        elif start:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or there are too many
            with self._lock:
                self._threads -= not self._closed  # closing has counted it out already
            self._drain()

    def _drain(self) -> None:
        """Do what waits, unless a thread is there that will; others may have put their work there."""
        while True:
            with self._lock:
                if self._threads > 0:
                    return
                try:
                    work = self._jobs.get_nowait()
                except queue.Empty:
                    return
            if work is None:  # for the thread that could not be started: closed meanwhile
                return
            self._do(work)

    def _do(self, work: Callable[[], Any]) -> None:
        """In the caller's thread, whose interrupts are its own."""
        try:
            work()
        except Exception:
            log.exception("work of %s failed", self._name)

    def _run(self) -> None:
        while True:
            work = self._jobs.get()
            if work is None:
                return
            try:
                work()
            except BaseException:  # the thread is counted, so it has to take the next
                log.exception("work of %s failed", self._name)
            finally:
                del work  # a result must not be kept alive by an idle thread
                with self._lock:
                    self._idle += not self._closed  # a closed pool's threads take nothing more

    def _after_fork(self) -> None:
        """A fork has none of the threads, and a lock that one of them held would never be released."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self._reset()

    def close(self) -> None:
        """End the threads once they are idle. Work given afterwards runs in the caller's thread."""
        self._after_fork()
        with self._lock:
            self._closed = True
            threads = self._threads
            self._threads = 0
            self._idle = 0
        for _ in range(threads):
            self._jobs.put(None)
