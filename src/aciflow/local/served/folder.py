"""
The private folder of what is served: certificates to trust, az's configuration.

It goes with its server. A server that was killed leaves it, with a client secret in it; the next one that
starts removes it. A lock, which ends with its process, tells the living from the dead.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile

from pathlib import Path

from aciflow.local.state import FileLock


__all__ = ["Folder"]

_PREFIX = "aciflow-served-"
_LOCK = "lock"


class Folder:
    """
    A new folder, below the system's temporary one.

    Attributes:
        path: 0700, and empty but for its lock.
    """

    def __init__(self) -> None:
        _sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = FileLock(self.path / _LOCK)
            # Somebody who sweeps may have come before the lock was held, and taken it for a dead one's.
            with contextlib.suppress(OSError):
                if self._lock.acquire():
                    return

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        lock = FileLock(path)
        with contextlib.suppress(OSError):  # another user's; or it is gone meanwhile
            if lock.acquire():
                shutil.rmtree(path.parent, ignore_errors=True)
                lock.release()
