"""An exec step by step, with scripted terminals."""

from __future__ import annotations

from typing import Any

import pytest

from aciflow.errors import (
    ContainerNotRunningError,
    ExecError,
    ExecTimeoutError,
    NoShellError,
)
from aciflow.sessions.talk import ANSWER, INTERRUPT, Open, Output, Receive, Send, execute
from aciflow.sessions.values import ExecResult


MARK = "0123456789abcdef0123456789abcdef"
BEGIN = f"{MARK}b:17\r\n".encode()
END = f"{MARK}e:3\r\n".encode()
PROMPT = b"# "


class Scene:
    """
    Plays the terminals.

    Args:
        terminals: What each gives, in order: bytes, ``None`` (nothing until the time), or ``b""`` for
            its end; an error instead is raised where it is opened.
    """

    def __init__(self, *terminals: Any, **how: Any) -> None:
        self.time = 0.0
        self.opened: list[str] = []
        self.sent: list[bytes] = []
        self.shown = b""
        self._left = list(terminals)
        self._now: list[Any] = []
        self._how = {"mark": MARK, "now": lambda: self.time, **how}

    def run(self, *argv: str) -> ExecResult:
        """Until it has ended."""
        talk = execute(argv, **self._how)
        value, error = None, None
        while True:
            try:
                asked = talk.send(value) if error is None else talk.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            value = error = None
            match asked:
                case Open(command):
                    self.opened.append(command)
                    terminal = self._left.pop(0)
                    if isinstance(terminal, Exception):
                        error = terminal
                    else:
                        self._now = list(terminal)
                case Send(data):
                    self.sent.append(data)
                case Receive(until):
                    value = self._now.pop(0) if self._now else None
                    if value is None:
                        assert until is not None, "it would wait for ever"
                        self.time = max(until, self.time)
                case Output(data):
                    self.shown += data


def test_to_its_end() -> None:
    """The shell is greeted first, then told; the output comes as it does, and the exit code at the end."""
    scene = Scene([PROMPT, b"echo...", BEGIN + b"a\r\n", b"b", END])

    assert scene.run("echo", "hi") == ExecResult("a\nb", 3)
    assert (scene.opened, scene.shown) == (["/bin/sh"], b"a\nb")
    assert len(scene.sent) == 1


def test_a_shell_without_a_prompt() -> None:
    """One that says nothing is told all the same."""
    scene = Scene([None, BEGIN + END])

    assert scene.run("true").exit_code == 3
    assert scene.time == 2.0


def test_one_word_without_a_shell() -> None:
    """It is started as it is; nobody tells an exit code."""
    scene = Scene([b"exec: /bin/sh: no such file\r\n", b""], [b"out\r", b"\nmore\r", b""])

    assert scene.run("/app") == ExecResult("out\nmore\r", None)
    assert scene.opened == ["/bin/sh", "/app"]
    assert scene.shown == b"out\nmore\r"


def test_arguments_without_a_shell() -> None:
    """They would be lost, so it is refused with what the container said."""
    with pytest.raises(NoShellError, match=r"cannot be given arguments.*no such file\)\. Use"):
        Scene([b"exec: /bin/sh: no such file\r\n", b""]).run("/app", "--version")
    with pytest.raises(NoShellError, match=r"to do it\. Use"):
        Scene([b""]).run("/my app")


def test_a_container_without_shells_at_all() -> None:
    """Windows's is not even asked for one."""
    scene = Scene([b"C:\\", b""], shell=False)

    assert scene.run("hostname") == ExecResult("C:\\", None)
    assert scene.opened == ["hostname"]


def test_too_late_and_obedient() -> None:
    """Ctrl-C ends it; the error has what it wrote."""
    scene = Scene([PROMPT, BEGIN + b"so far\r\n" + MARK[:5].encode(), None, b"^C", b""], timeout=5)

    with pytest.raises(ExecTimeoutError, match="within 5 s and was ended") as caught:
        scene.run("sleep", "9")
    assert caught.value.output == "so far\n" + MARK[:5]
    assert isinstance(caught.value, TimeoutError)
    assert scene.sent[1] == INTERRUPT
    assert scene.opened == ["/bin/sh"]


def test_too_late_and_stubborn() -> None:
    """What ignores Ctrl-C is killed with its whole process group, from another session."""
    scene = Scene([PROMPT, BEGIN, None, None], [PROMPT, b"exit", b""], timeout=5)

    with pytest.raises(ExecTimeoutError, match="was ended"):
        scene.run("sleep", "9")
    assert scene.opened == ["/bin/sh", "/bin/sh"]
    assert scene.sent[2] == b"kill -9 -17 || kill -9 17; exit\n"


@pytest.mark.parametrize("second", [[PROMPT], ContainerNotRunningError("gone")])
def test_too_late_and_not_known_to_have_ended(second: Any) -> None:
    """Where it cannot be seen to end, the error does not say that it has."""
    with pytest.raises(ExecTimeoutError, match="within 5 s and may still run"):
        Scene([PROMPT, BEGIN, None, None], second, timeout=5).run("sleep", "9")


def test_too_late_without_a_shell() -> None:
    """The same for what was started directly."""
    scene = Scene([b""], [b"out\r", None, b""], timeout=5)

    with pytest.raises(ExecTimeoutError) as caught:
        scene.run("/app")
    assert caught.value.output == "out\r"
    assert scene.sent == [INTERRUPT]


def test_too_late_before_it_began() -> None:
    """A time that is up while the shell is still coming."""
    with pytest.raises(ExecTimeoutError, match="had not begun within 1 s"):
        Scene([None], timeout=1.0).run("true")
    with pytest.raises(ExecTimeoutError, match="had not begun within 3 s"):
        Scene([PROMPT, None], timeout=3.0).run("true")


def test_a_shell_that_does_not_answer() -> None:
    """It is not waited for without end."""
    scene = Scene([PROMPT, b"?", None])

    with pytest.raises(ExecError, match="/bin/sh in the container does not answer"):
        scene.run("true")
    assert scene.time == ANSWER


def test_cut_off() -> None:
    """A terminal that ends before the command did, as when its container ends."""
    with pytest.raises(ExecError, match="was cut off") as caught:
        Scene([PROMPT, BEGIN + b"half\r", b""]).run("tail", "-f")
    assert caught.value.output == "half\r"


def test_errors_of_a_session() -> None:
    """Those of opening it are the caller's."""
    with pytest.raises(ContainerNotRunningError, match="gone"):
        Scene(ContainerNotRunningError("gone")).run("true")


def test_bytes_that_are_no_text() -> None:
    """They are replaced, not an error."""
    assert Scene([PROMPT, BEGIN + b"\xff" + END]).run("cat").output == "\N{REPLACEMENT CHARACTER}"
