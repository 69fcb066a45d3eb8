"""
The command line: ``aciflow`` or ``python -m aciflow``.

Exit codes: 0 all is well, 1 aciflow says what went wrong, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM; ``run``
ends with its container's own exit code.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from aciflow.cli.parser import parse


__all__ = ["main"]

USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Args:
        argv: Arguments without the program's name; this process's own unless given.

    Returns:
        The exit code.

    Raises:
        SystemExit: Wrong usage (2), or SIGTERM (143).
    """
    args = parse(sys.argv[1:] if argv is None else list(argv))
    # Only now: `--help` and wrong usage need none of it.
    from aciflow.cli.output import Output
    from aciflow.cli.values import UsageError
    from aciflow.errors import AciflowError

    # A file for the JSON, as of a benchmark, leaves standard output to people.
    output = Output(json=args.json in (True, "-"), quiet=args.quiet)
    try:
        with _terminated(), output.warnings():
            code: int = args.command(args, output)
            sys.stdout.flush()
            return code
    except AciflowError as error:
        output.error(error)
        return 1
    except UsageError as error:
        output.usage(error)
        return USAGE
    except KeyboardInterrupt:
        output.note("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # `aciflow ps | head`: nobody reads on, and the interpreter's own flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            raise
        output.bug(error)
        return 1


@contextmanager
def _terminated() -> Iterator[None]:
    """
    Make SIGTERM end the command as Ctrl-C does, with everything cleaned up.

    By default it would end the process at once, and leave on the bill what it has launched.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
