"""Live handles: a container group, a resource group, and what a run came to."""

from __future__ import annotations

import contextlib
import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from attrs import field, frozen

from aciflow.cleanup import noting
from aciflow.errors import AciflowError, GroupGoneError, NotOursError
from aciflow.flow.lines import LogCursor, LogLine
from aciflow.options import LaunchOptions, RunOptions, ShapeOptions, signed


if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from aciflow.books import Use
    from aciflow.client import Client
    from aciflow.core import Core
    from aciflow.flow.facts import Facts
    from aciflow.flow.handle import View
    from aciflow.flow.ids import GroupRef
    from aciflow.local.runtime.base import Terminal
    from aciflow.model import ContainerGroupSpec, GroupState
    from aciflow.options import ImageLaunch, RunShape, SpecLaunch
    from aciflow.ready import Ready
    from aciflow.sessions.grant import Kind, Wanted
    from aciflow.sessions.live import Session
    from aciflow.sessions.values import ExecResult
    from aciflow.timeline import Timeline


__all__ = ["ContainerGroup", "Endpoint", "GroupHandle", "LogLine", "ResourceGroup", "RunResult"]

_STANDARD_PORTS = {"http": 80, "https": 443}
# Long enough after the launch that asking for a name does not plant a negative answer in resolvers.
_NAME_AFTER = 120.0


@frozen
class Endpoint:
    """Where a port is reached from here."""

    host: str
    port: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@frozen
class RunResult:
    """
    What a run came to.

    Attributes:
        exit_code: Of the container; ``None`` where the service reported none.
        logs: What it wrote to stdout and stderr.
        logs_truncated: Whether lines were lost: ACI keeps 4 MB of a running container's log, and 16 KB
            or 1,000 lines once it has ended, which matters where it ends before it was read.
        timeline: The phases.
        estimated_cost: USD at retail prices in that region, or ``None`` where no price is known.
    """

    exit_code: int | None
    logs: str = field(repr=False)
    logs_truncated: bool
    timeline: Timeline = field(repr=False)
    estimated_cost: float | None


class GroupHandle:
    """What the sync and the async handle of a container group share: what was last seen."""

    def __init__(
        self,
        core: Core,
        ref: GroupRef,
        state: GroupState,
        *,
        mapped: Mapping[int, tuple[str, int]],
        facts: Facts | None,
        launch_id: str | None,
        lifetime: str,
        adopted: bool,
    ) -> None:
        self._core = core
        self._ref = ref
        self._state = state
        self._mapped = mapped
        self._facts = facts
        self._launch_id = launch_id
        self._lifetime = lifetime
        self._adopted = adopted
        self._gone = False
        self._restarted = False
        self._emptied = False  # deleting it deleted the resource group that was made for it, too

    @property
    def id(self) -> str:
        """The ARM id."""
        return self._ref.id

    @property
    def name(self) -> str:
        """Its name in the resource group."""
        return self._ref.name

    @property
    def resource_group(self) -> str:
        """Name of the resource group."""
        return self._ref.resource_group.name

    @property
    def location(self) -> str:
        """The region."""
        return self._state.location

    @property
    def target(self) -> Literal["azure", "local", "url"]:
        """Where it runs: Azure, this machine, or an endpoint at a URL."""
        return self._core.target.kind

    @property
    def ip(self) -> str | None:
        """Its address, as last seen; ``None`` for a group without one."""
        return self._state.ip

    @property
    def fqdn(self) -> str | None:
        """Its public name, where it has a DNS label. It may take minutes until it resolves."""
        return self._state.fqdn

    @property
    def state(self) -> str:
        """``Running``, ``Pending``, ``Succeeded``, ``Failed``, ``Stopped``, ..., as last seen."""
        return self._last_state()

    def _last_state(self) -> str:
        """The same; it never reads ARM."""
        if self._gone:
            return "Deleted"
        return self._state.state or self._state.provisioning_state

    @property
    def timeline(self) -> Timeline:
        """The phases of its launch; of a group that was picked up, what is known of them."""
        from aciflow.timeline import Timeline

        if self._facts is not None:
            return self._facts.timeline()
        return Timeline(
            phases=(),
            started_at=time.time(),
            total=0.0,
            target=self._core.target.label,
            title=self.name,
        )

    @property
    def estimated_cost(self) -> float | None:
        """
        USD from the first pull until now, at Azure's retail price of that region.

        An estimate from the requested vCPU and GB, also on the local endpoint, where nothing is billed;
        ``None`` where no price is known.
        """
        from aciflow.model.cost import cost

        begun = [
            time_
            for status in self._state.containers
            for time_ in (
                *(event.first for event in status.events),
                status.current.started_at if status.current else None,
            )
            if time_ is not None
        ]
        if not begun:
            return None
        return cost(
            max(0.0, time.time() - min(begun)),
            cpu=self._state.cpu,
            memory_gb=self._state.memory_gb,
            location=self.location,
            spot=self._state.priority == "Spot",
            os_type=self._state.os_type,
        )

    def url(self, port: int | None = None, scheme: str = "http") -> str:
        """
        A URL of a port.

        Args:
            port: Default: the first TCP port.
            scheme: The port is left out where it is the scheme's own.
        """
        endpoint = self.endpoint(port)
        host = self._host(endpoint)
        host = f"[{host}]" if ":" in host else host
        if _STANDARD_PORTS.get(scheme) == endpoint.port:
            return f"{scheme}://{host}"
        return f"{scheme}://{host}:{endpoint.port}"

    def endpoint(self, port: int | None = None) -> Endpoint:
        """
        Where a port is reached from here.

        Args:
            port: Default: the first TCP port.

        Raises:
            GroupGoneError: There is no address: none was asked for, or it is gone.
            ValueError: That port is not open.
        """
        if self._gone or self._state.ip is None:
            raise GroupGoneError(
                f"container group '{self.name}' has no address ({self._last_state()})"
            )
        open_ports: dict[int, Literal["TCP", "UDP"]] = {
            p.port: p.protocol for p in self._state.ports
        }
        wanted = port
        if wanted is None:
            wanted = next((p.port for p in self._state.ports if p.protocol == "TCP"), None)
            wanted = wanted if wanted is not None else next(iter(open_ports))
        if wanted not in open_ports:
            raise ValueError(
                f"port {wanted} is not open: container group '{self.name}' has "
                f"{', '.join(map(str, open_ports))}"
            )
        host, reached = self._mapped.get(wanted, (self._state.ip, wanted))
        return Endpoint(host=host, port=reached, protocol=open_ports[wanted])

    def _host(self, endpoint: Endpoint) -> str:
        """The name, once it resolves; a name asked for too early is remembered as missing."""
        old = self._facts is None or self._facts.elapsed() > _NAME_AFTER
        if self.target != "azure" or self.fqdn is None or not old:
            return endpoint.host
        import socket

        try:
            socket.getaddrinfo(self.fqdn, endpoint.port)
        except OSError:
            return endpoint.host
        return self.fqdn

    def __repr__(self) -> str:
        parts = [f"{self.name!r}", self._last_state()]
        if self.ip is not None and not self._gone:
            parts.append(self.ip)
        parts.append(self._core.target.label or "Azure")
        if self._lifetime == "detached" and not self._gone:
            parts.append(self._how_to_delete())
        return f"<{type(self).__name__} {', '.join(parts)}>"

    def _how_to_delete(self) -> str:
        from aciflow.model.cost import daily_cost

        state = self._state
        a_day = daily_cost(
            state.cpu,
            state.memory_gb,
            self.location,
            spot=state.priority == "Spot",
            os_type=state.os_type,
        )
        costs = "" if a_day is None or not self._core.azure else f", about ${a_day:.2f} a day"
        return f"detached{costs}; delete it with: {self._ref.leftover.remove_with}"

    # --- for the handles ------------------------------------------------------------------

    def _see(self, view: View) -> None:
        self._state, self._mapped = view.state, view.mapped
        # What the service tells of a launch does not change any more once it is complete, and what it
        # tells after a restart is of another one's containers.
        if self._facts is not None and self._facts.incomplete and not self._restarted:
            self._facts.see_state(view.state, view.headers)

    def _see_changed(self, view: View) -> None:
        """After a start, a stop or a restart: from then on nothing is learnt about the launch."""
        self._restarted = True
        self._see(view)

    def _check_ours(self) -> None:
        """
        Refuse what aciflow did not make.

        Raises:
            NotOursError: It was there before aciflow came, or was adopted.
        """
        from aciflow.flow.launch import LAUNCH_TAG

        if self._adopted or LAUNCH_TAG not in self._state.tags:
            raise NotOursError(
                f"container group '{self.name}' was not made by aciflow, or was adopted: it is kept. "
                f"To delete it all the same: {self._ref.leftover.remove_with}"
            )

    def _launch_of(self) -> str:
        """The launch whose container group this is; only that one's is ours to delete."""
        from aciflow.flow.launch import LAUNCH_TAG

        return self._launch_id or self._state.tags[LAUNCH_TAG]

    def _deletes_on_exit(self) -> bool:
        return self._core.books.owns(self._ref, self._launch_id)

    def _there(self) -> GroupRef:
        """What to work on; what has been deleted is not asked for any more."""
        if self._gone:
            raise GroupGoneError(f"container group '{self.name}' has been deleted")
        return self._ref

    def _container(self, asked: str | None) -> str:
        return asked if asked is not None else self._state.containers[0].name

    def _wanted(self, kind: Kind, container: str | None, **how: Any) -> Wanted:
        from aciflow.sessions.grant import Wanted

        ref = self._there()
        return Wanted(
            kind=kind,
            resource_group=ref.resource_group.name,
            name=ref.name,
            container=self._container(container),
            **how,
        )


class ContainerGroup(GroupHandle):
    """
    A running container group.

    In a ``with`` it is deleted at the end, unless it was adopted or its ``lifetime`` is ``detached``.
    """

    def __init__(self, client: Client, *args: Any, owns_client: bool, **kwargs: Any) -> None:
        super().__init__(client._core, *args, **kwargs)
        self._client = client
        self._owns_client = owns_client

    @property
    def state(self) -> str:
        """
        ``Running``, ``Pending``, ``Succeeded``, ``Failed``, ``Stopped``, ..., as last seen.

        A launch on Azure returns as soon as the container answers, which may be before ARM calls it
        running; then the first look reads ARM once more.
        """
        ready = self._facts is not None and self._facts.ready is not None
        if ready and self._last_state() not in ("Running", "Succeeded", "Deleted"):
            self._catch_up()
        return self._last_state()

    @property
    def timeline(self) -> Timeline:
        """
        The phases of its launch; of a group that was picked up, what is known of them.

        A launch on Azure returns as soon as the container answers, before ARM has told all; the first
        look reads ARM once more, so that the service's own times are complete.
        """
        if self._facts is not None and self._facts.incomplete:
            self._catch_up()
        return super().timeline

    def _catch_up(self) -> None:
        """Read ARM once more, unless the launch has done so at its end."""
        if self._gone or self._core.pace.final_read:
            return
        with contextlib.suppress(AciflowError):  # what is known is shown all the same
            self.refresh()

    def refresh(self) -> ContainerGroup:
        """
        Read its state anew.

        Raises:
            GroupGoneError: It does not exist any more.
        """
        self._see(self._client._read(self._there()))
        return self

    def wait(self, ready: Ready, *, timeout: float = 300.0) -> ContainerGroup:
        """
        Wait until it is ready; errors as for a launch, and nothing is deleted.

        Args:
            ready: What to wait for.
            timeout: Seconds.
        """
        waited = self._client._wait(self._there(), ready, timeout)
        self._state, self._mapped = waited.state, waited.mapped
        return self

    def logs(self, *, container: str | None = None, tail: int | None = None) -> str:
        """
        What a container has written.

        Args:
            container: Default: the first.
            tail: Only so many lines from the end.
        """
        return self._client._logs(self._there(), self._container(container), tail)

    def stream_logs(
        self, *, container: str | None = None, since: float | None = None
    ) -> Iterator[LogLine]:
        """
        Lines as they come, each once, until the container has ended for good.

        Args:
            container: Default: the first.
            since: Seconds since the epoch; earlier lines are passed over.
        """
        cursor = LogCursor()
        name = self._container(container)
        ended = False
        while not ended:
            lines, ended = self._client._follow(self._there(), name, cursor)
            for line in lines:
                if since is None or line.at is None or line.at >= since:
                    yield line

    def exec(
        self, argv: Sequence[str], *, container: str | None = None, timeout: float | None = None
    ) -> ExecResult:
        """
        Run a command in a container, to its end.

        ACI starts one program without arguments and tells no exit status, so the command goes through the
        container's ``/bin/sh``. Without one a single word is started as it is, with no exit code. It has
        no input.

        Args:
            argv: The command and its arguments; no shell looks at them.
            container: Default: the first.
            timeout: Seconds that it may take.

        Raises:
            ExecTimeoutError: It was not done in time, and was ended; the error has the output.
            NoShellError: There are arguments, and no shell to pass them.
            ContainerNotRunningError: Nothing can be run in it.
            MissingExtraError: Everywhere but on the local endpoint: ``pip install 'aciflow[exec]'``.
            ExecError: It was cut off.
            GroupGoneError: There is no such container.
        """
        return self._exec(argv, container, timeout)

    def _exec(
        self,
        argv: Sequence[str],
        container: str | None,
        timeout: float | None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        ref, name = self._there(), self._container(container)
        what = self._core.command(ref, self._state, name, argv, timeout)
        return self._client._sessions().execute(what, on_output)

    def attach(self, *, container: str | None = None) -> Session:
        """
        What a container writes from now on, as it comes.

        ``with group.attach() as session: for text in session: ...``; :meth:`stream_logs` has what it
        wrote before, too.

        Args:
            container: Default: the first.

        Raises:
            ContainerNotRunningError: It does not run.
            MissingExtraError: Everywhere but on the local endpoint: ``pip install 'aciflow[exec]'``.
            GroupGoneError: There is no such container.
        """
        from aciflow.sessions.live import Session

        return Session(self._client._sessions().open(self._wanted("attach", container)))

    def _terminal(
        self, command: str, container: str | None, *, rows: int, columns: int
    ) -> Terminal:
        wanted = self._wanted("exec", container, command=command, rows=rows, columns=columns)
        return self._client._sessions().open(wanted)

    def start(self) -> ContainerGroup:
        """Start it again after :meth:`stop`; its address may be another one."""
        self._see_changed(self._client._change(self._there(), "group.start"))
        return self

    def stop(self) -> ContainerGroup:
        """Stop its containers; the group stays, and costs nothing."""
        self._see_changed(self._client._change(self._there(), "group.stop"))
        return self

    def restart(self) -> ContainerGroup:
        """Restart its containers; its address may be another one."""
        self._see_changed(self._client._change(self._there(), "group.restart"))
        return self

    def delete(self) -> None:
        """
        Delete it, confirm that it is gone, and delete what its launch made for it.

        Raises:
            NotOursError: It was not made by aciflow, or was adopted.
            CleanupError: It is still there; the message says how to remove it.
        """
        if self._gone:
            return
        self._check_ours()
        try:
            self._client._delete(self)
        finally:
            if self._owns_client and self._last_state() == "Deleted":
                self._client.close()

    def __enter__(self) -> ContainerGroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            if self._deletes_on_exit():
                self.delete()


class ResourceGroup:
    """
    A resource group to launch into.

    In a ``with``, what was launched in it is deleted at the end, and so is the group where this made it.
    """

    def __init__(self, client: Client, use: Use, *, location: str | None) -> None:
        self._client = client
        self._use = use
        self._location = location

    @property
    def name(self) -> str:
        """Its name."""
        return self._use.ref.name

    @property
    def id(self) -> str:
        """Its ARM id."""
        return self._use.ref.id

    @overload
    def launch(self, image: str, **options: Unpack[ImageLaunch]) -> ContainerGroup: ...

    @overload
    def launch(
        self, spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunch]
    ) -> ContainerGroup: ...

    @signed(ShapeOptions, LaunchOptions)
    def launch(self, image: str | ContainerGroupSpec, **options: Any) -> ContainerGroup:
        """As :func:`aciflow.launch`, in this resource group."""
        return self._client.launch(image, **self._here(options))

    @signed(ShapeOptions, RunOptions)
    def run(
        self, image: str, command: Sequence[str] | None = None, **options: Unpack[RunShape]
    ) -> RunResult:
        """As :func:`aciflow.run`, in this resource group."""
        return self._client.run(image, command, **self._here(dict(options)))

    def list(self) -> tuple[ContainerGroup, ...]:
        """The container groups in it, with their state."""
        return self._client.list(resource_group=self.name)

    def delete(self) -> None:
        """
        Delete what was launched in it, and it too where this made it and nothing else is in it.

        Raises:
            CleanupError: What is left, and how to remove it.
        """
        self._client._close_group(self.name)

    def _here(self, options: dict[str, Any]) -> dict[str, Any]:
        if options.setdefault("resource_group", self.name) != self.name:
            raise TypeError("this resource group's launch() takes no other resource_group")
        if self._location is not None:
            options.setdefault("location", self._location)
        return options

    def __repr__(self) -> str:
        return f"<ResourceGroup {self.name!r}>"

    def __enter__(self) -> ResourceGroup:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            self.delete()
