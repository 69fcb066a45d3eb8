"""Live handles for asyncio; the sync ones are in :mod:`aciflow.group`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from aciflow.cleanup import noting
from aciflow.flow.lines import LogCursor, LogLine
from aciflow.group import GroupHandle, RunResult
from aciflow.options import LaunchOptions, RunOptions, ShapeOptions, signed


if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from aciflow.aio import AsyncClient
    from aciflow.books import Use
    from aciflow.model import ContainerGroupSpec
    from aciflow.options import ImageLaunch, RunShape, SpecLaunch
    from aciflow.ready import Ready
    from aciflow.sessions.live import AsyncSession
    from aciflow.sessions.values import ExecResult


__all__ = ["AsyncContainerGroup", "AsyncResourceGroup"]


class AsyncContainerGroup(GroupHandle):
    """
    A running container group.

    In an ``async with`` it is deleted at the end, unless it was adopted or its ``lifetime`` is
    ``detached``.
    """

    def __init__(self, client: AsyncClient, *args: Any, owns_client: bool, **kwargs: Any) -> None:
        super().__init__(client._core, *args, **kwargs)
        self._client = client
        self._owns_client = owns_client

    async def refresh(self) -> AsyncContainerGroup:
        """
        Read its state anew.

        Raises:
            GroupGoneError: It does not exist any more.
        """
        self._see(await self._client._read(self._there()))
        return self

    async def wait(self, ready: Ready, *, timeout: float = 300.0) -> AsyncContainerGroup:
        """
        Wait until it is ready; errors as for a launch, and nothing is deleted.

        Args:
            ready: What to wait for.
            timeout: Seconds.
        """
        waited = await self._client._wait(self._there(), ready, timeout)
        self._state, self._mapped = waited.state, waited.mapped
        return self

    async def logs(self, *, container: str | None = None, tail: int | None = None) -> str:
        """
        What a container has written.

        Args:
            container: Default: the first.
            tail: Only so many lines from the end.
        """
        return await self._client._logs(self._there(), self._container(container), tail)

    async def stream_logs(
        self, *, container: str | None = None, since: float | None = None
    ) -> AsyncIterator[LogLine]:
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
            lines, ended = await self._client._follow(self._there(), name, cursor)
            for line in lines:
                if since is None or line.at is None or line.at >= since:
                    yield line

    async def exec(
        self, argv: Sequence[str], *, container: str | None = None, timeout: float | None = None
    ) -> ExecResult:
        """
        Run a command in a container, to its end; see :meth:`aciflow.ContainerGroup.exec`.

        Args:
            argv: The command and its arguments; no shell looks at them.
            container: Default: the first.
            timeout: Seconds that it may take.
        """
        ref, name = self._there(), self._container(container)
        what = self._core.command(ref, self._state, name, argv, timeout)
        return await self._client._sessions().execute(what)

    async def attach(self, *, container: str | None = None) -> AsyncSession:
        """
        What a container writes from now on; see :meth:`aciflow.ContainerGroup.attach`.

        ``async with await group.attach() as session: async for text in session: ...``

        Args:
            container: Default: the first.
        """
        from aciflow.sessions.live import AsyncSession

        return AsyncSession(await self._client._sessions().open(self._wanted("attach", container)))

    async def start(self) -> AsyncContainerGroup:
        """Start it again after :meth:`stop`; its address may be another one."""
        self._see_changed(await self._client._change(self._there(), "group.start"))
        return self

    async def stop(self) -> AsyncContainerGroup:
        """Stop its containers; the group stays, and costs nothing."""
        self._see_changed(await self._client._change(self._there(), "group.stop"))
        return self

    async def restart(self) -> AsyncContainerGroup:
        """Restart its containers; its address may be another one."""
        self._see_changed(await self._client._change(self._there(), "group.restart"))
        return self

    async def delete(self) -> None:
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
            await self._client._delete(self)
        finally:
            if self._owns_client and self._last_state() == "Deleted":
                await self._client.close()

    async def __aenter__(self) -> AsyncContainerGroup:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            if self._deletes_on_exit():
                await self.delete()


class AsyncResourceGroup:
    """
    A resource group to launch into.

    In an ``async with``, what was launched in it is deleted at the end, and so is the group where this
    made it.
    """

    def __init__(self, client: AsyncClient, use: Use, *, location: str | None) -> None:
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
    async def launch(self, image: str, **options: Unpack[ImageLaunch]) -> AsyncContainerGroup: ...

    @overload
    async def launch(
        self, spec: ContainerGroupSpec, /, **options: Unpack[SpecLaunch]
    ) -> AsyncContainerGroup: ...

    @signed(ShapeOptions, LaunchOptions)
    async def launch(self, image: str | ContainerGroupSpec, **options: Any) -> AsyncContainerGroup:
        """As :func:`aciflow.launch`, in this resource group."""
        return await self._client.launch(image, **self._here(options))

    @signed(ShapeOptions, RunOptions)
    async def run(
        self, image: str, command: Sequence[str] | None = None, **options: Unpack[RunShape]
    ) -> RunResult:
        """As :func:`aciflow.run`, in this resource group."""
        return await self._client.run(image, command, **self._here(dict(options)))

    async def list(self) -> tuple[AsyncContainerGroup, ...]:
        """The container groups in it, with their state."""
        return await self._client.list(resource_group=self.name)

    async def delete(self) -> None:
        """
        Delete what was launched in it, and it too where this made it and nothing else is in it.

        Raises:
            CleanupError: What is left, and how to remove it.
        """
        await self._client._close_group(self.name)

    def _here(self, options: dict[str, Any]) -> dict[str, Any]:
        if options.setdefault("resource_group", self.name) != self.name:
            raise TypeError("this resource group's launch() takes no other resource_group")
        if self._location is not None:
            options.setdefault("location", self._location)
        return options

    def __repr__(self) -> str:
        return f"<AsyncResourceGroup {self.name!r}>"

    async def __aenter__(self) -> AsyncResourceGroup:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with noting(error):
            await self.delete()
