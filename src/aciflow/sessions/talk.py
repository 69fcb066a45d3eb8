"""
An exec from its first session to its exit code, as a generator that asks for what it needs.

It yields :class:`Open`, :class:`Send`, :class:`Receive` and :class:`Output`, and is sent what came of
them. :mod:`~aciflow.sessions.sync` and :mod:`~aciflow.sessions.aio` do them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from math import inf
from typing import TypeAlias

from attrs import define, field, frozen

from aciflow.errors import AciflowError, ExecError, ExecTimeoutError, NoShellError
from aciflow.sessions.shell import SHELL, Transcript, plain, typed
from aciflow.sessions.values import ExecResult


__all__ = ["Asked", "Open", "Output", "Receive", "Send", "Talk", "execute"]

#: Seconds to wait for a shell's prompt: what is typed before it is there may be lost on its way.
GREETING = 2.0
#: Seconds in which a shell must begin with what was typed.
ANSWER = 30.0
#: Seconds for a command that is told to end (Ctrl-C), before it is killed.
GRACE = 0.5
#: Seconds to kill it.
KILL = 5.0

INTERRUPT = b"\x03"


@frozen
class Open:
    """Open a terminal for a command, in place of the one before; errors are thrown in."""

    command: str


@frozen
class Send:
    """Type something."""

    data: bytes


@frozen
class Receive:
    """Sent back: what comes next, ``b""`` once it has ended, ``None`` if the time came first."""

    until: float | None = None


@frozen
class Output:
    """Output of the command, as it comes."""

    data: bytes


Asked: TypeAlias = Open | Send | Receive | Output
Talk: TypeAlias = Generator[Asked, bytes | None, ExecResult]
_Quiet: TypeAlias = Generator[Asked, bytes | None, bool]


def execute(
    argv: Sequence[str],
    *,
    mark: str,
    now: Callable[[], float],
    timeout: float | None = None,
    shell: bool = True,
) -> Talk:
    """
    Run a command to its end.

    Args:
        argv: The command and its arguments.
        mark: Letters and digits that nobody can guess.
        now: The clock of :class:`Receive`, in seconds.
        timeout: Seconds that it may take, from the opening of its terminal.
        shell: Whether a shell may be there at all: Windows has none that understands this.

    Raises:
        NoShellError: There is no shell, and without one arguments cannot be passed.
        ExecTimeoutError: It was not done in time.
        ExecError: It was cut off.
        ValueError: No program could be given these arguments.
    """
    return _Exec(argv=tuple(argv), mark=mark, now=now, timeout=timeout).run(shell=shell)


@define(kw_only=True)
class _Exec:
    argv: tuple[str, ...]
    mark: str
    now: Callable[[], float]
    timeout: float | None
    output: bytearray = field(factory=bytearray)

    def run(self, *, shell: bool) -> Talk:
        lines = typed(self.argv, self.mark)
        said = ""
        if shell:
            transcript = Transcript(self.mark)
            result = yield from self._by_shell(lines, transcript)
            if result is not None:
                return result
            said = transcript.said.strip()
        program = self.argv[0]
        if self.argv[1:] or len(program.split()) > 1:
            raise NoShellError(
                f"{program!r} cannot be given arguments: exec of ACI starts one program without "
                f"any, and this container has no {SHELL} to do it"
                + (f" (it said: {said.splitlines()[-1]})" if said else "")
                + ". Use an image with a shell, or a program in the image that needs no arguments"
            )
        return (yield from self._directly())

    def _by_shell(
        self, lines: bytes, transcript: Transcript
    ) -> Generator[Asked, bytes | None, ExecResult | None]:
        """``None``: there is no shell."""
        yield Open(SHELL)
        began = self.now()
        deadline = inf if self.timeout is None else began + self.timeout
        data = yield Receive(min(deadline, began + GREETING))
        answer = inf
        while data != b"":
            if data is None and transcript.begun:
                ended = yield from self._kill(transcript)
                raise self._late(ended=ended)
            if data is None and (self.now() >= deadline or answer < inf):
                raise self._silent(late=self.now() >= deadline)
            if data is not None:
                yield from self._take(transcript.feed(data))
            if transcript.ended:
                return ExecResult(self._text(), transcript.exit_code)
            if answer == inf:
                yield Send(lines)
                answer = self.now() + ANSWER
            until = deadline if transcript.begun else min(deadline, answer)
            data = yield Receive(None if until == inf else until)
        if not transcript.begun:
            return None
        yield from self._take(transcript.finish())
        raise ExecError(
            f"{self.argv[0]!r} was cut off: its terminal ended before it did, as when its container ends",
            output=self._text(),
        )

    def _directly(self) -> Talk:
        yield Open(self.argv[0])
        deadline = None if self.timeout is None else self.now() + self.timeout
        held = b""
        while (data := (yield Receive(deadline))) != b"":
            if data is None:
                yield from self._take(held)
                yield Send(INTERRUPT)
                ended = yield from self._ends(GRACE)
                raise self._late(ended=ended)
            data = held + data
            held = b"\r" if data.endswith(b"\r") else b""
            yield from self._take(plain(data[: len(data) - len(held)]))
        yield from self._take(held)
        return ExecResult(self._text(), None)

    def _take(self, data: bytes) -> Generator[Asked, bytes | None, None]:
        if data:
            self.output += data
            yield Output(data)

    def _kill(self, transcript: Transcript) -> _Quiet:
        """End it, by force if need be; returns whether it certainly has."""
        yield from self._take(transcript.finish())
        try:
            yield Send(INTERRUPT)
            if (yield from self._ends(GRACE)):
                return True
            yield Open(SHELL)
            yield Receive(self.now() + GREETING)
            pid = transcript.pid
            yield Send(f"kill -9 -{pid} || kill -9 {pid}; exit\n".encode())
            return (yield from self._ends(KILL))
        except AciflowError:
            return False  # what is reported is that it took too long

    def _ends(self, seconds: float) -> _Quiet:
        until = self.now() + seconds
        while True:
            data = yield Receive(until)
            if not data:
                return data is not None

    def _text(self) -> str:
        return self.output.decode("utf-8", "replace")

    def _late(self, *, ended: bool) -> ExecTimeoutError:
        how = "and was ended" if ended else "and may still run"
        return ExecTimeoutError(
            f"{self.argv[0]!r} was not done within {self.timeout:g} s {how}", output=self._text()
        )

    def _silent(self, *, late: bool) -> ExecError:
        if late:
            return ExecTimeoutError(f"{self.argv[0]!r} had not begun within {self.timeout:g} s")
        return ExecError(f"{SHELL} in the container does not answer")
