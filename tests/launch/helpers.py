"""Scripts in processes of their own, and looks from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.images import Engine

import aciflow


ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-u", "-W", "error", "-c")
SLEEP = ("/bin/sleep", "600")


def fetch(url: str) -> str:
    """What a web server says at once."""
    with urllib.request.urlopen(url, timeout=5) as reply:
        content: bytes = reply.read()
        return content.decode()


def containers(engine: Engine, name: str) -> list[tuple[str, str]]:
    """Id and state of the engine's containers of a container group, by the group's name."""
    found = []
    for one in engine.json("/containers/json?all=1"):
        resource_id = (one["Labels"] or {}).get("aciflow.resource-id", "")
        if resource_id.rpartition("/")[2] == name:
            found.append((one["Id"], one["State"]))
    return found


class Script:
    """Python in a process of its own; ``print`` in it is what one can wait for."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.popen = subprocess.Popen(
            [*PYTHON, "import aciflow, sys, os, time\n" + code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate(timeout=30)[1]
        return line.rstrip("\n")

    def lines_until(self, word: str) -> str:
        """The first line with that word."""
        while word not in (line := self.line()):
            pass
        return line

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.popen.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Let it come to its end: exit code, the rest of stdout, stderr."""
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out, err


@contextmanager
def script(code: str, *arguments: str) -> Iterator[Script]:
    """A process that is killed if the test fails before it has ended."""
    made = Script(code, *arguments)
    try:
        yield made
    finally:
        if made.popen.poll() is None:
            made.popen.kill()
            made.popen.communicate(timeout=30)


def run_script(code: str, *arguments: str) -> tuple[int, str, str]:
    """A process from its beginning to its end: exit code, stdout, stderr."""
    with script(code, *arguments) as made:
        return made.end()


def names(client: aciflow.Client) -> set[str]:
    """The container groups of a client's subscription."""
    return {group.name for group in client.list()}
