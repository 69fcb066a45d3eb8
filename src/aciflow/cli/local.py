"""``local``: the endpoint for other programs."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from aciflow.cli.values import UsageError, pairs, traces


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow.cli.output import Output
    from aciflow.local import LocalAzure
    from aciflow.local.served.server import Served


__all__ = ["local"]

_NOT_RUNNABLE = 126
_NOT_FOUND = 127
_LOOK = 0.2
"""Seconds between two looks whether nobody needs it any more."""


def local(args: Namespace, output: Output) -> int:
    """Serve an endpoint to a command, or to whoever asks."""
    if args.argv and args.json:
        raise UsageError("--json: with a command, standard output is the command's")
    if args.argv and args.idle_exit is not None:
        raise UsageError("--idle-exit: with a command, the endpoint ends when the command does")
    if args.keep and args.state is None:
        raise UsageError("--keep needs --state: without it, nobody would find the groups again")
    secret = _secret(args.secret_file)
    with (
        _endpoint(args) as endpoint,
        endpoint.serve(args.host, args.port, secret=secret, intercept=args.intercept) as served,
    ):
        if args.argv:
            return _run(args.argv, {**os.environ, **served.environ()}, output)
        _say(endpoint, served, output)
        with contextlib.suppress(KeyboardInterrupt):  # that is how one ends it
            _wait(served, args.idle_exit)
    return 0


def _endpoint(args: Namespace) -> LocalAzure:
    from aciflow.local import LocalAzure

    options: dict[str, Any] = {
        "addresses": args.addresses,
        "traces": None if args.traces is None else traces(Path(args.traces)),
        "speed": args.speed,
        "seed": args.seed,
        "azure_files": {
            name: str(Path(folder).resolve())
            for name, folder in pairs(
                "--azure-file", args.azure_files, "ACCOUNT/SHARE=FOLDER"
            ).items()
        },
        "state": args.state,
        "keep": args.keep,
    }
    given = {name: value for name, value in options.items() if value}
    return LocalAzure(args.runtime, **given)


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--secret-file {path}: {error}") from error
    if not secret:
        raise UsageError(f"--secret-file {path}: it is empty")
    return secret


# --- without a command ------------------------------------------------------------------------


def _say(endpoint: LocalAzure, served: Served, output: Output) -> None:
    """What other programs need to know, as JSON or as lines for a shell."""
    environ = served.environ()
    document = {
        "url": served.url,
        "ca_file": str(served.ca_file),
        "subscription_id": endpoint.subscription_id,
        "pid": os.getpid(),
        "environ": environ,
    }
    lines = [
        f"# the local endpoint is at {served.url}; a shell that reads these lines finds it",
        *(f"export {name}={shlex.quote(value)}" for name, value in sorted(environ.items())),
    ]
    output.result(document, "\n".join(lines))
    output.note(f"serving {endpoint.kind} containers at {served.url}; Ctrl-C ends and removes all")


def _wait(served: Served, idle_exit: float | None) -> None:
    """Until a signal comes, or nobody has needed it for ``idle_exit`` seconds."""
    if idle_exit is None:
        while True:
            time.sleep(3600)
    needed = time.monotonic()
    while time.monotonic() - needed < idle_exit or served.idle() < idle_exit:
        if served.has_groups:
            needed = time.monotonic()
        time.sleep(min(_LOOK, idle_exit))


# --- with a command ---------------------------------------------------------------------------


def _run(argv: list[str], environment: Mapping[str, str], output: Output) -> int:
    """Run it to its end, and pass on the signals that were meant for it."""
    with _forwarded() as started:
        try:
            process = subprocess.Popen(argv, env=environment)  # noqa: S603 - it is what was asked for
        except FileNotFoundError:
            output.note(f"error: {argv[0]}: command not found")
            return _NOT_FOUND
        except OSError as error:
            output.note(f"error: {argv[0]}: {error.strerror}")
            return _NOT_RUNNABLE
        started(process)
        code = process.wait()
    return 128 - code if code < 0 else code


@contextlib.contextmanager
def _forwarded() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """
    Signals go to the command, which decides what they mean.

    Those of a terminal's keys reach it from the terminal already, and must not reach it twice. What comes
    before there is a command waits for it.

    Yields:
        To be told of the command.
    """
    processes: list[subprocess.Popen[bytes]] = []
    waiting: list[int] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        if processes:
            processes[0].send_signal(number)
        else:
            waiting.append(number)

    def leave(_number: int, _frame: FrameType | None) -> None:
        """Nothing: the terminal has told the command, too."""

    def started(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        for number in waiting:
            process.send_signal(number)

    handlers: dict[str, Any] = dict.fromkeys(("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"), forward)
    handlers |= dict.fromkeys(("SIGINT", "SIGQUIT"), leave if _has_terminal() else forward)
    before = {}
    for name, handler in handlers.items():
        number = getattr(signal, name, None)  # Windows has few
        if number is not None:
            before[number] = signal.signal(number, handler)
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, whose keys signal it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
