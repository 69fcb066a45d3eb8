"""
What the sync and the async client share: everything but the waiting.

It resolves the target and turns a call's arguments into a :class:`~aciflow.flow.launch.LaunchRequest`; what
a client has made is in its :mod:`~aciflow.books`.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import sys
import threading
import weakref

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve

from aciflow.books import Books
from aciflow.drivers.sync import SyncDriver
from aciflow.drivers.workers import Workers
from aciflow.errors import (
    LocationRequiredError,
    Problem,
    ValidationError,
)
from aciflow.flow import pace as paces
from aciflow.flow.effects import Exec
from aciflow.flow.ids import GroupRef, ResourceGroupRef
from aciflow.flow.launch import LAUNCH_TAG, OWNER_TAG, LaunchRequest
from aciflow.flow.lines import LogLine
from aciflow.flow.wait import default_ready
from aciflow.group import RunResult
from aciflow.ledger import Ledger
from aciflow.local.state import state_root
from aciflow.model import ContainerGroupSpec, spec_from_image, validate
from aciflow.model.cost import cost
from aciflow.options import LaunchOptions, RunOptions
from aciflow.probes import NetworkProber
from aciflow.ready import CompletedCheck, Ready
from aciflow.target import resolve


if TYPE_CHECKING:
    from aciflow.arm.aio_gateway import AsyncGateway
    from aciflow.arm.gateway import Gateway
    from aciflow.flow.run import RunOutcome
    from aciflow.model import GroupState
    from aciflow.sessions.values import ExecResult
    from aciflow.target import Target
    from aciflow.timeline import PhaseEvent


__all__ = ["Core"]

CLIENT_TAG = "aciflow-client-id"
# How many effects of one client run at once: a launch has a read and up to eight probes under way.
THREADS = 64
# How long a local resource group may take to go.
LOCAL_GROUP_WAIT = 30.0

_cores: weakref.WeakSet[Core] = weakref.WeakSet()


class Core:
    """
    A client without its way of waiting.

    Args: as :class:`aciflow.Client`.
    """

    def __init__(
        self,
        target: Any = "auto",
        *,
        subscription_id: str | None = None,
        credential: Any = None,
        cloud: Any = "public",
        location: str | None = None,
        resource_group: str | None = None,
        tags: Mapping[str, str] | None = None,
        api_version: str | None = None,
    ) -> None:
        self.target: Target = resolve(
            target,
            subscription_id=subscription_id,
            credential=credential,
            cloud=cloud,
            location=None,
            api_version=api_version,
        )
        self.client_id = secrets.token_hex(8)
        self.location = location
        self.tags = dict(tags or {})
        self.azure = self.target.kind == "azure"
        self.pace = _pace(self.target)
        self.ledger = Ledger(state_root() / "ledger", durable=self.azure)
        self.owner = _owner()
        self.books = Books(self.group_ref, resource_group)
        self._reset()
        if self.target.endpoint is not None:
            self.target.endpoint.start()
        _cores.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._workers = Workers(THREADS, "aciflow-effect")
        self._gateway: Gateway | None = None
        self._network = NetworkProber()
        self._closed = False

    def forget_parent(self) -> None:
        """In a fork: connections, threads and what has been launched are the parent's."""
        closed = self._closed
        self._parents = (self._gateway, self._network)  # not to be collected, and so closed, here
        self._reset()
        self._closed = closed
        self.books.reset()
        if closed:
            self.books.close()

    # --- ways to wait ---------------------------------------------------------------------

    def sync_driver(self) -> SyncDriver:
        """
        A driver for ordinary code; the async client needs one too, when the interpreter ends.

        Raises:
            ConfigurationError: The client is closed.
        """
        self.books.check_open()
        from aciflow.arm.gateway import Gateway  # azure is loaded on first use

        with self._lock:
            if self._gateway is None:
                self._gateway = Gateway(self.target.settings)
        return SyncDriver(
            arm=self._gateway,
            prober=self.simulated_prober() or self._network,
            ledger=self.ledger,
            workers=self._workers,
            execute=partial(self._execute, self._gateway),
        )

    def _execute(self, gateway: Gateway, what: Exec) -> ExecResult:
        """A flow's own exec: asked for once, since the flow sees to retries."""
        from aciflow.sessions.sync import Sessions  # where a flow waits for a command

        return Sessions(gateway.perform, self.target).execute(what)

    def command(
        self,
        ref: GroupRef,
        state: GroupState,
        container: str,
        argv: Sequence[str],
        timeout: float | None,
    ) -> Exec:
        """
        A command for a container.

        Raises:
            ValidationError: No program could be given these arguments.
        """
        from aciflow.sessions.shell import typed

        problem = ""
        if isinstance(argv, str):
            problem = "a sequence of words, not one string: ['sh', '-c', 'echo $HOME']"
        elif not all(isinstance(word, str) for word in argv):
            problem = "each of its words is a text"
        elif timeout is not None and not timeout > 0:
            raise ValidationError([Problem(field="timeout", message="seconds, more than 0")])
        else:
            try:
                typed(argv, "0" * 32)
            except ValueError as error:
                problem = str(error)
        if problem:
            raise ValidationError([Problem(field="argv", message=problem)])
        return Exec(
            resource_group=ref.resource_group.name,
            name=ref.name,
            container=container,
            argv=tuple(argv),
            timeout=timeout,
            shell=state.os_type != "Windows",
        )

    def async_gateway(self) -> AsyncGateway:
        """
        A gateway for a loop.

        Raises:
            ConfigurationError: The client is closed.
        """
        self.books.check_open()
        from aciflow.arm.aio_gateway import AsyncGateway  # azure is loaded on first use

        return AsyncGateway(self.target.settings)

    def simulated_prober(self) -> Any:
        """Who answers probes where there is no network to probe."""
        return None if self.target.endpoint is None else self.target.endpoint.prober()

    def release(self) -> None:
        """Close what is open here; the resources in Azure are the clients' affair."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.books.close()
            gateway, self._gateway = self._gateway, None
        if gateway is not None:
            gateway.close()
        self._network.close()
        self._workers.close()

    # --- requests -------------------------------------------------------------------------

    def request(
        self,
        what: str | ContainerGroupSpec,
        shape: Mapping[str, Any],
        options: LaunchOptions,
        *,
        complete: bool,
    ) -> LaunchRequest:
        """
        A call's arguments as a request.

        Args:
            what: An image or a spec.
            shape: With an image: what to run.
            options: Where and how.
            complete: Read once more when ready, even on Azure: a handle that cannot read when its
                timeline is looked at (asyncio's) needs it complete.

        Raises:
            ValidationError: All that is wrong with them.
        """
        spec = self._spec(what, shape)
        problems = [*validate(spec), *_option_problems(options, spec)]
        if problems:
            raise ValidationError(problems)
        use = self.books.use(options.resource_group)
        return LaunchRequest(
            launch_id=secrets.token_hex(8),
            spec=spec,
            resource_group=use.ref,
            group_new=self.books.made_up(use),
            locations=self._locations(options.location),
            fallback_location=self.target.location,
            tags={**self.tags, CLIENT_TAG: self.client_id},
            owner=self.owner,
            ready=options.ready or _default_ready(spec),
            timeout=options.timeout,
            wait=options.wait,
            if_exists=options.if_exists,
            on_failure=options.on_failure,
            delete_after=(
                None if options.delete_after is None else options.delete_after.total_seconds()
            ),
            lifetime=options.lifetime,
            pace=evolve(self.pace, final_read=True) if complete else self.pace,
            target=self.target.label,
            process={"pid": os.getpid(), "host": socket.gethostname()},
        )

    def run_request(
        self, what: str, shape: Mapping[str, Any], options: RunOptions
    ) -> LaunchRequest:
        """The request of a run: restart policy Never, and nothing to wait for but the end."""
        if shape.get("restart_policy", "Never") != "Never":
            raise ValidationError(
                [Problem(field="restart_policy", message="a run ends: it can only be 'Never'")]
            )
        launch = LaunchOptions(
            resource_group=options.resource_group,
            location=options.location,
            ready=Ready((CompletedCheck(),)),
            timeout=options.start_timeout,
            delete_after=options.delete_after,
        )
        request = self.request(what, {**shape, "restart_policy": "Never"}, launch, complete=False)
        # Ready.completed is only what keeps a clean exit from being taken for a failure.
        return evolve(request, wait=False)

    def _spec(self, what: str | ContainerGroupSpec, shape: Mapping[str, Any]) -> ContainerGroupSpec:
        if isinstance(what, ContainerGroupSpec):
            return what
        if not isinstance(what, str):
            raise TypeError(f"an image or a ContainerGroupSpec is launched, not {what!r}")
        return spec_from_image(what, **shape, new_name=lambda: secrets.token_hex(4))

    def _locations(self, asked: Any) -> tuple[str, ...]:
        chosen = asked or self.location
        if chosen is None:
            return ()
        return (chosen,) if isinstance(chosen, str) else tuple(chosen)

    # --- names ----------------------------------------------------------------------------

    def group_ref(self, resource_group: str) -> ResourceGroupRef:
        """A resource group of this client's subscription."""
        return ResourceGroupRef(
            subscription_id=self.target.subscription_id, name=resource_group, azure=self.azure
        )

    def find_ref(self, name: str, resource_group: str | None) -> GroupRef:
        """
        A container group by name.

        Raises:
            ValidationError: Nobody said in which resource group.
        """
        where = resource_group or self.books.usual
        if where is None:
            raise ValidationError(
                [Problem(field="resource_group", message="say in which resource group it is")]
            )
        return GroupRef(resource_group=self.group_ref(where), name=name)

    def ref_of(self, resource_id: str) -> GroupRef:
        """A container group by its ARM id."""
        parts = resource_id.split("/")
        return GroupRef(resource_group=self.group_ref(parts[4]), name=parts[8])

    def region(self, asked: str | None) -> str:
        """
        A region for what needs one.

        Raises:
            LocationRequiredError: There is none.
        """
        where = asked or self.location or self.target.location
        if where is None:
            raise LocationRequiredError("pass location=, or give the client one")
        return where

    def run_result(self, outcome: RunOutcome) -> RunResult:
        """What a run's user gets."""
        state = outcome.launched.state
        return RunResult(
            exit_code=outcome.exit_code,
            logs="".join(f"{line}\n" for line in outcome.lines),
            logs_truncated=outcome.truncated,
            timeline=outcome.launched.facts.timeline(),
            estimated_cost=cost(
                outcome.seconds,
                cpu=state.cpu,
                memory_gb=state.memory_gb,
                location=state.location,
                spot=state.priority == "Spot",
                os_type=state.os_type,
            ),
        )

    @property
    def mark(self) -> tuple[str, str]:
        """The tag that shows that this client made a resource group."""
        return (CLIENT_TAG, self.client_id)

    def marks_of(self, tags: Mapping[str, str]) -> dict[str, str | None] | None:
        """The tags of the resource group that was made for a container group with these tags, if any."""
        theirs = tags.get(CLIENT_TAG)
        if theirs is None or theirs == self.client_id:  # our own are in the books
            return None
        return {CLIENT_TAG: theirs, LAUNCH_TAG: None}

    def group_tags(self) -> dict[str, str]:
        """Tags of a resource group that this client makes."""
        return {**self.tags, CLIENT_TAG: self.client_id, OWNER_TAG: self.owner}

    def keep_running(self, request: LaunchRequest) -> None:
        """
        See to it that what is to outlive this process is looked after when it has ended; blocks.

        Raises:
            EngineUnavailableError: Nobody can be found who does.
        """
        if request.lifetime == "detached" and self.target.endpoint is not None:
            self.target.endpoint.keep_after_exit()

    @property
    def group_wait(self) -> float:
        """Seconds to wait for the end of a resource group; Azure takes minutes, a local one none."""
        return 0.0 if self.azure else LOCAL_GROUP_WAIT


def hook_for(on_phase: Callable[[PhaseEvent], None] | None) -> Callable[[PhaseEvent], None] | None:
    """The caller's hook; without one, the line that a notebook shows below its cell."""
    from aciflow.timeline.live import notebook_hook

    return on_phase if on_phase is not None else notebook_hook()


def hook_for_run(
    on_log: Callable[[LogLine], None] | None, on_phase: Callable[[PhaseEvent], None] | None
) -> Callable[[Any], None]:
    """One hook for the driver: lines to one function, phases to the other."""
    tell_phase = hook_for(on_phase)

    def hook(event: Any) -> None:
        wanted: Callable[[Any], None] | None = on_log if isinstance(event, LogLine) else tell_phase
        if wanted is not None:
            wanted(event)

    return hook


def _pace(target: Target) -> paces.Pace:
    if target.served:
        return paces.LOCAL
    if target.endpoint is None:
        return paces.AZURE
    if target.endpoint.kind == "engine":
        return paces.LOCAL
    return paces.AZURE.sped_up(getattr(target.endpoint.runtime, "speed", 1.0))


def _owner() -> str:
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):  # no passwd entry; Windows has no pwd
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{socket.gethostname()}"[:256]


def _default_ready(spec: ContainerGroupSpec) -> Ready:
    tcp = tuple(port.port for port in spec.ports if port.protocol == "TCP")
    return default_ready(tcp, reachable=spec.public_ip)


def _option_problems(options: LaunchOptions, spec: ContainerGroupSpec) -> Iterator[Problem]:
    for name, allowed in (
        ("if_exists", ("error", "adopt", "replace")),
        ("lifetime", ("scope", "process", "detached")),
        ("on_failure", ("delete", "keep")),
    ):
        if getattr(options, name) not in allowed:
            yield Problem(field=name, message=f"one of {', '.join(map(repr, allowed))}")
    if not options.timeout > 0:
        yield Problem(field="timeout", message="seconds, more than 0")
    if options.delete_after is not None and options.delete_after.total_seconds() <= 0:
        yield Problem(field="delete_after", message="a time to come")
    names = {container.name for container in spec.containers}
    for check in (options.ready or Ready(())).checks:
        port = getattr(check, "port", None)
        probes = hasattr(check, "port")
        if getattr(check, "via", None) == "container" and port is not None:
            continue  # inside, any port can be asked
        if probes and not any(p.protocol == "TCP" for p in spec.ports):
            yield Problem(
                field="ready", message=f"{check}: the group has no TCP port on an address"
            )
        elif probes and port is not None and all(p.port != port for p in spec.ports):
            open_ports = ", ".join(str(p.port) for p in spec.ports)
            yield Problem(field="ready", message=f"{check}: only {open_ports} are open")
        container = getattr(check, "container", None)
        if container is not None and container not in names:
            yield Problem(field="ready", message=f"{check}: there is no container '{container}'")


def _after_fork() -> None:
    for core in list(_cores):
        core.forget_parent()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
