"""``aciflow exec`` and ``attach``: commands and terminals in containers."""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import sys
import threading
import time

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from aciflow.cli.common import client, find
from aciflow.cli.values import UsageError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow import ContainerGroup
    from aciflow.cli.output import Output
    from aciflow.sessions.live import Live


__all__ = ["attach", "execute"]

# Seconds that a shell may take to come, and to obey.
GREETING = 2.0
ANSWER = 30.0


def execute(args: Namespace, output: Output) -> int:
    """Run a command in a container; ends with its exit code."""
    interactive = args.interactive or args.tty
    argv = args.argv or (["/bin/sh"] if interactive else [])
    if not argv:
        raise UsageError("name a command, after --")
    if interactive and args.json:
        raise UsageError("a terminal has no JSON: leave out -it or --json")
    if interactive and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("-it needs a terminal here, too: leave it out in a script")
    with closing(client(args)) as via:
        group = find(via, args, args.name)
        if interactive:
            code = _interact(group, argv, args.container)
        elif args.json:
            result = group.exec(argv, container=args.container, timeout=args.timeout)
            code = result.exit_code
            output.result({"output": result.output, "exit_code": code}, "")
        else:
            code = group._exec(argv, args.container, args.timeout, _show).exit_code
    if code is None:
        output.note("the exit code is not known: the image has no shell to tell it")
        return 0
    return code


def attach(args: Namespace, output: Output) -> int:
    """Print what a container writes from now on."""
    if args.json:
        raise UsageError("attach has no end that JSON could wait for")
    with closing(client(args)) as via:
        group = find(via, args, args.name)
        with group.attach(container=args.container) as session:
            output.note(f"attached to '{group.name}'; Ctrl-C lets go of it")
            while data := session.read():
                _show(data)
    return 0


def _show(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _interact(group: ContainerGroup, argv: list[str], container: str | None) -> int | None:
    """
    This terminal as the command's; returns its exit code, if a shell tells.

    Raises:
        NoShellError: There are arguments, and no shell to pass them.
    """
    from aciflow.errors import ExecError, NoShellError
    from aciflow.sessions.live import Live
    from aciflow.sessions.shell import COLUMNS, SHELL, Transcript, typed

    mark = secrets.token_hex(16)
    lines = typed(argv, mark, interactive=True)
    transcript = Transcript(mark, raw=True)
    size = shutil.get_terminal_size()
    live = Live(group._terminal(SHELL, container, rows=size.lines, columns=COLUMNS), ahead=None)
    try:
        if first := live.receive(time.monotonic() + GREETING):
            transcript.feed(first)
        live.terminal.write(lines)
        shown = b""
        while first != b"" and not transcript.begun:
            first = live.receive(time.monotonic() + ANSWER)
            if first is None:
                raise ExecError(f"{SHELL} in the container does not answer")
            shown = transcript.feed(first)
        if transcript.begun:
            _show(shown)
            with _terminal(live):
                while not transcript.ended and (data := live.receive()):
                    _show(transcript.feed(data))
            if not transcript.ended:
                raise ExecError(f"{argv[0]!r} was cut off: its terminal ended before it did")
            return transcript.exit_code
    finally:
        live.close()
    if len(argv) > 1:
        raise NoShellError(f"{argv[0]!r} cannot be given arguments: this image has no {SHELL}")
    live = Live(group._terminal(argv[0], container, rows=size.lines, columns=size.columns))
    try:
        with _terminal(live):
            while data := live.receive():
                _show(data)
    finally:
        live.close()
    return None


@contextmanager
def _terminal(live: Live) -> Iterator[None]:
    """Give every key to the session, and the terminal's size whenever it changes."""
    import termios
    import tty

    def resize(*_: Any) -> None:
        size = shutil.get_terminal_size()
        live.terminal.resize(size.lines, size.columns)

    here = sys.stdin.fileno()
    before = termios.tcgetattr(here)
    stop, stopped = os.pipe()

    def type_() -> None:
        while True:
            ready, _, _ = select.select([here, stop], [], [])
            if stop in ready or not (keys := os.read(here, 4096)):
                return
            live.terminal.write(keys)

    resize()
    handler = signal.signal(signal.SIGWINCH, resize)
    typing = threading.Thread(target=type_, name="aciflow-keys", daemon=True)
    try:
        tty.setraw(here)
        typing.start()
        yield
    finally:
        os.write(stopped, b".")
        termios.tcsetattr(here, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
        typing.join(timeout=1.0)
        for end in (stop, stopped):
            os.close(end)
