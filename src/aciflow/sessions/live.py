"""Live sessions: what a container writes, as it comes, and what one types."""

from __future__ import annotations

import codecs
import threading
import time

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from types import TracebackType

    from aciflow.local.runtime.base import Terminal


__all__ = ["AsyncSession", "AsyncTerminal", "Live", "Session"]

# Bytes that are read ahead of whoever reads slowly; the other end is held up then.
AHEAD = 16 * 1024 * 1024


class Live:
    """
    A terminal whose output is read by a thread, so that one can wait for it with a time.

    Args:
        terminal: Closed with this.
        ahead: How many bytes may wait to be read; ``None``: any number.
        changed: Called from the thread whenever there is something new.
    """

    def __init__(
        self,
        terminal: Terminal,
        *,
        ahead: int | None = AHEAD,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self.terminal = terminal
        self._ahead = ahead
        self._tell = changed
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        threading.Thread(target=self._read, name="aciflow-session", daemon=True).start()

    def receive(self, until: float | None = None) -> bytes | None:
        """
        All that has come.

        Args:
            until: Monotonic seconds; what has come is given back also when that has passed.

        Returns:
            ``b""`` once it has ended; ``None`` if nothing came in time.

        Raises:
            AciflowError: The connection broke.
        """
        with self._changed:
            while not (self._waiting or self._ended):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            return self._take()

    def now(self) -> bytes | None:
        """What has come, without waiting."""
        with self._changed:
            return self._take() if self._waiting or self._ended else None

    def _take(self) -> bytes:
        if not self._waiting and self._error is not None:
            raise self._error
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        self._changed.notify_all()
        return data

    def close(self) -> None:
        """Let go of it. What has come can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.terminal.close()

    def _read(self) -> None:
        try:
            while data := self.terminal.read():
                with self._changed:
                    self._waiting.append(data)
                    self._size += len(data)
                    self._news()
                    while self._ahead is not None and self._size > self._ahead and not self._closed:
                        self._changed.wait()
        except Exception as error:  # for who reads; one's own close is no error
            if not self._closed:
                self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._news()

    def _news(self) -> None:
        self._changed.notify_all()
        if self._tell is not None:
            self._tell()


class Session:
    """
    A live session in a container.

    Iterating gives text as it comes, until the process has ended or the session is closed. A context
    manager: leaving its block closes the session; a process that still runs loses its terminal.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._live = Live(terminal)

    def read(self, timeout: float | None = None) -> bytes:
        """
        What has come, at least a byte.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            ``b""`` once it has ended.

        Raises:
            TimeoutError: Nothing came in time.
            EndpointUnreachableError: The connection broke.
        """
        data = self._live.receive(None if timeout is None else time.monotonic() + timeout)
        if data is None:
            raise TimeoutError(f"nothing came within {timeout:g} s")
        return data

    def write(self, data: bytes | str) -> None:
        """Input for the process; nothing happens where there is only output to see."""
        self._live.terminal.write(data.encode() if isinstance(data, str) else data)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; nothing happens on Azure, whose message for it is not known."""
        self._live.terminal.resize(rows, columns)

    def close(self) -> None:
        """End the session."""
        self._live.close()

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := self.read():
            if text := decoder.decode(data):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncTerminal(Protocol):
    """A terminal, awaited; as :class:`aciflow.local.runtime.base.Terminal`."""

    async def read(self) -> bytes: ...  # noqa: D102
    async def write(self, data: bytes) -> None: ...  # noqa: D102
    async def resize(self, rows: int, columns: int) -> None: ...  # noqa: D102
    async def close(self) -> None: ...  # noqa: D102


class AsyncSession:
    """As :class:`Session`, awaited: ``async with``, ``async for``."""

    def __init__(self, terminal: AsyncTerminal) -> None:
        self._terminal = terminal

    async def read(self) -> bytes:
        """
        What has come, at least a byte; ``b""`` once it has ended.

        Raises:
            EndpointUnreachableError: The connection broke.
        """
        return await self._terminal.read()

    async def write(self, data: bytes | str) -> None:
        """Input for the process; nothing happens where there is only output to see."""
        await self._terminal.write(data.encode() if isinstance(data, str) else data)

    async def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; nothing happens on Azure, whose message for it is not known."""
        await self._terminal.resize(rows, columns)

    async def close(self) -> None:
        """End the session."""
        await self._terminal.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while data := await self.read():
            if text := decoder.decode(data):
                yield text
        if rest := decoder.decode(b"", final=True):
            yield rest

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
