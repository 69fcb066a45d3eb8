"""
What answers for a ``LocalAzure``: an endpoint of its own in this process, or somebody else's.

``aciflow.local.shared`` has the other one.
"""

from __future__ import annotations

import os
import threading
import time

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from aciflow.errors import ConfigurationError, EndpointUnreachableError
from aciflow.local.clock import LocalClock
from aciflow.local.config import Config
from aciflow.local.endpoint import Endpoint
from aciflow.local.host import FaultBox, Host
from aciflow.local.own import Identity, StateDirectory
from aciflow.local.protocol import Reply, Request
from aciflow.local.runtime.base import Clock, Runtime, Terminal
from aciflow.local.tokens import AccessToken, Tokens


if TYPE_CHECKING:
    from aciflow.local.faults import Faults


__all__ = ["ENGINE_LACKS", "OwnService", "Service", "new_id"]


ENGINE_LACKS = ("Windows",)
"""What the engine runtime cannot do, and a PUT is refused for."""


def new_id() -> str:
    """A random UUID in lower case."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Service(Protocol):
    """An endpoint as ``LocalAzure`` uses it; every method from any thread."""

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """What it runs on."""
        ...

    @property
    def subscription_id(self) -> str:
        """Its subscription."""
        ...

    @property
    def tenant_id(self) -> str:
        """Its tenant."""
        ...

    @property
    def tokens(self) -> Tokens:
        """What issues and checks its tokens."""
        ...

    @property
    def runtime(self) -> Runtime | None:
        """Its runtime, where that is in this process."""
        ...

    @property
    def clock(self) -> LocalClock:
        """Its clock."""
        ...

    @property
    def faults(self) -> Faults:
        """
        What goes wrong on purpose.

        Raises:
            aciflow.errors.ConfigurationError: Others use the endpoint, too.
        """
        ...

    def start(self) -> None:
        """
        Make sure that it is there.

        Raises:
            aciflow.errors.EngineUnavailableError: There is nothing to run containers on.
        """
        ...

    def request(self, request: Request) -> Reply:
        """Answer a request; starts the endpoint if need be."""
        ...

    def connect(self, session: str, password: str) -> Terminal | None:
        """
        Open what an exec or attach has promised: once, and with its password.

        Returns:
            ``None`` for a session that is not known, was used, has expired, or has another password.

        Raises:
            LookupError: Its container does not run any more.
        """
        ...

    def token(self) -> AccessToken:
        """A bearer token that :meth:`request` accepts."""
        ...

    def keep(self) -> None:
        """See to it that the groups are looked after when this process has ended."""
        ...

    def close(self) -> None:
        """End; what is left depends on the kind of service."""
        ...


class OwnService:
    """
    An endpoint in this process, that nobody else knows.

    Without a directory it leaves nothing behind: what a killed process left on the engine is removed by
    the next that starts there.

    Args:
        runtime: What it runs on.
        identity: Who it is; somebody new if ``None``.
        directory: Where it lives on when this process is killed, or ``None``.
        keep: Leave its groups where they are when it is closed; needs ``directory``.
        clock: Seconds since the epoch.
        ids: Gives new UUIDs.
        config: What can be set about the endpoint.
        seed: Of its faults.

    Attributes:
        identity: Who it is.
        clock: Its clock.
        tokens: What issues and checks its tokens.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        identity: Identity | None = None,
        directory: StateDirectory | None = None,
        keep: bool = False,
        clock: Clock = time.time,
        ids: Callable[[], str] = new_id,
        config: Config | None = None,
        seed: int = 0,
    ) -> None:
        self.identity = identity or Identity.new(ids)
        self._runtime = runtime
        self._directory = directory
        self._keep = keep
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._closed = False
        self.clock = LocalClock(clock, ahead=directory.ahead if directory is not None else 0.0)
        if directory is not None:
            self.clock.on_change(lambda changed: directory.keep_clock(changed.ahead))
        self._faults = FaultBox(seed)
        self.tokens = Tokens(
            self.clock, bytes.fromhex(self.identity.key), tenant_id=self.identity.tenant_id
        )
        self.endpoint = Endpoint(
            subscription_id=self.identity.subscription_id,
            tenant_id=self.identity.tenant_id,
            token_check=self.tokens.check,
            new_id=ids,
            unsupported=ENGINE_LACKS if runtime.kind == "engine" else (),
            config=config,
        )

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """What it runs on."""
        return self._runtime.kind

    @property
    def subscription_id(self) -> str:
        """Its subscription."""
        return self.identity.subscription_id

    @property
    def tenant_id(self) -> str:
        """Its tenant."""
        return self.identity.tenant_id

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose; nothing, until a rule is added."""
        return self._faults.get()

    @property
    def directory(self) -> Path | None:
        """Where it lives on, private to its user."""
        return self._directory.path if self._directory is not None else None

    @property
    def runtime(self) -> Runtime:
        """What it runs on."""
        return self._runtime

    def start(self) -> None:
        """
        Start the runtime, once.

        Raises:
            aciflow.errors.EngineUnavailableError: There is nothing to run containers on.
        """
        self._started()

    def request(self, request: Request) -> Reply:
        """Answer a request."""
        return self._started().request(request)

    def connect(self, session: str, password: str) -> Terminal | None:
        """Open what an exec or attach has promised."""
        return self._started().connect(session, password)

    def token(self) -> AccessToken:
        """A token, good for an hour."""
        return self.tokens.issue()

    def keep(self) -> None:
        """Nothing outlives an endpoint of one's own, but what ``keep=True`` leaves."""

    def close(self) -> None:
        """Remove every group, unless they are to be kept, and end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            host = self._host
        directory = self._directory
        try:
            if host is None and directory is not None and not self._keep:
                # Nobody used it, and it may have groups.
                host = self._host = self._make() if directory.store.load() is not None else None
            if host is not None:
                host.close(keep=self._keep)
            if directory is not None and not self._keep:
                directory.clear()
        finally:
            if directory is not None:
                directory.release()

    def describe(self) -> dict[str, Any]:
        """What ``doctor`` shows."""
        return self._runtime.describe()

    def _started(self) -> Host:
        host = self._host
        if host is None:
            with self._lock:
                host = self._host
                if host is None:
                    if self._closed:
                        raise EndpointUnreachableError("this local endpoint is closed")
                    host = self._host = self._make()
        return host

    def _make(self) -> Host:
        directory = self._directory
        if directory is not None and (saved := directory.saved()) is not None:
            try:
                self.endpoint.load(saved)
            except (ValueError, KeyError, TypeError) as problem:
                raise ConfigurationError(
                    f"state={str(directory.path)!r}: state.json is of another version ({problem}); remove "
                    "it to forget its groups (their containers are removed then)"
                ) from problem
        return Host(
            self.endpoint,
            self._runtime,
            directory.store if directory is not None else None,
            recover=directory is not None,
            clock=self.clock,
            faults=self._faults,
        )
