"""The sync client, and the functions of the module that use one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from attrs import frozen

from aciflow import lifetimes
from aciflow.cleanup import Failures, noting, warning
from aciflow.errors import GroupGoneError
from aciflow.group import ContainerGroup, ResourceGroup, RunResult
from aciflow.options import LaunchOptions, RunOptions, ShapeOptions, signed, split


if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Unpack

    from aciflow.books import Live, Use
    from aciflow.core import Core
    from aciflow.flow.effects import ArmCall, ArmReply, Env, Flow, Operation
    from aciflow.flow.handle import View
    from aciflow.flow.ids import GroupRef
    from aciflow.flow.lines import LogCursor, LogLine
    from aciflow.flow.wait import Waited
    from aciflow.local.azure import LocalAzure
    from aciflow.model import ContainerGroupSpec
    from aciflow.options import (
        ImageLaunch,
        ImageLaunchVia,
        RunShape,
        RunShapeVia,
        SpecLaunch,
        SpecLaunchVia,
    )
    from aciflow.ready import Ready
    from aciflow.sessions.sync import Sessions


__all__ = ["Client", "Usage", "get", "launch", "run"]

R = TypeVar("R")

# How many container groups are deleted at once.
CLOSE_THREADS = 16


@frozen(kw_only=True)
class Usage:
    """
    How much of a quota is used.

    Attributes:
        name: ``ContainerGroups``, ``StandardCores``, ...
        used: Now.
        limit: At the most.
        unit: ``Count``.
    """

    name: str
    used: float
    limit: float
    unit: str


class Client:
    """
    Launches container groups on one target.

    Args:
        target: ``"auto"``, ``"azure"``, ``"local"``, a ``LocalAzure``, or the ``https`` URL of an ARM
            endpoint. ``"auto"``: an argument that only Azure understands (``subscription_id``,
            ``credential``, ``cloud``) means Azure; then ``ACIFLOW_TARGET``; then
            ``AZURE_SUBSCRIPTION_ID``; then az's default subscription; else the embedded local endpoint,
            with a :class:`~aciflow.LocalTargetWarning`.
        subscription_id: Azure's.
        credential: Object with ``get_token``; by default the process's ``DefaultAzureCredential``.
        cloud: Which of Azure's clouds.
        location: Default region of launches.
        resource_group: Default resource group of launches; by default one that is made at the first
            launch and deleted by :meth:`close`.
        tags: On everything it makes.
        api_version: Of Microsoft.ContainerInstance.

    Raises:
        ConfigurationError: The target cannot honour the arguments, or there is no subscription.
        EngineUnavailableError: The local endpoint has no container engine.
    """

    def __init__(
        self,
        target: str | LocalAzure = "auto",
        *,
        subscription_id: str | None = None,
        credential: Any = None,
        cloud: Literal["public", "usgov", "china"] = "public",
        location: str | None = None,
        resource_group: str | None = None,
        tags: Mapping[str, str] | None = None,
        api_version: str | None = None,
    ) -> None:
        from aciflow.core import Core  # flows, tenacity, ... are loaded on first use

        self._core = Core(
            target,
            subscription_id=subscription_id,
            credential=credential,
            cloud=cloud,
            location=location,
            resource_group=resource_group,
            tags=tags,
            api_version=api_version,
        )
        self._closed = False
        lifetimes.follow(self, self._core)

    @classmethod
    def _over(cls, core: Core) -> Client:
        """A client that takes over what another one has launched."""
        self = cls.__new__(cls)
        self._core, self._closed = core, False
        return self

    # --- launching ------------------------------------------------------------------------

    @overload
    def launch(self, image: str, **options: Unpack[ImageLaunch]) -> ContainerGroup: ...

    @overload
    def launch(
        self, spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunch]
    ) -> ContainerGroup: ...

    @signed(ShapeOptions, LaunchOptions)
    def launch(self, image: str | ContainerGroupSpec, **options: Any) -> ContainerGroup:
        """As :func:`aciflow.launch`, on this client's target."""
        return self._launch(image, options, owns_client=False)

    def _launch(self, what: Any, options: dict[str, Any], *, owns_client: bool) -> ContainerGroup:
        from aciflow.core import hook_for
        from aciflow.flow.launch import launch as flow

        shape, how = split("launch", LaunchOptions, options, shaped=isinstance(what, str))
        request = self._core.request(what, shape, how, complete=False)
        try:
            with self._core.books.launching(request) as (request, made):
                result = self._run(lambda env: flow(env, request, made), hook_for(how.on_phase))
                self._core.keep_running(request)
        except BaseException as error:
            self._tidy(error)
            raise
        return ContainerGroup(
            self,
            request.ref,
            result.state,
            owns_client=owns_client,
            mapped=result.mapped,
            facts=result.facts,
            launch_id=request.launch_id,
            lifetime=request.lifetime,
            adopted=result.adopted,
        )

    @signed(ShapeOptions, RunOptions)
    def run(
        self, image: str, command: Sequence[str] | None = None, **options: Unpack[RunShape]
    ) -> RunResult:
        """As :func:`aciflow.run`, on this client's target."""
        from aciflow.core import hook_for_run
        from aciflow.flow.run import run as flow

        shape, how = split("run", RunOptions, options, shaped=True)
        request = self._core.run_request(image, {**shape, "command": command}, how)
        hook = hook_for_run(how.on_log, how.on_phase)
        try:
            with self._core.books.launching(request) as (request, made):
                outcome = self._run(
                    lambda env: flow(env, request, made, timeout=how.timeout, check=how.check), hook
                )
        except BaseException as error:
            self._tidy(error)
            raise
        with warning():
            self._drop_idle()
        return self._core.run_result(outcome)

    # --- what is there --------------------------------------------------------------------

    def get(self, name: str, *, resource_group: str | None = None) -> ContainerGroup:
        """
        Pick up a running container group, launched by any process.

        Leaving a ``with`` does not delete it; :meth:`ContainerGroup.delete` does where aciflow made it.

        Args:
            name: Its name.
            resource_group: Default: the client's.

        Raises:
            GroupGoneError: There is none.
        """
        return self._get(name, resource_group, owns_client=False)

    def _get(self, name: str, resource_group: str | None, *, owns_client: bool) -> ContainerGroup:
        ref = self._core.find_ref(name, resource_group)
        return self._handle(ref, self._read(ref), owns_client=owns_client)

    def list(self, *, resource_group: str | None = None) -> tuple[ContainerGroup, ...]:
        """
        The container groups of a resource group, or of the subscription, each with its state.

        ARM's list has no state (azure-sdk-for-python#27068), so each one is read as well.

        Args:
            resource_group: Default: the client's, else the whole subscription.
        """
        from aciflow.flow.handle import list_groups

        where = resource_group or self._core.books.default
        bodies = self._run(lambda env: list_groups(env, where))
        handles = []
        for body in bodies:
            ref = self._core.ref_of(body["id"])
            try:
                handles.append(self._handle(ref, self._read(ref), owns_client=False))
            except GroupGoneError:
                continue  # deleted since it was listed
        return tuple(handles)

    def resource_group(
        self,
        name: str | None = None,
        *,
        location: str | None = None,
        tags: Mapping[str, str] | None = None,
        delete: Literal["if-created", "never"] = "if-created",
    ) -> ResourceGroup:
        """
        A resource group to launch into; made where it does not exist.

        Args:
            name: Default: a new one.
            location: Where, if it is made.
            tags: If it is made.
            delete: Whether leaving its ``with`` deletes one that this made.
        """
        from aciflow.books import new_name
        from aciflow.flow.groups import ensure

        core = self._core
        use = core.books.use(name or new_name())
        use.keep, use.pinned = delete == "never", True
        where = location or core.location or core.target.location
        try:
            with core.books.making(use) as made:
                self._run(
                    lambda env: ensure(
                        env,
                        use.ref,
                        made,
                        location=where,
                        tags={**core.group_tags(), **(tags or {})},
                        new=name is None,
                        keep=use.keep,
                    )
                )
        except BaseException as error:
            use.pinned = False
            self._tidy(error)
            raise
        return ResourceGroup(self, use, location=location)

    def usage(self, location: str | None = None) -> tuple[Usage, ...]:
        """
        How much of the subscription's quotas is used in a region.

        Args:
            location: Default: the client's, or az's default.

        Raises:
            LocationRequiredError: There is neither.
        """
        from aciflow.flow.handle import usages

        where = self._core.region(location)
        return tuple(Usage(**usage) for usage in self._run(lambda env: usages(env, where)))

    # --- the end --------------------------------------------------------------------------

    def close(self) -> None:
        """
        Delete what this client launched (what is ``detached`` stays) and made, and close connections.

        Raises:
            CleanupError: What is left, and how to remove it.
        """
        if self._closed:
            return
        self._closed = True
        failures = Failures()
        try:
            self._delete_all(self._core.books.live(), failures)
            with failures.collecting():
                self._drop_idle(closing=True)
        except BaseException:  # interrupted: the end of the interpreter goes on with it
            self._closed = False
            raise
        lifetimes.forget(self)
        self._core.release()
        failures.raise_for_any()

    def close_at_exit(self) -> None:
        """The interpreter ends."""
        self.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            self.close()

    def __repr__(self) -> str:
        return f"<Client {self._core.target.label or 'Azure'} {self._core.target.subscription_id}>"

    # --- for the handles ------------------------------------------------------------------

    def _run(self, make: Callable[[Env], Flow[R]], on_phase: Any = None) -> R:
        return self._core.sync_driver().run(make, on_phase)

    def _handle(self, ref: GroupRef, view: View, *, owns_client: bool) -> ContainerGroup:
        return ContainerGroup(
            self,
            ref,
            view.state,
            owns_client=owns_client,
            mapped=view.mapped,
            facts=None,
            launch_id=None,
            lifetime="detached",
            adopted=False,
        )

    def _read(self, ref: GroupRef) -> View:
        from aciflow.flow.handle import read

        return self._run(lambda env: read(env, ref))

    def _wait(self, ref: GroupRef, ready: Ready, timeout: float) -> Waited:
        from aciflow.flow.handle import wait

        core = self._core
        return self._run(
            lambda env: wait(
                env, ref, ready, pace=core.pace, timeout=timeout, label=core.target.label
            )
        )

    def _logs(self, ref: GroupRef, container: str, tail: int | None) -> str:
        from aciflow.flow.handle import logs

        return self._run(lambda env: logs(env, ref, container, tail))

    def _sessions(self) -> Sessions:
        from aciflow.flow.retry import retrying
        from aciflow.sessions.sync import Sessions

        def perform(call: ArmCall) -> ArmReply:
            reply: ArmReply = self._run(
                lambda env: retrying(env, call, deadline=env.clock.now() + call.timeout)
            )
            return reply

        self._core.books.check_open()
        return Sessions(perform, self._core.target)

    def _follow(
        self, ref: GroupRef, container: str, cursor: LogCursor
    ) -> tuple[Sequence[LogLine], bool]:
        from aciflow.flow.handle import follow

        return self._run(lambda env: follow(env, ref, container, cursor, pace=self._core.pace))

    def _change(self, ref: GroupRef, operation: Operation) -> View:
        from aciflow.flow.handle import change

        return self._run(lambda env: change(env, ref, operation, pace=self._core.pace))

    def _delete(self, group: ContainerGroup) -> None:
        from aciflow.flow.groups import drop_made
        from aciflow.flow.handle import delete

        core, ref, facts = self._core, group._ref, group._facts
        picked_up, launch_id = group._launch_id is None, group._launch_of()
        existed = self._run(
            lambda env: delete(env, ref, pace=core.pace, facts=facts, launch_id=launch_id)
        )
        if picked_up and existed:
            core.ledger.clear_id(ref.id)
        core.books.forget(ref, launch_id)
        group._gone = True
        self._drop_idle()
        marks = core.marks_of(group._state.tags)
        if picked_up and marks is not None:  # another client made it
            group._emptied = self._run(
                partial(
                    drop_made,
                    ref=ref.resource_group,
                    pace=core.pace,
                    wait=core.group_wait,
                    marks=marks,
                )
            )

    def _delete_live(self, live: Live, failures: Failures) -> None:
        from aciflow.flow.handle import delete

        core = self._core
        with failures.collecting():
            self._run(
                lambda env: delete(
                    env, live.ref, pace=core.pace, facts=None, launch_id=live.launch_id
                )
            )
            core.books.forget(live.ref, live.launch_id)

    def _delete_all(self, lives: Sequence[Live], failures: Failures) -> None:
        """All at once, since each one takes Azure half a minute."""
        if len(lives) < 2:
            for live in lives:
                self._delete_live(live, failures)
            return
        from aciflow.drivers.workers import Workers

        workers, ended = Workers(CLOSE_THREADS, "aciflow-close"), SimpleQueue[None]()

        def work(live: Live) -> None:
            try:
                self._delete_live(live, failures)
            except Exception as error:  # nobody else would hear of it
                failures.messages.append(f"{live.ref.id}: {error!r}")
            finally:
                ended.put(None)

        for live in lives:
            workers.submit(partial(work, live))
        for _ in lives:
            ended.get()
        workers.close()

    def _drop_idle(self, *, closing: bool = False, only: Use | None = None) -> None:
        from aciflow.flow.groups import delete_resource_group

        core = self._core
        failures = Failures()
        with core.books.taking_idle(closing=closing, only=only) as uses:
            for use in uses:
                with failures.collecting():
                    self._run(
                        partial(
                            delete_resource_group,
                            ref=use.ref,
                            pace=core.pace,
                            wait=core.group_wait,
                            mark=core.mark,
                        )
                    )
        failures.raise_for_any()

    def _close_group(self, name: str) -> None:
        use = self._core.books.use(name)
        use.pinned = False
        failures = Failures()
        self._delete_all(self._core.books.live(use), failures)
        with failures.collecting():
            self._drop_idle(closing=True, only=use)
        failures.raise_for_any()

    def _tidy(self, error: BaseException) -> None:
        """After a failed launch: the resource group that was made for it goes too."""
        with noting(error):
            self._drop_idle()


@overload
def launch(image: str, **options: Unpack[ImageLaunchVia]) -> ContainerGroup: ...


@overload
def launch(spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunchVia]) -> ContainerGroup: ...


@signed(ShapeOptions, LaunchOptions, via_client=True)
def launch(image: str | ContainerGroupSpec, **options: Any) -> ContainerGroup:
    """
    Launch a container group and return when it serves.

    ::

        with aciflow.launch("nginx", public_ip=True) as group:
            print(group.url())

    Either an image with the words that follow, or a :class:`~aciflow.ContainerGroupSpec` alone.

    Args:
        image: A reference as for ``docker pull``.
        public_ip: An address on the internet (on the local endpoint: one that this machine reaches).
        ports: Open on the address; numbers are TCP. ``(80,)`` by default with a public address.
        name: Of the container group: 1 to 63 lower-case letters, digits and hyphens. Default: made up.
        resource_group: Default: one that is made for this launch and deleted with it. One of that name
            that does not exist is made, and deleted with the last container group launched into it.
        location: A region, or several to be tried in turn where one has no room or no quota. Default:
            the client's, the resource group's, az's.
        cpu: vCPU.
        memory_gb: GB.
        command: Replaces the image's entrypoint and its arguments.
        env: Environment.
        secure_env: Environment that the service never tells back.
        files: Absolute path to content; each directory shows these files and nothing else.
        volumes: Mount path to :class:`~aciflow.Volume`.
        dns_label: First label of a public name.
        dns_scope: Who may have that name again.
        restart_policy: ``Always``, ``OnFailure`` or ``Never``.
        os_type: Of the image.
        registry: Credentials for private registries.
        identity: Resource ids of managed identities; ``"system"`` is one of the group's own.
        subnet: A subnet's resource id.
        zone: An availability zone.
        spot: Cheaper, and may be evicted.
        tags: Of the container group.
        ready: When it serves. Default: the first port answers, or the container runs where there is none.
        timeout: Seconds for all of it.
        wait: Whether to wait until it is ready. If not, it returns when ARM has accepted.
        if_exists: What to do about a container group of that name: a PUT would overwrite and restart it,
            so ``"error"`` is the default; ``"adopt"`` waits for the one that is there and never deletes
            it; ``"replace"`` deletes it first, where aciflow made it.
        lifetime: ``"scope"``: as long as its ``with``. ``"process"``: also deleted when the interpreter
            ends. ``"detached"``: it outlives both.
        on_failure: ``"delete"`` or ``"keep"`` what failed.
        delete_after: A tag, enforced when something reaps.
        on_phase: Called with a :class:`~aciflow.PhaseEvent` as the launch goes on, in this thread.
            Default: in a notebook a line below the cell, elsewhere nothing;
            ``aciflow.timeline.live.default_hook()`` makes the line for a terminal.
        client: Default: a client of its own, with ``target="auto"``.

    Raises:
        ValidationError: All that is wrong with the arguments; nothing was sent.
        ConfigurationError: This machine or these arguments cannot work.
        ArmError: ARM refused.
        LaunchError: ARM accepted, and yet nothing serves.
        EndpointUnreachableError: ARM did not answer.
    """
    client = options.pop("client", None)
    if client is not None:
        made: ContainerGroup = client.launch(image, **options)
        return made
    split("launch", LaunchOptions, options, shaped=isinstance(image, str))  # wrong words come first
    client = Client()
    try:
        return client._launch(image, options, owns_client=True)
    except BaseException as error:
        with noting(error):
            client.close()
        raise


@signed(ShapeOptions, RunOptions, via_client=True)
def run(
    image: str, command: Sequence[str] | None = None, **options: Unpack[RunShapeVia]
) -> RunResult:
    """
    Run a container to its end; its group is deleted.

    The log is followed while it runs, since a stopped group keeps only 16 KB of it.

    Args:
        image: A reference as for ``docker pull``.
        command: Replaces the image's entrypoint and its arguments.
        start_timeout: Seconds until the container must have started.
        timeout: Seconds from its start until it is ended, or ``None``.
        check: Whether an exit code other than 0 is an error.
        on_log: Called with each :class:`~aciflow.LogLine`, in this thread.
        on_phase: As for :func:`launch`; so are the others.
        client: Default: a client of its own, with ``target="auto"``.

    Raises:
        ContainerExitedError: With ``check``.
        RunTimeoutError: It took longer than ``timeout``.
        AciflowError: As for :func:`launch`.
    """
    rest: dict[str, Any] = {**options}
    client: Client | None = rest.pop("client", None)
    if client is not None:
        return client.run(image, command, **rest)
    split("run", RunOptions, rest, shaped=True)  # wrong words come first
    own = Client()
    try:
        result = own.run(image, command, **rest)
    except BaseException as error:
        with noting(error):
            own.close()
        raise
    with warning():
        own.close()
    return result


def get(name: str, *, resource_group: str, client: Client | None = None) -> ContainerGroup:
    """As :meth:`Client.get`, with a client of its own unless one is given."""
    if client is not None:
        return client.get(name, resource_group=resource_group)
    own = Client()
    try:
        return own._get(name, resource_group, owns_client=True)
    except BaseException as error:
        with noting(error):
            own.close()
        raise
