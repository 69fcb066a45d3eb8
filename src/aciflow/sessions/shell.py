"""
Running a command by typing into a shell, and reading what came of it from the terminal.

What is typed is short lines of harmless characters, whatever the command is: a terminal's line has at most
4095 bytes, busybox's editor takes 1024, control characters would be obeyed, a tab would be completed. They
build a script, octal-escaped, and put another shell that runs it in the first one's place. The script says
where the command's output begins and ends by a random mark. It never has the mark in one piece, so that
nothing that shows the script (the terminal's echo, ``ps``) looks like one.

The command writes to a pipe where the image has ``cat``, so that it neither asks for a terminal's width nor
starts a pager; its input is empty.
"""

from __future__ import annotations

import re

from collections.abc import Sequence

from attrs import define, field


__all__ = ["COLUMNS", "ROWS", "SHELL", "Transcript", "plain", "typed"]

SHELL = "/bin/sh"
ROWS = 24
#: Wider than any line that is typed, so that no editor wraps it.
COLUMNS = 400
#: Characters of the script in one line.
PIECE = 250
#: Bytes of a script: Linux gives one argument 128 KiB.
MOST = 120_000
#: Bytes that are kept of what a shell says before the mark, for an error message.
KEPT = 2000

_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 /._=:,+@%-")


def typed(argv: Sequence[str], mark: str, *, interactive: bool = False) -> bytes:
    """
    What to type into a shell that it runs a command.

    Args:
        argv: The command and its arguments.
        mark: Letters and digits that nobody can guess.
        interactive: Leave it the terminal: no pipe, and its input.

    Raises:
        ValueError: An argument has a NUL, there is none, or they are longer than Linux passes on.
    """
    if not argv or not argv[0]:
        raise ValueError("argv names no program")
    if any("\0" in word for word in argv):
        raise ValueError("argv has a NUL character, which no program can be given")
    script = _script(argv, mark, interactive=interactive).encode("utf-8", "surrogateescape")
    if len(script) > MOST:
        raise ValueError(
            f"argv has {len(script)} bytes, and a shell takes {MOST}: put a file into the container "
            "(files=) and run that"
        )
    escaped = "".join(chr(byte) if byte in _SAFE else f"\\0{byte:03o}" for byte in script)
    pieces = [escaped[at : at + PIECE] for at in range(0, len(escaped), PIECE)]
    lines = ["s=", *(f"s=$s'{piece}'" for piece in pieces)]
    lines.append(f'exec {SHELL} -c "$(printf %b "$s")"')
    return ("\n".join(lines) + "\n").encode()


def _script(argv: Sequence[str], mark: str, *, interactive: bool) -> str:
    half = len(mark) // 2
    name = f'"$m"{mark[half:]}'
    words = " ".join(_quoted(word) for word in argv)
    head = f"m={mark[:half]};echo {name}b:$$;set -- {words};"
    end = f"echo {name}e:$?"
    if interactive:
        return f'{head}(exec "$@");{end}'
    # In a subshell, and by exec: a builtin of the same name (exit, cd, kill) is not what was asked for.
    return (
        f"stty -opost -echo 2>/dev/null;{head}"
        f'r(){{ (exec "$@") </dev/null 2>&1;{end};}};'
        'if command -v cat >/dev/null 2>&1;then r "$@"|cat;else r "$@";fi'
    )


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def plain(data: bytes) -> bytes:
    """Undo what a terminal does to output: it puts a CR before every LF, exactly one."""
    return data.replace(b"\r\n", b"\n")


@define
class Transcript:
    r"""
    What comes from the terminal, piece by piece, as the command's own output.

    Args:
        mark: As in :func:`typed`.
        raw: Leave the output as the terminal has it.

    Attributes:
        begun: Whether the command has been started.
        pid: Of the shell that runs it, which leads its process group.
        ended: Whether it has ended.
        exit_code: Then.
    """

    mark: str
    raw: bool = False
    begun: bool = field(init=False, default=False)
    ended: bool = field(init=False, default=False)
    pid: int | None = field(init=False, default=None)
    exit_code: int | None = field(init=False, default=None)
    _said: bytes = field(init=False, default=b"")
    _held: bytes = field(init=False, default=b"")
    _returns: bool = field(init=False, default=False)

    @property
    def said(self) -> str:
        """The end of what came before the command began: a shell's prompt, or why there is none."""
        return self._said.decode("utf-8", "replace")

    def feed(self, data: bytes) -> bytes:
        """
        Take what came.

        Returns:
            What is certainly output of the command, and is not given again.
        """
        if self.ended:
            return b""
        data = self._held + data
        if not self.begun:
            found = re.search(rb"%sb:(\d+)(\r?)\n" % self.mark.encode(), data)
            if found is None:
                # The mark and its number may have come in part.
                self._said = (self._said + data[len(self._held) :])[-KEPT:]
                self._held = data[-(len(self.mark) + 16) :]
                return b""
            self.begun = True
            self.pid = int(found[1])
            self._returns = bool(found[2]) and not self.raw
            data = data[found.end() :]
        return self._output(data)

    def finish(self) -> bytes:
        """What was held back, when nothing more comes."""
        data, self._held = self._held, b""
        # At most a mark that was begun, or a CR: nothing that a terminal has put there for certain.
        return data if self.begun and not self.ended else b""

    def _output(self, data: bytes) -> bytes:
        sign = self.mark.encode() + b"e:"
        at = data.find(sign)
        while at >= 0:
            found = re.compile(rb"(\d{1,3})\r?\n").match(data, at + len(sign))
            if found is not None:
                self.ended = True
                self.exit_code = int(found[1])
                self._held = b""
                return plain(data[:at]) if self._returns else data[:at]
            if re.compile(rb"\d{0,3}\r?").fullmatch(data, at + len(sign)):
                break  # the rest of it is still to come
            at = data.find(sign, at + 1)
        if at < 0:
            at = len(data) - _overlap(data, sign)
        # A CR may be one that the terminal put before an LF.
        if self._returns and data[:at].endswith(b"\r"):
            at -= 1
        self._held = data[at:]
        return plain(data[:at]) if self._returns else data[:at]


def _overlap(data: bytes, sign: bytes) -> int:
    """How many bytes at the end may be the beginning of the sign."""
    for count in range(min(len(data), len(sign) - 1), 0, -1):
        if data.endswith(sign[:count]):
            return count
    return 0
