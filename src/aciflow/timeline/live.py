"""
One line that says how far a launch is, for a terminal and for a notebook.

Both are hooks for ``on_phase``. They write nothing where nobody watches: not to a file, not to a pipe.
"""

from __future__ import annotations

import shutil
import sys

from typing import TYPE_CHECKING, Protocol

from aciflow.timeline.layout import clean, seconds


if TYPE_CHECKING:
    from typing import Any, TextIO

    from aciflow.timeline.values import PhaseEvent


class ProgressHook(Protocol):
    """A hook for ``on_phase`` that is closed when the launch has ended, well or not."""

    def __call__(self, event: PhaseEvent, /) -> None:
        """Take note of an event."""

    def close(self) -> None:
        """End it; may be called twice."""


def default_hook(stream: TextIO | None = None) -> ProgressHook | None:
    """
    The hook that suits where this runs: a notebook, a terminal, or ``None`` for neither.

    Args:
        stream: The terminal; standard error unless given.
    """
    notebook = notebook_hook()
    if notebook is not None:
        return notebook
    stream = sys.stderr if stream is None else stream
    # A process without a console (pythonw, some services) has no standard error at all.
    if stream is None or not stream.isatty():
        return None
    return TerminalLine(stream)


def notebook_hook() -> ProgressHook | None:
    """The hook for a notebook, or ``None`` elsewhere: what a launch uses that is given none."""
    return NotebookLine() if _in_notebook() else None


def _in_notebook() -> bool:
    """Whether the running IPython shell, if there is one, belongs to a kernel."""
    module = sys.modules.get("IPython")
    return module is not None and getattr(module.get_ipython(), "kernel", None) is not None


def line(event: PhaseEvent) -> str:
    """``1.25 s  pull (web): 3 of 10 MB``, of one event."""
    text = f"{seconds(event.at, 1):>8}  {event.name.replace('_', ' ')}"
    if event.container is not None:
        text += f" ({event.container})"
    if event.detail:
        text += f": {event.detail}"
    elif event.status == "finished":
        text += " done" if event.duration is None else f" done in {seconds(event.duration, 1)}"
    return clean(text)


class TerminalLine:
    """
    A line that is written over again and again, and is gone in the end.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0

    def __call__(self, event: PhaseEvent, /) -> None:
        """Show it in place of the event before."""
        # The last column stays empty: writing there makes some terminals begin a new line.
        self._write(line(event)[: shutil.get_terminal_size().columns - 1])

    def close(self) -> None:
        """Wipe the line."""
        if self._shown:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()

    def _write(self, text: str) -> None:
        # Blanks and not an escape sequence, which a dumb terminal would print.
        encoding = self._stream.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        self._stream.write("\r" + text.ljust(self._shown))
        self._stream.flush()
        self._shown = len(text)


class NotebookLine:
    """A line below the cell that runs, updated in place; it stays, and says how it ended."""

    def __init__(self) -> None:
        self._handle: Any = None

    def __call__(self, event: PhaseEvent, /) -> None:
        """Show it in place of the event before."""
        from IPython.display import display

        show: Any = display  # untyped
        content = {"text/plain": line(event).strip()}
        if self._handle is None:
            self._handle = show(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def close(self) -> None:
        """Leave the last line as it is."""
