"""
The client for asyncio, and the module's functions: the same names and arguments, awaited.

::

    async with await aciflow.aio.launch("nginx", public_ip=True) as group:
        print(group.url())
"""

from __future__ import annotations

import os

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from aciflow import lifetimes
from aciflow.aio_group import AsyncContainerGroup, AsyncResourceGroup
from aciflow.cleanup import Failures, noting, warning
from aciflow.client import Usage
from aciflow.errors import GroupGoneError
from aciflow.options import LaunchOptions, RunOptions, ShapeOptions, signed, split


if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Unpack

    from aciflow.arm.aio_gateway import AsyncGateway
    from aciflow.books import Live, Use
    from aciflow.drivers.aio import AsyncDriver
    from aciflow.flow.effects import ArmCall, ArmReply, Env, Exec, Flow, Operation
    from aciflow.flow.handle import View
    from aciflow.flow.ids import GroupRef
    from aciflow.flow.lines import LogCursor, LogLine
    from aciflow.flow.wait import Waited
    from aciflow.group import RunResult
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
    from aciflow.probes import AsyncNetworkProber, ThreadedProber
    from aciflow.ready import Ready
    from aciflow.sessions.aio import AsyncSessions
    from aciflow.sessions.values import ExecResult


__all__ = ["AsyncClient", "get", "launch", "run"]

R = TypeVar("R")


class AsyncClient:
    """
    Launches container groups on one target, from one asyncio loop.

    Arguments and errors are those of :class:`aciflow.Client`. What is not deleted when the interpreter
    ends is deleted then, as with the sync client.
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
        self._gateway: AsyncGateway | None = None
        self._prober: AsyncNetworkProber | ThreadedProber | None = None
        self._pid = os.getpid()
        lifetimes.follow(self, self._core)

    # --- launching ------------------------------------------------------------------------

    @overload
    async def launch(self, image: str, **options: Unpack[ImageLaunch]) -> AsyncContainerGroup: ...

    @overload
    async def launch(
        self, spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunch]
    ) -> AsyncContainerGroup: ...

    @signed(ShapeOptions, LaunchOptions)
    async def launch(self, image: str | ContainerGroupSpec, **options: Any) -> AsyncContainerGroup:
        """As :func:`aciflow.launch`, on this client's target."""
        return await self._launch(image, options, owns_client=False)

    async def _launch(
        self, what: Any, options: dict[str, Any], *, owns_client: bool
    ) -> AsyncContainerGroup:
        from asyncio import to_thread

        from aciflow.core import hook_for
        from aciflow.flow.launch import launch as flow

        shape, how = split("launch", LaunchOptions, options, shaped=isinstance(what, str))
        request = self._core.request(what, shape, how, complete=True)
        try:
            with self._core.books.launching(request) as (request, made):
                result = await self._run(
                    lambda env: flow(env, request, made), hook_for(how.on_phase)
                )
                if request.lifetime == "detached":
                    await to_thread(self._core.keep_running, request)
        except BaseException as error:
            await self._tidy(error)
            raise
        return AsyncContainerGroup(
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
    async def run(
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
                outcome = await self._run(
                    lambda env: flow(env, request, made, timeout=how.timeout, check=how.check), hook
                )
        except BaseException as error:
            await self._tidy(error)
            raise
        with warning():
            await self._drop_idle()
        return self._core.run_result(outcome)

    # --- what is there --------------------------------------------------------------------

    async def get(self, name: str, *, resource_group: str | None = None) -> AsyncContainerGroup:
        """
        Pick up a running container group, launched by any process.

        Leaving an ``async with`` does not delete it; :meth:`AsyncContainerGroup.delete` does where aciflow
        made it.

        Args:
            name: Its name.
            resource_group: Default: the client's.

        Raises:
            GroupGoneError: There is none.
        """
        return await self._get(name, resource_group, owns_client=False)

    async def _get(
        self, name: str, resource_group: str | None, *, owns_client: bool
    ) -> AsyncContainerGroup:
        ref = self._core.find_ref(name, resource_group)
        return self._handle(ref, await self._read(ref), owns_client=owns_client)

    async def list(self, *, resource_group: str | None = None) -> tuple[AsyncContainerGroup, ...]:
        """
        The container groups of a resource group, or of the subscription, each with its state.

        Args:
            resource_group: Default: the client's, else the whole subscription.
        """
        from aciflow.flow.handle import list_groups

        where = resource_group or self._core.books.default
        bodies = await self._run(lambda env: list_groups(env, where))
        handles = []
        for body in bodies:
            ref = self._core.ref_of(body["id"])
            try:
                handles.append(self._handle(ref, await self._read(ref), owns_client=False))
            except GroupGoneError:
                continue  # deleted since it was listed
        return tuple(handles)

    async def resource_group(
        self,
        name: str | None = None,
        *,
        location: str | None = None,
        tags: Mapping[str, str] | None = None,
        delete: Literal["if-created", "never"] = "if-created",
    ) -> AsyncResourceGroup:
        """
        A resource group to launch into; made where it does not exist.

        Args:
            name: Default: a new one.
            location: Where, if it is made.
            tags: If it is made.
            delete: Whether leaving its ``async with`` deletes one that this made.
        """
        from aciflow.books import new_name
        from aciflow.flow.groups import ensure

        core = self._core
        use = core.books.use(name or new_name())
        use.keep, use.pinned = delete == "never", True
        where = location or core.location or core.target.location
        try:
            with core.books.making(use) as made:
                await self._run(
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
            await self._tidy(error)
            raise
        return AsyncResourceGroup(self, use, location=location)

    async def usage(self, location: str | None = None) -> tuple[Usage, ...]:
        """
        How much of the subscription's quotas is used in a region.

        Args:
            location: Default: the client's, or az's default.

        Raises:
            LocationRequiredError: There is neither.
        """
        from aciflow.flow.handle import usages

        where = self._core.region(location)
        return tuple(Usage(**usage) for usage in await self._run(lambda env: usages(env, where)))

    # --- the end --------------------------------------------------------------------------

    async def close(self) -> None:
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
            await self._delete_all(self._core.books.live(), failures)
            with failures.collecting():
                await self._drop_idle(closing=True)
        except BaseException:  # cancelled: the end of the interpreter goes on with it
            self._closed = False
            raise
        lifetimes.forget(self)
        if self._gateway is not None:
            await self._gateway.close()
        if self._prober is not None:
            await self._prober.close()
        self._core.release()
        failures.raise_for_any()

    def close_at_exit(self) -> None:
        """The interpreter ends, and its loops have: delete from ordinary code."""
        from aciflow.client import Client

        self._closed = True
        self._make_credential_sync()
        Client._over(self._core).close()

    def _make_credential_sync(self) -> None:
        """What ordinary code needs of an async credential: the token that is there, or a loop for it."""
        from asyncio import run
        from inspect import iscoroutinefunction

        from attrs import evolve

        from aciflow.arm.credentials import TokenSource

        core, settings = self._core, self._core.target.settings
        credential = settings.credential
        if not iscoroutinefunction(getattr(credential, "get_token", None)):
            return

        class Blocking:
            def get_token(self, *scopes: str, **options: Any) -> Any:
                return run(credential.get_token(*scopes, **options))

        source, scopes = TokenSource(Blocking), settings.credential_scopes
        if self._gateway is not None:
            token = self._gateway._source.cached(scopes)
            if token is not None:
                source.keep(scopes, token)
        core.target = evolve(core.target, settings=evolve(settings, credential=source))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient {self._core.target.label or 'Azure'} {self._core.target.subscription_id}>"

    # --- for the handles ------------------------------------------------------------------

    def _driver(self) -> AsyncDriver:
        from aciflow.drivers.aio import AsyncDriver
        from aciflow.probes import AsyncNetworkProber, ThreadedProber

        self._core.books.check_open()
        if self._pid != os.getpid():  # connections and loop are the parent's
            self._pid, self._gateway, self._prober = os.getpid(), None, None
        if self._gateway is None:
            self._gateway = self._core.async_gateway()
        if self._prober is None:
            simulated = self._core.simulated_prober()
            self._prober = ThreadedProber(simulated) if simulated else AsyncNetworkProber()
        return AsyncDriver(
            arm=self._gateway,
            prober=self._prober,
            ledger=self._core.ledger,
            execute=partial(self._execute, self._gateway),
        )

    async def _execute(self, gateway: AsyncGateway, what: Exec) -> ExecResult:
        """A flow's own exec: asked for once, since the flow sees to retries."""
        from aciflow.sessions.aio import AsyncSessions  # where a flow waits for a command

        return await AsyncSessions(gateway.perform, self._core.target).execute(what)

    async def _run(self, make: Callable[[Env], Flow[R]], on_phase: Any = None) -> R:
        return await self._driver().run(make, on_phase)

    def _handle(self, ref: GroupRef, view: View, *, owns_client: bool) -> AsyncContainerGroup:
        return AsyncContainerGroup(
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

    async def _read(self, ref: GroupRef) -> View:
        from aciflow.flow.handle import read

        return await self._run(lambda env: read(env, ref))

    async def _wait(self, ref: GroupRef, ready: Ready, seconds: float) -> Waited:
        from aciflow.flow.handle import wait

        core = self._core
        return await self._run(
            lambda env: wait(
                env, ref, ready, pace=core.pace, timeout=seconds, label=core.target.label
            )
        )

    async def _logs(self, ref: GroupRef, container: str, tail: int | None) -> str:
        from aciflow.flow.handle import logs

        return await self._run(lambda env: logs(env, ref, container, tail))

    def _sessions(self) -> AsyncSessions:
        from aciflow.flow.retry import retrying
        from aciflow.sessions.aio import AsyncSessions

        async def perform(call: ArmCall) -> ArmReply:
            reply: ArmReply = await self._run(
                lambda env: retrying(env, call, deadline=env.clock.now() + call.timeout)
            )
            return reply

        self._core.books.check_open()
        return AsyncSessions(perform, self._core.target)

    async def _follow(
        self, ref: GroupRef, container: str, cursor: LogCursor
    ) -> tuple[Sequence[LogLine], bool]:
        from aciflow.flow.handle import follow

        return await self._run(
            lambda env: follow(env, ref, container, cursor, pace=self._core.pace)
        )

    async def _change(self, ref: GroupRef, operation: Operation) -> View:
        from aciflow.flow.handle import change

        return await self._run(lambda env: change(env, ref, operation, pace=self._core.pace))

    async def _delete(self, group: AsyncContainerGroup) -> None:
        from aciflow.flow.groups import drop_made
        from aciflow.flow.handle import delete

        core, ref, facts = self._core, group._ref, group._facts
        picked_up, launch_id = group._launch_id is None, group._launch_of()
        existed = await self._run(
            lambda env: delete(env, ref, pace=core.pace, facts=facts, launch_id=launch_id)
        )
        if picked_up and existed:
            core.ledger.clear_id(ref.id)
        core.books.forget(ref, launch_id)
        group._gone = True
        await self._drop_idle()
        marks = core.marks_of(group._state.tags)
        if picked_up and marks is not None:  # another client made it
            group._emptied = await self._run(
                partial(
                    drop_made,
                    ref=ref.resource_group,
                    pace=core.pace,
                    wait=core.group_wait,
                    marks=marks,
                )
            )

    async def _delete_live(self, live: Live, failures: Failures) -> None:
        from aciflow.flow.handle import delete

        core = self._core
        with failures.collecting():
            await self._run(
                lambda env: delete(
                    env, live.ref, pace=core.pace, facts=None, launch_id=live.launch_id
                )
            )
            core.books.forget(live.ref, live.launch_id)

    async def _delete_all(self, lives: Sequence[Live], failures: Failures) -> None:
        """All at once, since each one takes Azure half a minute."""
        from asyncio import gather

        await gather(*(self._delete_live(live, failures) for live in lives))

    async def _drop_idle(self, *, closing: bool = False, only: Use | None = None) -> None:
        from aciflow.flow.groups import delete_resource_group

        core = self._core
        failures = Failures()
        with core.books.taking_idle(closing=closing, only=only) as uses:
            for use in uses:
                with failures.collecting():
                    await self._run(
                        partial(
                            delete_resource_group,
                            ref=use.ref,
                            pace=core.pace,
                            wait=core.group_wait,
                            mark=core.mark,
                        )
                    )
        failures.raise_for_any()

    async def _close_group(self, name: str) -> None:
        use = self._core.books.use(name)
        use.pinned = False
        failures = Failures()
        await self._delete_all(self._core.books.live(use), failures)
        with failures.collecting():
            await self._drop_idle(closing=True, only=use)
        failures.raise_for_any()

    async def _tidy(self, error: BaseException) -> None:
        """After a failed launch: the resource group that was made for it goes too."""
        with noting(error):
            await self._drop_idle()


@overload
async def launch(image: str, **options: Unpack[ImageLaunchVia]) -> AsyncContainerGroup: ...


@overload
async def launch(
    spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunchVia]
) -> AsyncContainerGroup: ...


@signed(ShapeOptions, LaunchOptions, via_client=True)
async def launch(image: str | ContainerGroupSpec, **options: Any) -> AsyncContainerGroup:
    """As :func:`aciflow.launch`; ``client`` is an :class:`AsyncClient`."""
    client = options.pop("client", None)
    if client is not None:
        made: AsyncContainerGroup = await client.launch(image, **options)
        return made
    split("launch", LaunchOptions, options, shaped=isinstance(image, str))  # wrong words come first
    client = AsyncClient()
    try:
        return await client._launch(image, options, owns_client=True)
    except BaseException as error:
        with noting(error):
            await client.close()
        raise


@signed(ShapeOptions, RunOptions, via_client=True)
async def run(
    image: str, command: Sequence[str] | None = None, **options: Unpack[RunShapeVia]
) -> RunResult:
    """As :func:`aciflow.run`; ``client`` is an :class:`AsyncClient`."""
    rest: dict[str, Any] = {**options}
    client: AsyncClient | None = rest.pop("client", None)
    if client is not None:
        return await client.run(image, command, **rest)
    split("run", RunOptions, rest, shaped=True)  # wrong words come first
    own = AsyncClient()
    try:
        result = await own.run(image, command, **rest)
    except BaseException as error:
        with noting(error):
            await own.close()
        raise
    with warning():
        await own.close()
    return result


async def get(
    name: str, *, resource_group: str, client: AsyncClient | None = None
) -> AsyncContainerGroup:
    """As :func:`aciflow.get`."""
    if client is not None:
        return await client.get(name, resource_group=resource_group)
    own = AsyncClient()
    try:
        return await own._get(name, resource_group, owns_client=True)
    except BaseException as error:
        with noting(error):
            await own.close()
        raise
