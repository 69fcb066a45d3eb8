"""
What the endpoint needs of whatever really runs containers.

A runtime does as it is told and reports what happens; it decides nothing. Restart policies,
back-off, the order of init containers and every state that ARM shows belong to the pure endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from aciflow.local.protocol import Action, Observation, OpenTerminal, Question


__all__ = ["Clock", "Report", "Runtime", "Terminal"]


Report: TypeAlias = Callable[[Observation], None]
"""Takes an observation from any thread; never blocks and never raises."""

Clock: TypeAlias = Callable[[], float]
"""Seconds since the epoch."""


class Terminal(Protocol):
    """
    A process's terminal, or a container's output: bytes both ways, blocking.

    One thread may read while another writes; :meth:`close` from any thread ends both.
    """

    def read(self) -> bytes:
        """What comes next, at least a byte; ``b""`` when it has ended."""
        ...

    def write(self, data: bytes) -> None:
        """
        Input for the process; nothing happens to what only shows output, or has ended.

        An empty ``data`` is nothing, not an end.
        """
        ...

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        ...

    def close(self) -> None:
        """Let go of it: a process that still runs loses its terminal (SIGHUP). May be called twice."""
        ...


class Runtime(Protocol):
    """
    Carries out actions.

    What every runtime must keep to:

    * ``execute`` returns at once, never raises, and may be called from any one thread at a time.
    * Every action is answered by the observation that its docstring names, also when it fails.
    * An action that is given again (after its process was killed, say) is answered again and does
      nothing twice: a sandbox that is open, an image that is there, an attempt that runs.
    * ``CloseSandbox`` is obeyed at any time, also in the middle of a pull or a start, and for a sandbox
      that was never opened. ``Closed`` is the last that is heard of its group.
    * ``Exited`` carries the ``attempt`` of the start that it ends, and comes exactly once for each
      ``Started``, unless the group is closed before.
    * A group's volumes and its containers' logs stay until it is closed. Its address stays while a
      container comes back by itself, as far as the runtime can hold it; another one is told by another
      ``SandboxReady``.

    Attributes:
        kind: What the endpoint says it runs on.
    """

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """``engine`` for real containers."""
        ...

    def start(self, report: Report, clock: Clock) -> None:
        """
        Begin: from now on observations go to ``report``. Called once, before anything else.

        Raises:
            aciflow.errors.EngineUnavailableError: There is nothing to run containers on.
        """
        ...

    def execute(self, action: Action) -> None:
        """Carry out an action in the runtime's own time."""
        ...

    def answer(self, question: Question) -> Any:
        """
        Answer a question; may block, and is called from several threads at once.

        ``ResolveImages`` is answered by a tuple of ``ImageAnswer`` in the same order; ``ReadLogs`` by
        a string, empty for a container that has not started; ``ListImages`` by a tuple of names.
        """
        ...

    def terminal(self, wanted: OpenTerminal) -> Terminal:
        """
        Open a terminal; may block, and is called from several threads at once.

        A command that is not there is not an error: the terminal shows why, and ends.

        Raises:
            aciflow.errors.EngineUnavailableError: The engine does not answer.
            LookupError: The container does not run (any more), in words.
        """
        ...

    def recover(self, groups: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Adopt what an earlier process of the same endpoint left.

        Whatever carries this endpoint's labels and belongs to none of ``groups`` is removed. For each
        container that the endpoint believes to be running, ``Exited`` is reported if it is not (exit
        code 137 where nobody knows), and otherwise it is watched as if this process had started it.
        The endpoint itself gives the actions again that were under way.

        Args:
            groups: For each uid ``{"resource_id": str, "ip": str | None, "running": {container:
                {"attempt": int, "container_id": str}}}``.
        """
        ...

    def close(self, *, remove: bool) -> None:
        """
        End, and wait for the runtime's threads.

        Args:
            remove: Also remove everything of this endpoint, without reporting it.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What ``doctor`` shows: at least ``{"kind": ..., "ok": bool, "detail": str}``."""
        ...
