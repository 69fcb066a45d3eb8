"""Sessions on an asyncio loop; :mod:`aciflow.sessions.sync` is the twin."""

from __future__ import annotations

import asyncio
import contextlib
import time

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aciflow.errors import AciflowError, ArmError
from aciflow.flow.effects import ArmCall, ArmReply, Exec
from aciflow.sessions.grant import Wanted, granted, refused
from aciflow.sessions.inside import in_process
from aciflow.sessions.live import AHEAD, AsyncTerminal, Live
from aciflow.sessions.sync import talk_of, wanted_for
from aciflow.sessions.talk import INTERRUPT, Open, Output, Receive, Send, Talk


if TYPE_CHECKING:
    from aciflow.local.runtime.base import Terminal
    from aciflow.sessions.values import ExecResult
    from aciflow.target import Target


__all__ = ["AsyncSessions", "ThreadedTerminal", "converse"]


class AsyncSessions:
    """
    Opens sessions on a target.

    Args:
        perform: Asks ARM.
        target: Which.
    """

    def __init__(self, perform: Callable[[ArmCall], Awaitable[ArmReply]], target: Target) -> None:
        self._perform = perform
        self._target = target

    async def open(self, wanted: Wanted, *, ahead: int | None = AHEAD) -> AsyncTerminal:
        """
        Open one; errors as for :meth:`aciflow.sessions.sync.Sessions.open`.

        Args:
            wanted: Which.
            ahead: How many bytes may wait to be read; ``None``: any number.
        """
        connect = None if self._target.endpoint is not None else _connect()
        try:
            reply = await self._perform(wanted.call)
        except ArmError as error:
            raise refused(wanted, error) from error
        grant = granted(wanted, reply)
        if connect is not None:
            resizes = self._target.kind != "azure"
            return await connect(grant, self._target.settings, resizes=resizes)
        terminal = await asyncio.to_thread(in_process, wanted, grant, self._target)
        return ThreadedTerminal(terminal, ahead=ahead)

    async def execute(
        self, what: Exec, on_output: Callable[[bytes], None] | None = None
    ) -> ExecResult:
        """Run a command to its end; see :func:`aciflow.sessions.talk.execute`."""

        async def opened(command: str) -> AsyncTerminal:
            return await self.open(wanted_for(what, command), ahead=None)

        return await converse(talk_of(what), opened, on_output)


def _connect() -> Callable[..., Awaitable[AsyncTerminal]]:
    """By a WebSocket; looked for before anything is asked of ARM, since it may be missing."""
    from aciflow.sessions.wire import connect_async

    return connect_async


class ThreadedTerminal:
    """A terminal of this process, awaited: a thread reads it."""

    def __init__(self, terminal: Terminal, *, ahead: int | None = AHEAD) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._live = Live(terminal, ahead=ahead, changed=self._changed)

    def _changed(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._news.set)

    async def read(self) -> bytes:
        """What comes next, ``b""`` at the end."""
        while (data := self._live.now()) is None:
            self._news.clear()
            if (data := self._live.now()) is not None:
                return data
            await self._news.wait()
        return data

    async def write(self, data: bytes) -> None:
        """Input."""
        await asyncio.to_thread(self._live.terminal.write, data)

    async def resize(self, rows: int, columns: int) -> None:
        """Another size."""
        await asyncio.to_thread(self._live.terminal.resize, rows, columns)

    async def close(self) -> None:
        """End it."""
        await asyncio.to_thread(self._live.close)


class _Reader:
    """Waits for what comes, with a time, and loses nothing when that is up."""

    def __init__(self, terminal: AsyncTerminal) -> None:
        self.terminal = terminal
        self._reading: asyncio.Task[bytes] | None = None

    async def receive(self, until: float | None) -> bytes | None:
        if self._reading is None:
            self._reading = asyncio.ensure_future(self.terminal.read())
        left = None if until is None else max(0.0, until - time.monotonic())
        done, _ = await asyncio.wait([self._reading], timeout=left)
        if not done:
            return None
        reading, self._reading = self._reading, None
        return reading.result()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self.terminal.close()


async def converse(
    talk: Talk,
    open_terminal: Callable[[str], Awaitable[AsyncTerminal]],
    on_output: Callable[[bytes], None] | None = None,
) -> ExecResult:
    """Do what an exec asks for, until it has ended. A cancellation ends the command, too."""
    reader: _Reader | None = None
    value: bytes | None = None
    error: AciflowError | None = None
    try:
        while True:
            try:
                asked = talk.send(value) if error is None else talk.throw(error)
            except StopIteration as stop:
                result: ExecResult = stop.value
                return result
            value = error = None
            try:
                match asked:
                    case Open(command):
                        if reader is not None:
                            await reader.close()
                            reader = None
                        reader = _Reader(await open_terminal(command))
                    case Send(data) if reader is not None:
                        await reader.terminal.write(data)
                    case Receive(until) if reader is not None:
                        value = await reader.receive(until)
                    case Output(data) if on_output is not None:
                        on_output(data)
            except AciflowError as raised:
                error = raised
    except AciflowError:
        raise
    except BaseException:
        if reader is not None:
            with contextlib.suppress(Exception):  # what interrupted it is what is told
                await reader.terminal.write(INTERRUPT)
        raise
    finally:
        if reader is not None:
            await reader.close()
