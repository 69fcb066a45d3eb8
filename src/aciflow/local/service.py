"""
What answers for a ``LocalAzure``: an endpoint of its own in this process, or somebody else's.

``aciflow.local.shared`` has the other one.
"""

from __future__ import annotations

import os
import threading
import time

from collections.abc import Callable
from typing import Any, Literal, Protocol

from aciflow.local.config import Config
from aciflow.local.endpoint import Endpoint
from aciflow.local.host import Host, Store
from aciflow.local.protocol import Reply, Request
from aciflow.local.runtime.base import Clock, Runtime, Terminal
from aciflow.local.tokens import AccessToken, Tokens


__all__ = ["ENGINE_LACKS", "OwnService", "Service", "new_id"]


ENGINE_LACKS = ("Windows", "azureFile", "gitRepo", "livenessProbe", "readinessProbe")
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
    def clock(self) -> Clock:
        """Its clock: seconds since the epoch."""
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
    An endpoint in this process, that nobody else knows and that leaves nothing behind.

    Args:
        runtime: What it runs on.
        store: Where its state is kept, or ``None``.
        clock: Seconds since the epoch.
        ids: Gives new UUIDs.
        config: What can be set about the endpoint.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        store: Store | None = None,
        clock: Clock = time.time,
        ids: Callable[[], str] = new_id,
        config: Config | None = None,
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._closed = False
        self.subscription_id = ids()
        self.tenant_id = ids()
        self.tokens = Tokens(clock, tenant_id=self.tenant_id)
        self.endpoint = Endpoint(
            subscription_id=self.subscription_id,
            tenant_id=self.tenant_id,
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
    def runtime(self) -> Runtime:
        """What it runs on."""
        return self._runtime

    @property
    def clock(self) -> Clock:
        """Its clock."""
        return self._clock

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
        """Nothing outlives an endpoint of one's own."""

    def close(self) -> None:
        """Remove every group, and end."""
        self._closed = True
        host = self._host
        if host is not None:
            host.close()

    def describe(self) -> dict[str, Any]:
        """What ``doctor`` shows."""
        return self._runtime.describe()

    def _started(self) -> Host:
        host = self._host
        if host is None:
            with self._lock:
                host = self._host
                if host is None:
                    host = Host(self.endpoint, self._runtime, self._store, clock=self._clock)
                    if self._closed:
                        host.close()
                    self._host = host
        return host
