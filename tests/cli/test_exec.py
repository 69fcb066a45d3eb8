"""``aciflow exec`` and ``attach`` on a real engine, with and without a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time

from collections.abc import Iterator

import pytest

from tests.cli.test_commands import Run, aciflow, background, command, wait_until


__all__ = ["aciflow"]

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture
def web(aciflow: Run, web_image: str) -> str:
    """A container group that idles."""
    done = aciflow("launch", web_image, "--name", "web", "--quiet", "--", "/bin/sleep", "600")
    assert done.returncode == 0, done.stderr
    return "web"


def test_output_and_exit_code(aciflow: Run, web: str) -> None:
    """They are the command's, also as JSON; what is wrong with the call is said."""
    done = aciflow("exec", web, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\nerr\n")

    done = aciflow("exec", web, "--json", "--", "echo", "hi")
    assert json.loads(done.stdout) == {"output": "hi\n", "exit_code": 0}

    done = aciflow("exec", web, "--timeout", "2", "--", "sh", "-c", "echo begun; sleep 50")
    assert (done.returncode, done.stdout) == (1, "begun\n")
    assert "'sh' was not done within 2 s and was ended" in done.stderr

    for words, says in (
        ([web], "name a command, after --"),
        (["-it", web], "-it needs a terminal here"),
        (["-it", "--json", web], "has no JSON"),
    ):
        done = aciflow("exec", *words)
        assert (done.returncode, says in done.stdout + done.stderr) == (2, True)


def test_attach(aciflow: Run, web: str) -> None:
    """What the container writes is printed as it comes; JSON would have no end."""
    assert aciflow("attach", web, "--json").returncode == 2
    with background("attach", web) as process:
        assert process.stderr is not None
        while "attached to 'web'" not in (line := process.stderr.readline()):
            assert line
        wait_until(lambda: aciflow("exec", web, "--", "sh", "-c", "echo hi > /proc/1/fd/1"))
        assert process.stdout is not None
        assert process.stdout.readline() == "hi\n"


class Terminal:
    """A command that has this test as its terminal."""

    def __init__(self, *words: str) -> None:
        self.master, slave = pty.openpty()
        self.resize(30, 100)
        self.process = subprocess.Popen(
            command(*words), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, text: str) -> None:
        """Until it has shown something, which is then forgotten."""
        end = time.monotonic() + 30
        while text.encode() not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)
        self.seen = self.seen.partition(text.encode())[2]


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Those that are to be ended."""
    made: list[Terminal] = []
    yield made
    for one in made:
        one.process.kill()
        one.process.wait(timeout=30)
        os.close(one.master)


def test_interactive(web: str, terminals: list[Terminal]) -> None:
    """A shell has this terminal: keys, and Ctrl-C; and ends with its exit code."""
    shell = Terminal("exec", "-it", web)
    terminals.append(shell)

    shell.wait_for("# ")
    shell.type("echo $((6*7))\n")
    shell.wait_for("\n42\r\n")
    shell.type("sleep 600\n")
    shell.wait_for("sleep 600")
    time.sleep(0.2)
    shell.type("\x03")
    shell.wait_for("# ")
    shell.type("exit 5\n")
    assert shell.process.wait(timeout=30) == 5


def test_interactive_command(web: str, terminals: list[Terminal]) -> None:
    """A command with arguments has the terminal, and its own input."""
    command = Terminal("exec", "-it", web, "--", "sh", "-c", "tty; read x; echo got $x; exit 4")
    terminals.append(command)

    command.wait_for("/dev/pts/")
    command.type("this\n")
    command.wait_for("got this")
    assert command.process.wait(timeout=30) == 4
