"""
Who of this user's isolated endpoints is alive.

Each holds the lock of a file of its own. A file without a holder belongs to an endpoint whose process
was killed, and what carries its label on the engine is removed by whoever starts next.
"""

from __future__ import annotations

import contextlib

from pathlib import Path

from aciflow.local.runtime.engine import recovery, volumes
from aciflow.local.runtime.engine.address import EngineAddress
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.state import FileLock, engine_directory, private_directory


__all__ = ["Lease", "sweep"]

_SUFFIX = ".lease"


class Lease:
    """An endpoint's sign of life."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    @classmethod
    def take(cls, engine: EngineAddress, endpoint_id: str) -> Lease:
        """
        Begin to be alive.

        Raises:
            RuntimeError: Another runtime with this id is alive.
        """
        lock = FileLock(_directory(engine) / f"{endpoint_id}{_SUFFIX}")
        if not lock.acquire(timeout=1.0):
            raise RuntimeError(f"endpoint {endpoint_id} is in use by another runtime")
        return cls(lock)

    def release(self, *, done: bool) -> None:
        """End; unless ``done``, the next to start removes what is left."""
        self._lock.release(remove=done)


def sweep(api: EngineApi) -> list[str]:
    """Remove what dead endpoints left on this engine; returns their ids."""
    swept = []
    for path in sorted(_directory(api.address).glob(f"*{_SUFFIX}")):
        lock = FileLock(path)
        if not lock.acquire():
            continue
        endpoint_id = path.name.removesuffix(_SUFFIX)
        done = False
        with contextlib.suppress(EngineError):
            recovery.remove_endpoint(api, endpoint_id)
            done = True
            swept.append(endpoint_id)
        volumes.remove_clones(api.address, endpoint_id)
        lock.release(remove=done)
    return swept


def _directory(engine: EngineAddress) -> Path:
    return private_directory(engine_directory(engine.key) / "leases")
