"""
Who an endpoint of one's own is, and the directory where it may live longer than its process.

In the directory are ``identity.json`` (ids, the key of its tokens, the secret of its application: what
others have been told stays true), ``state.json`` (its groups), ``clock.json`` where its clock was set, and a
lock, which the system lets go of when the process ends, however it ends.

Files are replaced as a whole, so a process that is killed leaves the old one or the new one. They are not
forced to the disk: what a power failure takes with it are containers that do not come back by themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, field, fields, frozen

from aciflow.errors import ConfigurationError
from aciflow.local.state import FileLock, Store, private_directory, write_private


__all__ = ["Identity", "StateDirectory"]


@frozen(kw_only=True)
class Identity:
    """
    Who an endpoint is.

    Attributes:
        endpoint_id: Its label on the engine: 32 hexadecimal digits.
        subscription_id: Its one subscription.
        tenant_id: Its tenant.
        key: What its tokens are signed with, in hexadecimal digits.
        client_id: The application that may ask it for tokens.
        client_secret: That application's secret.
        identity_secret: What opens its managed identity's page.
    """

    endpoint_id: str
    subscription_id: str
    tenant_id: str
    key: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)
    identity_secret: str = field(repr=False)

    @classmethod
    def new(cls, ids: Callable[[], str]) -> Identity:
        """One that nobody else is; ``ids`` gives new UUIDs."""
        return cls(
            endpoint_id=secrets.token_hex(16),
            subscription_id=ids(),
            tenant_id=ids(),
            key=secrets.token_hex(32),
            client_id=ids(),
            client_secret=secrets.token_urlsafe(32),
            identity_secret=secrets.token_urlsafe(32),
        )


class StateDirectory:
    """
    A directory of one endpoint, held by this process.

    Args:
        path: Made, with everything above it, if it is not there; only its user may enter it (0700).

    Raises:
        ConfigurationError: Another process uses it, or it cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Path(path).expanduser().absolute()
        try:
            self.path = private_directory(given)
            self._lock = FileLock(self.path / "lock")
            held = self._lock.acquire()
        except OSError as problem:
            raise ConfigurationError(
                f"state={str(given)!r} cannot be used: {problem.strerror or problem}"
            ) from problem
        if not held:
            raise ConfigurationError(
                f"state={str(given)!r} is in use by {_holder(self._lock.path)}; one endpoint has it at a "
                "time: end that one, or name another directory"
            )
        self._lock.write(str(os.getpid()).encode())
        self.store = Store(self.path / "state.json")
        self._clock = Store(self.path / "clock.json")

    def identity(self, ids: Callable[[], str]) -> Identity:
        """
        Who lives here; somebody new where nobody does.

        Raises:
            ConfigurationError: What is there cannot be read.
        """
        path = self.path / "identity.json"
        try:
            return _identity(json.loads(path.read_bytes()))
        except FileNotFoundError:
            made = Identity.new(ids)
            write_private(path, json.dumps(asdict(made)).encode())
            return made
        except (OSError, ValueError) as problem:
            raise ConfigurationError(
                f"state={str(self.path)!r}: identity.json cannot be read ({problem}); if it is not an "
                "endpoint's, name another directory"
            ) from problem

    def saved(self) -> dict[str, Any] | None:
        """
        What the endpoint knew.

        Raises:
            ConfigurationError: It is there, and cannot be read.
        """
        found = self.store.load()
        if found is None and (self.path / "state.json").exists():
            raise ConfigurationError(
                f"state={str(self.path)!r}: state.json cannot be read; remove it to forget its groups "
                "(their containers are removed then)"
            )
        return found

    @property
    def ahead(self) -> float:
        """Seconds that its clock was ahead of real time."""
        return float((self._clock.load() or {}).get("ahead", 0.0))

    def keep_clock(self, ahead: float) -> None:
        """Remember how far its clock is ahead."""
        with contextlib.suppress(OSError):  # a full disk must not stop a clock
            self._clock.save({"ahead": ahead})

    def clear(self) -> None:
        """Forget its groups and its clock; who it is stays, so that whoever signed in is known again."""
        self.store.clear()
        self._clock.clear()

    def release(self) -> None:
        """Let another process use it."""
        self._lock.release()


def _identity(found: Any) -> Identity:
    if not isinstance(found, Mapping):
        raise ValueError("it is not an object")  # noqa: TRY004 - as where it is no JSON
    names = {one.name for one in fields(Identity)}
    if set(found) != names or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("it has other fields")
    bytes.fromhex(found["key"])
    return Identity(**found)


def _holder(lock: Path) -> str:
    pid = ""
    with contextlib.suppress(OSError):
        pid = lock.read_text().strip()
    return f"process {pid}" if pid.isdigit() else "another process"
