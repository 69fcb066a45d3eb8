"""
The state directory: private files, and locks that end with their process.

Everything is below ``ACIFLOW_STATE_DIR``, or the platform's place for a user's state. Directories are
0700 and files 0600, since an endpoint's state holds the secrets of its groups.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import threading
import time
import weakref

from pathlib import Path
from typing import Any


__all__ = [
    "FileLock",
    "Store",
    "engine_directory",
    "private_directory",
    "state_root",
    "write_private",
]


def state_root() -> Path:
    """Where aciflow keeps what outlives a process."""
    if configured := os.environ.get("ACIFLOW_STATE_DIR"):
        return Path(configured)
    from platformdirs import user_state_path

    return user_state_path("aciflow", appauthor=False)


def engine_directory(engine_key: str) -> Path:
    """The private directory for what belongs to one engine; made if it is not there."""
    return private_directory(state_root() / "local" / engine_key)


def private_directory(path: Path) -> Path:
    """
    Make a directory that only this user may enter.

    Raises:
        PermissionError: It is there and belongs to somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32":
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, "the state directory belongs to another user", str(path)
            )
        if found.st_mode & 0o077:
            path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user may read, at once or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


class Store:
    """
    One JSON document in a private file.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, Any] | None:
        """The document, or ``None`` where there is none that can be read."""
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def save(self, state: dict[str, Any]) -> None:
        """Replace it."""
        write_private(self._path, json.dumps(state, separators=(",", ":")).encode())

    def clear(self) -> None:
        """Remove it."""
        self._path.unlink(missing_ok=True)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """
    A lock on a file: the system lets go of it when its process ends, however it ends.

    A fork does not hold its parent's locks.

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def acquire(self, *, timeout: float = 0.0) -> bool:
        """
        Take it.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            Whether it is held now.
        """
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        return True

    def _try(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _lock(descriptor) or not _is_file(descriptor, self.path):
                os.close(descriptor)
                return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)
        return True

    def write(self, content: bytes) -> None:
        """Put something into the locked file, for others to read."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; with ``remove``, the file goes first, so that nobody takes what is gone."""
        if self._descriptor is None:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        self._forget()

    def _forget(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether a path still names the open file: its holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            # flock, not lockf: closing another descriptor of the same file must not let go of it.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _after_fork() -> None:
        # The child shares the open files, and would hold the locks after its parent's death.
        for lock in list(_held):
            lock._forget()

    os.register_at_fork(after_in_child=_after_fork)
