"""
A process in the background that keeps the shared endpoint going while groups exist.

Without it, probes and restarts of what a script left ``detached`` would stop with the script. It ends by
itself when no group is left. ``python -m aciflow.local.keeper`` runs it in the foreground.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

from collections.abc import Sequence

from aciflow.errors import EngineUnavailableError
from aciflow.local.state import FileLock, engine_directory, private_directory


__all__ = ["ensure_keeper", "main"]

_INTERVAL = 1.0
"""Seconds between two looks whether a group is left; the endpoint is asked in this machine."""

_QUIET = 3
"""How many looks in a row must find none: a group may just be on its way."""


def ensure_keeper() -> None:
    """
    Make sure that one runs. Returns when it does, or will in a moment.

    Raises:
        EngineUnavailableError: There is no engine, or the process cannot be started.
    """
    lock = _lock()
    if not lock.acquire():
        return
    lock.release()
    try:
        subprocess.run(
            [sys.executable, "-m", "aciflow.local.keeper", "--background"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnavailableError(f"cannot start the endpoint's keeper: {error}") from error


def _lock() -> FileLock:
    from aciflow.local.runtime.engine.address import require_engine

    directory = private_directory(engine_directory(require_engine().key) / "shared")
    return FileLock(directory / "keeper.lock")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Keep the endpoint until no group is left, or until SIGTERM.

    Args:
        arguments: ``--background`` forks first and returns in the parent.

    Returns:
        0, also when there is one already.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if "--background" in given and hasattr(os, "fork"):
        if os.fork():
            os._exit(0)
        os.setsid()
        os.chdir("/")
    lock = _lock()
    if not lock.acquire():
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _keep(stop)
    finally:
        lock.release()
    return 0


def _keep(stop: threading.Event) -> None:
    import httpx

    from aciflow.local.runtime.engine.address import require_engine
    from aciflow.local.shared import SharedService

    service = SharedService(require_engine())
    quiet = 0
    try:
        while quiet < _QUIET:
            # An engine that is being restarted takes its containers with it, not this process; nor
            # does a holder that has been stopped for a while.
            with contextlib.suppress(
                EngineUnavailableError, OSError, RuntimeError, httpx.TransportError
            ):
                service.start()  # also takes over from a holder that has ended
                quiet = quiet + 1 if service.groups() == 0 else 0
            if stop.wait(_INTERVAL):
                break
    finally:
        service.close()


if __name__ == "__main__":
    sys.exit(main())
