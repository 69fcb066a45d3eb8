"""Terminals of processes that exec starts, and what a container writes for those who attach to it."""

from __future__ import annotations

import contextlib
import socket
import threading

from collections.abc import Callable, Iterator

import httpx

from aciflow.errors import EngineUnavailableError
from aciflow.local.protocol import OpenTerminal
from aciflow.local.runtime.base import Terminal
from aciflow.local.runtime.engine import logs
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.hijack import Wire
from aciflow.local.runtime.engine.roster import Roster
from aciflow.local.runtime.engine.signals import DETACH, Signals


__all__ = ["Terminals"]

_ENDED = b""


class Terminals:
    """
    The terminals that are open. Thread-safe.

    Args:
        api: The engine.
        roster: The groups.
        signals: Ends what has lost its terminal.
    """

    def __init__(self, api: EngineApi, roster: Roster, signals: Signals) -> None:
        self._api = api
        self._roster = roster
        self._signals = signals
        self._lock = threading.Lock()
        self._open: set[_Exec | _Attached] = set()
        self._closed = False

    def open(self, wanted: OpenTerminal) -> Terminal:
        """
        Open a terminal.

        Raises:
            EngineUnavailableError: The engine does not answer, or the runtime ends.
            LookupError: The container does not run.
        """
        found = self._roster.member(wanted.uid, wanted.container)
        if found is None or found[1].state != "running" or found[0].closing:
            raise LookupError(f"container '{wanted.container}' is not running")
        group, member = found
        try:
            if wanted.kind == "attach":
                made: _Exec | _Attached = _Attached(self._api, member, self._forget)
            else:
                made = self._exec(wanted, group, member)
        except EngineError as error:
            if error.status in {404, 409}:  # it has ended meanwhile, or is paused
                raise LookupError(
                    f"container '{wanted.container}' is not running: {error.message}"
                ) from error
            raise EngineUnavailableError(error.message) from error
        with self._lock:
            late = self._closed
            if not late:
                self._open.add(made)
        if late:
            made.close()
            raise EngineUnavailableError("this local endpoint is closed")
        return made

    def close(self) -> None:
        """End them all, and open no more."""
        with self._lock:
            self._closed = True
            left = list(self._open)
        for terminal in left:
            terminal.close()

    def _exec(self, wanted: OpenTerminal, group: Group, member: Member) -> _Exec:
        size = [wanted.rows, wanted.columns]
        sized = {"ConsoleSize": size} if _at_least(self._api.version.api, 42) else {}
        body = {
            # One string without quotes, as the service takes it: Microsoft's own example sends
            # "echo hello" and gets a hello.
            "Cmd": wanted.command.split(),
            "Tty": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "DetachKeys": DETACH,
            **sized,
        }
        try:
            exec_id = self._api.create_exec(member.id, body)
            wire = self._api.start_exec(exec_id, {"Detach": False, "Tty": True, **sized})
        except EngineError as error:
            if error.status in {0, 404, 409}:
                raise
            # Some engines say it before the terminal, some in it.
            return _Exec(self._api, "", _Said(error.message), self._forget, lambda: None)
        made = _Exec(
            self._api, exec_id, wire, self._forget, lambda: self._signals.hang_up(exec_id, group)
        )
        if not sized:
            made.resize(wanted.rows, wanted.columns)
        return made

    def _forget(self, terminal: _Exec | _Attached) -> None:
        with self._lock:
            self._open.discard(terminal)


class _Said:
    """In place of a connection: only a message."""

    def __init__(self, message: str) -> None:
        self._left = message.encode() + b"\r\n"

    def read(self) -> bytes:
        left, self._left = self._left, b""
        return left

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        self._left = b""


class _Exec:
    """A process with a terminal."""

    def __init__(
        self,
        api: EngineApi,
        exec_id: str,
        wire: Wire | _Said,
        forget: Callable[[_Exec], None],
        hang_up: Callable[[], None],
    ) -> None:
        self._api = api
        self._id = exec_id
        self._wire = wire
        self._forget = forget
        self._hang_up = hang_up
        self._lock = threading.Lock()
        self._over = False

    def read(self) -> bytes:
        data = self._wire.read()
        if not data and self._finish():
            self._wire.close()
        return data

    def write(self, data: bytes) -> None:
        if data and not self._over:
            with contextlib.suppress(OSError):  # it has just ended: reading tells
                self._wire.write(data)

    def resize(self, rows: int, columns: int) -> None:
        if self._id and not self._over:
            with contextlib.suppress(EngineError):  # as above
                self._api.resize_exec(self._id, rows, columns)

    def close(self) -> None:
        if self._finish():
            self._wire.close()
            # Also where the end has come and was not read: the one who looks finds it ended.
            self._hang_up()

    def _finish(self) -> bool:
        """Whether this is the first to end it."""
        with self._lock:
            first, self._over = not self._over, True
        if first:
            self._forget(self)
        return first


class _Attached:
    """What a container writes from now on, stdout and stderr as they come."""

    def __init__(self, api: EngineApi, member: Member, forget: Callable[[_Attached], None]) -> None:
        self._forget = forget
        self._lock = threading.Lock()
        self._over = False
        self._api = api
        self._container = member.id
        self._since = logs.end(api, member.id)
        self._stack = contextlib.ExitStack()
        self._response = self._stack.enter_context(api.follow(member.id, self._since))
        self._parts = self._output()
        self._reading = threading.Lock()

    def read(self) -> bytes:
        with self._reading:
            if self._over:
                return _ENDED
            try:
                for part in self._parts:
                    if part:
                        return part
            except (httpx.HTTPError, httpx.StreamError, EngineError):
                pass  # closed, or the engine has gone: an end in any case
            self._finish()
            self._stack.close()
            return _ENDED

    def _output(self) -> Iterator[bytes]:
        yield from self._taken(self._response.iter_raw())
        if not self._over:  # an engine can end such a stream before the last that was written
            with self._api.logs(self._container, timestamps=True, since=self._since) as chunks:
                yield from self._taken(chunks)

    def _taken(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for frame in logs.frames(chunks):
            moment, text = logs.timed(frame)
            self._since = moment or self._since
            yield text

    def write(self, data: bytes) -> None:
        pass

    def resize(self, rows: int, columns: int) -> None:
        pass

    def close(self) -> None:
        self._finish()
        # Closing alone would not wake a thread that reads.
        network = self._response.extensions.get("network_stream")
        raw = network.get_extra_info("socket") if network is not None else None
        if isinstance(raw, socket.socket):
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
        with self._reading:
            self._stack.close()

    def _finish(self) -> None:
        with self._lock:
            self._over = True
        self._forget(self)


def _at_least(version: str, minor: int) -> bool:
    return int(version.partition(".")[2] or 0) >= minor
