"""The line that says how far a launch is."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from aciflow.timeline import PhaseEvent
from aciflow.timeline.live import NotebookLine, TerminalLine, default_hook, line


class Terminal(io.StringIO):
    """A stream that says it is a terminal, of an encoding."""

    def __init__(self, encoding: str | None = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str | None:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True


def event(name: str = "pull", at: float = 1.0, detail: str = "") -> PhaseEvent:
    """Make an event of a phase that goes on."""
    return PhaseEvent(name=name, status="progress", at=at, detail=detail)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (PhaseEvent(name="auth", status="started", at=0.0), "   0.0 s  auth"),
        (
            PhaseEvent(
                name="pull", status="progress", at=12.34, container="web", detail="3 of 9 MB"
            ),
            "  12.3 s  pull (web): 3 of 9 MB",
        ),
        (
            PhaseEvent(name="resource_group", status="finished", at=2.0, duration=1.25),
            "   2.0 s  resource group done in 1.2 s",
        ),
        (PhaseEvent(name="ready", status="finished", at=2.0), "   2.0 s  ready done"),
        (
            PhaseEvent(name="a\nb", status="started", at=0.0),
            "   0.0 s  a\N{REPLACEMENT CHARACTER}b",
        ),
    ],
)
def test_line(made: PhaseEvent, expected: str) -> None:
    """An event is one short line, with when and what."""
    assert expected == line(made)


def test_no_line_for_a_pipe() -> None:
    """Nothing is written where nobody watches."""
    assert default_hook(io.StringIO()) is None


def test_no_line_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a console gets no line, and no crash."""
    monkeypatch.setattr(sys, "stderr", None)

    assert default_hook() is None


def test_terminal_line_is_overwritten_and_wiped() -> None:
    """Each event takes the place of the one before; in the end the line is empty."""
    stream = Terminal()
    hook = default_hook(stream)
    assert isinstance(hook, TerminalLine)

    hook(event(detail="a long detail"))
    hook(event(name="ready"))
    hook.close()
    hook.close()

    written = stream.getvalue().split("\r")
    assert written[:2] == ["", "   1.0 s  pull: a long detail"]
    assert written[2].rstrip() == "   1.0 s  ready"
    assert len(written[1]) == len(written[2])
    assert written[3].strip() == ""
    assert written[-1] == ""


def test_closing_an_unused_line_writes_nothing() -> None:
    """A launch without events leaves the terminal alone."""
    stream = Terminal()

    TerminalLine(stream).close()

    assert stream.getvalue() == ""


def test_terminal_line_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line never wraps."""
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()

    TerminalLine(stream)(event(detail="x" * 200))

    assert len(stream.getvalue().lstrip("\r")) == 39


@pytest.mark.parametrize("encoding", ["ascii", None])
def test_terminal_that_cannot_encode(encoding: str | None) -> None:
    """A character that the terminal has not is replaced, where its encoding is known to lack it."""
    stream = Terminal(encoding)

    TerminalLine(stream)(event(detail="é"))

    assert ("?" if encoding else "é") in stream.getvalue()


def test_real_terminal() -> None:
    """On a terminal of the operating system the default hook writes its line, and nothing to a pipe."""
    program = (
        "from aciflow.timeline import PhaseEvent\n"
        "from aciflow.timeline.live import default_hook\n"
        "hook = default_hook()\n"
        "hook(PhaseEvent(name='pull', status='started', at=0.5))\n"
        "hook.close()\n"
    )
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", program], stderr=theirs, check=True, timeout=30)
        written = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "0.5 s  pull" in written


def test_notebook_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook one output of the cell is updated in place, and keeps its last words."""
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    capture = pytest.importorskip("IPython.utils.capture")
    shell = interactive.InteractiveShell.instance()
    try:
        # What tells a kernel's shell from a terminal's.
        monkeypatch.setattr(type(shell), "kernel", object(), raising=False)
        hook = default_hook()
        assert isinstance(hook, NotebookLine)
        with capture.capture_output() as captured:
            hook(event())
            hook(event(name="ready", at=2.0))
            hook.close()
    finally:
        interactive.InteractiveShell.clear_instance()

    assert [out.data["text/plain"] for out in captured.outputs] == ["1.0 s  pull", "2.0 s  ready"]


def test_no_notebook_in_a_terminal_shell() -> None:
    """IPython in a terminal is a terminal."""
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    interactive.InteractiveShell.instance()
    try:
        assert isinstance(default_hook(Terminal()), TerminalLine)
    finally:
        interactive.InteractiveShell.clear_instance()
