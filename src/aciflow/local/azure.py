"""``LocalAzure``: an Azure Container Instances of one's own, without Azure."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import threading
import weakref

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

from aciflow.errors import AciflowError, ConfigurationError
from aciflow.local.clock import LocalClock
from aciflow.local.config import Config, config_from
from aciflow.local.own import Identity, StateDirectory
from aciflow.local.protocol import Reply, Request
from aciflow.local.runtime.base import Runtime, Terminal
from aciflow.local.service import OwnService, Service, new_id
from aciflow.local.tokens import LocalCredential


if TYPE_CHECKING:
    import httpx

    from aciflow.client import Client
    from aciflow.drivers.workers import Workers
    from aciflow.local.faults import Faults
    from aciflow.local.runtime.simulated_prober import SimulatedProber
    from aciflow.local.runtime.starts import Traces
    from aciflow.local.served.server import Served


__all__ = ["Addresses", "LocalAzure"]


Addresses: TypeAlias = Literal["auto", "loopback", "bridge", "mapped"]

_open: weakref.WeakSet[LocalAzure] = weakref.WeakSet()


class LocalAzure:
    """
    An isolated local endpoint: nobody else sees its groups, and closing it removes them.

    ``target="local"`` uses the one that is shared by all of a user's processes instead, see
    :meth:`shared`. The runtime starts with the first use, or with ``with``. What a program forgets to
    close is closed when the interpreter ends.

    Args:
        runtime: ``engine`` runs real containers; ``simulated`` only takes ACI's time; or a runtime.
        addresses: How groups get addresses on an engine: ``bridge`` gives each a real one, ``loopback``
            one in 127.0.0.0/8, ``mapped`` a free port of 127.0.0.1. ``auto`` takes the first of
            them that works.
        traces: Starts to replay, for ``simulated``: see
            :class:`aciflow.local.runtime.simulated.SimulatedRuntime`.
        speed: Simulated seconds in a real one, for ``simulated``.
        seed: For what is drawn: the simulation's starts, and the faults.
        azure_files: Which local folder stands for which Azure Files share: ``account/share`` to a
            directory. Other shares are refused.
        quotas: What a region allows, by the names of ACI's usages (``ContainerGroups``,
            ``StandardCores``, ...); others have Azure's defaults.
        state: A directory where it lives longer than its process: killed and started again, it knows its
            groups, adopts their containers and accepts the tokens that it issued. One process at a time
            has it. Needs an engine.
        keep: When closed, leave the groups running and the state where it is; needs ``state``. Otherwise
            closing removes every group.

    Attributes:
        config: What was set.

    Raises:
        ConfigurationError: The arguments do not go together, or another process has ``state``.
    """

    def __init__(
        self,
        runtime: Literal["engine", "simulated"] | Runtime = "engine",
        *,
        addresses: Addresses = "auto",
        traces: Traces | None = None,
        speed: float = 1.0,
        seed: int = 0,
        azure_files: Mapping[str, str | os.PathLike[str]] | None = None,
        quotas: Mapping[str, float] | None = None,
        state: str | os.PathLike[str] | None = None,
        keep: bool = False,
    ) -> None:
        if runtime != "simulated" and (traces is not None or speed != 1.0):
            raise ConfigurationError("traces= and speed= need runtime='simulated'")
        if not 0 < speed < math.inf:
            raise ConfigurationError(f"speed={speed!r} has to be above zero")
        if addresses not in get_args(Addresses):
            known = ", ".join(get_args(Addresses))
            raise ConfigurationError(f"addresses={addresses!r}: choose one of {known}")
        if runtime != "engine" and addresses != "auto":
            raise ConfigurationError("addresses= needs runtime='engine'")
        if state is not None and runtime != "engine":
            raise ConfigurationError(
                "state= needs runtime='engine': nothing of a simulation outlives its process"
            )
        if keep and state is None:
            raise ConfigurationError("keep=True needs state=: who shall know what was kept?")
        self.config = config_from(azure_files or {}, quotas or {})
        if isinstance(runtime, str) and runtime not in ("engine", "simulated"):
            raise ConfigurationError(f"runtime={runtime!r}: choose engine, simulated or a Runtime")
        directory = StateDirectory(state) if state is not None else None
        try:
            identity = directory.identity(new_id) if directory is not None else Identity.new(new_id)
            if isinstance(runtime, str):
                kept = directory is not None
                runtime = _make(runtime, addresses, traces, speed, seed, identity, kept=kept)
            service = OwnService(
                runtime,
                identity=identity,
                directory=directory,
                keep=keep,
                config=self.config,
                seed=seed,
            )
        except BaseException:
            if directory is not None:
                directory.release()
            raise
        self._take(service)

    @classmethod
    def over(cls, service: Service) -> LocalAzure:
        """A ``LocalAzure`` on another service than one of its own, as :meth:`shared` uses it."""
        self = cls.__new__(cls)
        self.config = Config()
        self._take(service)
        return self

    @classmethod
    def shared(cls) -> LocalAzure:
        """
        The one endpoint that all processes of this user share on this machine's engine.

        Raises:
            aciflow.errors.EngineUnavailableError: There is no engine.
        """
        from aciflow.local.shared import shared

        return shared()

    def _take(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._workers: Workers | None = None
        self._served: list[Served] = []
        self._closed = False
        _open.add(self)

    # --- for a client ----------------------------------------------------------------------

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """What it runs on."""
        return self._service.kind

    @property
    def subscription_id(self) -> str:
        """Its one subscription."""
        return self._service.subscription_id

    @property
    def clock(self) -> LocalClock:
        """
        Its clock: calling it gives seconds since the epoch; it can be stopped and set forward.

        The shared endpoint's cannot (``ConfigurationError``).
        """
        return self._service.clock

    @property
    def faults(self) -> Faults:
        """
        What goes wrong on purpose; see :mod:`aciflow.local.faults`.

        Raises:
            ConfigurationError: This is the shared endpoint, which other programs use too.
        """
        return self._service.faults

    @property
    def runtime(self) -> Runtime | None:
        """What runs its groups, where that is in this process."""
        return self._service.runtime

    def client(self, **options: Any) -> Client:
        """A client of this endpoint; ``options`` are those of :class:`aciflow.Client`."""
        from aciflow.client import Client

        return Client(self, **options)

    def credential(self) -> LocalCredential:
        """What gives tokens that this endpoint accepts; good nowhere else."""
        return LocalCredential(self._service.token)

    def transport(self) -> httpx.BaseTransport:
        """An httpx transport that ends in this process."""
        from aciflow.local.transport import LocalTransport

        return LocalTransport(self.handle)

    def async_transport(self) -> httpx.AsyncBaseTransport:
        """The same for asynchronous clients; never blocks the loop."""
        from aciflow.local.transport import AsyncLocalTransport

        return AsyncLocalTransport(self.handle, self._pool().submit)

    def handle(self, request: Request) -> Reply:
        """Answer one request; blocks, and may be called from any thread."""
        return self._service.request(request)

    def connect(self, session: str, password: str) -> Terminal | None:
        """
        Open what an exec or attach has promised; blocks, and may be called from any thread.

        Args:
            session: Its id, the last part of the path of its ``webSocketUri``.
            password: The one that was given with it; a session is good for one connection.

        Returns:
            ``None`` for a session that is not known, was used, has expired, or has another password.

        Raises:
            LookupError: Its container does not run any more.
        """
        return self._service.connect(session, password)

    def prober(self) -> SimulatedProber | None:
        """What to probe with instead of the network; ``None`` where the network is right."""
        if self.kind != "simulated":
            return None
        from aciflow.local.runtime.simulated import SimulatedRuntime
        from aciflow.local.runtime.simulated_prober import SimulatedProber

        runtime = self._service.runtime
        return SimulatedProber(runtime) if isinstance(runtime, SimulatedRuntime) else None

    def start(self) -> None:
        """
        Make sure that it runs; the first request would, too.

        Raises:
            aciflow.errors.EngineUnavailableError: There is nothing to run containers on.
        """
        self._service.start()

    def keep_after_exit(self) -> None:
        """
        Have its groups looked after when this process has ended; blocks.

        An isolated endpoint cannot: its groups end with it, whatever their ``lifetime``.

        Raises:
            aciflow.errors.EngineUnavailableError: Nobody can be started to do so.
        """
        self._service.keep()

    # --- for other processes ---------------------------------------------------------------

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        secret: str | None = None,
        intercept: bool = False,
    ) -> Served:
        """
        Listen, so that other programs reach it over TLS: az, the SDKs, curl, aciflow elsewhere.

        Args:
            host: A name or address of this machine. Other than loopback it needs ``secret``.
            port: 0 for a free one.
            secret: The client secret that a token costs; a random one unless given.
            intercept: Also answer for management.azure.com and login.microsoftonline.com, for programs
                whose ``HTTPS_PROXY`` is that of :meth:`environ`.

        Returns:
            What is served, a context manager: ``url``, ``ca_file``, ``environ()``, ``close()``. It is
            closed with this endpoint, too.

        Raises:
            aciflow.errors.MissingExtraError: ``pip install 'aciflow[local]'`` brings what it needs.
            aciflow.errors.EngineUnavailableError: There is nothing to run containers on.
            ConfigurationError: The port is taken, or others would reach it without a secret.
        """
        from aciflow.local.served.server import Served

        self.start()
        served = Served(self, host=host, port=port, secret=secret, intercept=intercept)
        with self._lock:
            self._served.append(served)
            closed = self._closed
        if closed:
            served.close()
            raise ConfigurationError("this local endpoint is closed")
        return served

    def environ(self) -> dict[str, str]:
        """
        Environment variables with which other programs find it, while it is served.

        Raises:
            ConfigurationError: It is not: call :meth:`serve` first.
        """
        for served in reversed(self._served):
            if not served.closed:
                return served.environ()
        raise ConfigurationError("nobody else can reach this endpoint: call serve() first")

    # --- life ------------------------------------------------------------------------------

    def close(self) -> None:
        """End; an isolated endpoint removes every group it still has, unless it was made with ``keep``."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            workers = self._workers
            served, self._served = self._served, []
        _open.discard(self)
        for one in served:  # first: what is under way needs the endpoint
            one.close()
        self._service.close()
        if workers is not None:
            workers.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LocalAzure {self.kind}{' closed' if self._closed else ''}>"

    def _pool(self) -> Workers:
        from aciflow.drivers.workers import Workers

        with self._lock:
            if self._workers is None:
                self._workers = Workers(32, "aciflow-local-request")
            return self._workers


def _make(
    kind: str,
    addresses: Addresses,
    traces: Traces | None,
    speed: float,
    seed: int,
    identity: Identity,
    *,
    kept: bool,
) -> Runtime:
    if kind == "simulated":
        from aciflow.local.runtime.simulated import SimulatedRuntime

        try:
            return SimulatedRuntime(traces=traces, seed=seed, speed=speed)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                "traces= takes mappings with pulling, pulled and started in seconds, or one with a list "
                f"of them under starts: {type(error).__name__}: {error}"
            ) from error
    from aciflow.local.runtime.engine.runtime import EngineRuntime

    return EngineRuntime(identity.endpoint_id, addresses=addresses, ephemeral=not kept)


@atexit.register
def _close_all() -> None:
    for endpoint in list(_open):
        with contextlib.suppress(AciflowError):  # an engine that is gone; the next start sweeps
            endpoint.close()
