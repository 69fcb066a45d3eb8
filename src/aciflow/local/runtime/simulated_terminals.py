"""What exec and attach show of a container that is only simulated."""

from __future__ import annotations

import threading

from collections.abc import Callable
from typing import Protocol

from aciflow.local.protocol import OpenTerminal


__all__ = ["NothingRunsHere", "SimulatedLog"]


class _Follows(Protocol):
    def follow(
        self, wanted: OpenTerminal, attempt: int, shown: int, given_up: Callable[[], bool]
    ) -> str:
        """See :meth:`aciflow.local.runtime.simulated.SimulatedRuntime.follow`."""
        ...

    def wake(self) -> None:
        """Let whoever waits look again."""
        ...


class NothingRunsHere:
    """
    The terminal of an exec: there is no process, and it does not make one up.

    Args:
        wanted: What was asked for.
    """

    def __init__(self, wanted: OpenTerminal) -> None:
        self._left = (
            f"aciflow: container '{wanted.container}' is simulated; nothing runs in it, and the command "
            "was not run\r\n"
        ).encode()

    def read(self) -> bytes:
        """The line, then the end."""
        said, self._left = self._left, b""
        return said

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def resize(self, rows: int, columns: int) -> None:
        """Nothing to draw again."""

    def close(self) -> None:
        """Nothing is held."""
        self._left = b""


class SimulatedLog:
    """
    The log of a simulated container, while its present run lasts.

    Args:
        runtime: Whose container.
        wanted: Which one.
        attempt: The run.
    """

    def __init__(self, runtime: _Follows, wanted: OpenTerminal, attempt: int) -> None:
        self._runtime = runtime
        self._wanted = wanted
        self._attempt = attempt
        self._shown = 0
        self._closed = threading.Event()

    def read(self) -> bytes:
        """What was written since; blocks until there is something."""
        text = self._runtime.follow(self._wanted, self._attempt, self._shown, self._closed.is_set)
        self._shown += len(text)
        return text.encode()

    def write(self, data: bytes) -> None:
        """It only shows output."""

    def resize(self, rows: int, columns: int) -> None:
        """It only shows output."""

    def close(self) -> None:
        """End, also a read that waits."""
        self._closed.set()
        self._runtime.wake()
