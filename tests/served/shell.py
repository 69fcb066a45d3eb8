"""A runtime whose containers are simulated and whose terminals are real: ``sh`` on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

from aciflow.local.protocol import OpenTerminal
from aciflow.local.runtime.simulated import SimulatedRuntime


class ShellTerminal:
    """One command on a terminal of its own; a :class:`aciflow.local.runtime.base.Terminal`."""

    def __init__(self, command: str, rows: int, columns: int) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "$ "},
        )
        os.close(slave)
        self.closed = threading.Event()
        self._lock = threading.Lock()

    def read(self) -> bytes:
        """Output; empty at the end."""
        try:
            return os.read(self.master, 4096)
        except OSError:  # EIO: nobody has the other end any more
            return b""

    def write(self, data: bytes) -> None:
        """Input."""
        while data:
            data = data[os.write(self.master, data) :]

    def resize(self, rows: int, columns: int) -> None:
        """Another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """Hang up, and wait for the process."""
        with self._lock:
            if self.closed.is_set():
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGHUP)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.closed.set()

    def release(self) -> None:
        """After the test, when nobody reads any more."""
        self.close()
        os.close(self.master)


class ShellRuntime(SimulatedRuntime):
    """Remembers the terminals that it opened."""

    def __init__(self) -> None:
        super().__init__(speed=200.0)
        self.opened: list[ShellTerminal] = []

    def terminal(self, wanted: OpenTerminal) -> ShellTerminal:
        """Open one; a container named ``gone`` does not run."""
        if wanted.container == "gone":
            raise LookupError("the container does not run any more")
        made = ShellTerminal(wanted.command, wanted.rows, wanted.columns)
        self.opened.append(made)
        return made
