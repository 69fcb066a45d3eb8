"""
The endpoint's clock: real time, unless somebody stops it or sets it forward.

What the endpoint decides follows it: back-off, time-outs of provisioning, when a probe is due, when a token
or a session expires, and all that a simulated container does. What really runs has its own time.
"""

from __future__ import annotations

import math
import threading
import time

from collections.abc import Callable
from typing import NamedTuple, Protocol

from aciflow.errors import ConfigurationError
from aciflow.local.runtime.base import Clock


__all__ = ["LocalClock", "SharedClock", "Waiter"]

_SETTLING = 30.0
"""Real seconds that what is due may take to happen while the clock is set forward."""


class Waiter(Protocol):
    """Whoever does something at a time of the clock; every method from any thread."""

    def due(self) -> float | None:
        """When it has something to do next; ``None``: not by itself."""
        ...

    def wake(self) -> None:
        """Look at the clock again: it is not what it was."""
        ...

    def settle(self, timeout: float) -> bool:
        """Wait until all that is due has been done; returns whether it has, in real seconds."""
        ...


class _Setting(NamedTuple):
    offset: float = 0.0
    """Seconds ahead of real time; as long as it stands still, of the moment when it was stopped."""

    frozen: float | None = None


_REAL = _Setting()


class LocalClock:
    """
    A clock: calling it gives seconds since the epoch.

    Args:
        real: The time as it really is.
        ahead: Seconds that it begins ahead of that.
    """

    def __init__(self, real: Clock = time.time, *, ahead: float = 0.0) -> None:
        self.real = real
        self._setting = _Setting(offset=ahead)  # replaced as a whole: reading it takes no lock
        self._lock = threading.RLock()
        self._waiters: list[Waiter] = []
        self._after: list[Callable[[LocalClock], None]] = []

    def __call__(self) -> float:
        """Seconds since the epoch."""
        offset, frozen = self._setting
        return self.real() + offset if frozen is None else frozen

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._setting.frozen is not None

    @property
    def changed(self) -> bool:
        """Whether it is not just real time."""
        return self._setting != _REAL

    @property
    def ahead(self) -> float:
        """Seconds that it is ahead of real time."""
        return self() - self.real()

    def freeze(self) -> None:
        """Let it stand still, until :meth:`resume` or :meth:`advance`."""
        with self._lock:
            offset, frozen = self._setting
            if frozen is None:
                self._set(_Setting(offset, self.real() + offset))

    def resume(self) -> None:
        """Let it go on from where it stands."""
        with self._lock:
            frozen = self._setting.frozen
            if frozen is not None:
                self._set(_Setting(frozen - self.real()))

    def advance(self, seconds: float) -> None:
        """
        Set it forward, and return when what was due meanwhile has been done, in its order.

        A simulated group gets as far in it as it would have got by itself. What really runs is only told
        to: a container that is due to be restarted starts in its own time.

        Args:
            seconds: Not below zero.

        Raises:
            ConfigurationError: ``seconds`` is below zero, or no number.
        """
        if not 0 <= seconds < math.inf:
            raise ConfigurationError(f"seconds={seconds!r}: a clock goes forward")
        with self._lock:
            offset, frozen = self._setting
            start = self()
            # It stands still meanwhile, so that the order does not depend on how fast this machine is.
            self._set(_Setting(offset, start))
            until = start + seconds
            settled = True
            while settled and (due := self._due()) is not None and due <= until:
                settled = self._step(max(due, self()))
            self._step(until)
            if frozen is None:
                self.resume()

    def instant(self, real: float) -> float:
        """What this clock said, or would have said, at a real time that is over."""
        offset, frozen = self._setting
        return real + offset if frozen is None else min(real + offset, frozen)

    def wait_for(self, due: float | None) -> float | None:
        """Real seconds until a time of this clock; ``None``: it does not come by itself."""
        if due is None:
            return None
        left = due - self()
        if left <= 0:
            return 0.0
        return None if self.frozen else left

    def subscribe(self, waiter: Waiter) -> None:
        """Tell somebody of every change from now on."""
        with self._lock:
            self._waiters.append(waiter)

    def unsubscribe(self, waiter: Waiter) -> None:
        """Tell somebody nothing more."""
        # No lock: whoever sets the clock forward may be waiting for the one who ends.
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def on_change(self, hook: Callable[[LocalClock], None]) -> None:
        """Call something after every change, for whoever keeps it."""
        self._after.append(hook)

    def _due(self) -> float | None:
        times = [waiter.due() for waiter in list(self._waiters)]
        return min((at for at in times if at is not None), default=None)

    def _step(self, to: float) -> bool:
        self._set(_Setting(self._setting.offset + to - self(), to))
        limit = time.monotonic() + _SETTLING
        waiters = list(self._waiters)
        return all(waiter.settle(max(limit - time.monotonic(), 0.0)) for waiter in waiters)

    def _set(self, setting: _Setting) -> None:
        self._setting = setting
        for waiter in list(self._waiters):
            waiter.wake()
        for hook in list(self._after):
            hook(self)


class SharedClock(LocalClock):
    """Real time, which nobody can change: the endpoint of all of a user's processes has it."""

    def _set(self, setting: _Setting) -> None:  # noqa: ARG002
        raise ConfigurationError(
            "the shared local endpoint's clock cannot be set, since other programs use it too; "
            "make an endpoint of your own: aciflow.local.LocalAzure()"
        )

    def resume(self) -> None:
        """Refused."""
        self._set(_Setting())
