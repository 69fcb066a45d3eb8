"""Carry out ``RunProbe``: a command in the container, or a GET to the group's address."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from collections.abc import Callable, Iterator
from typing import Any

from aciflow.local.protocol import Probe, Probed, RunProbe
from aciflow.local.runtime.engine import httpget
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.hijack import Wire
from aciflow.local.runtime.engine.logs import last_bytes, unframe
from aciflow.local.runtime.engine.roster import Roster
from aciflow.local.runtime.engine.sandbox import Sandboxes
from aciflow.local.runtime.engine.signals import DETACH, Signals


__all__ = ["Probes"]

_OUTPUT = 10 * 1024
_MOMENT = 1.0
_ENGINE = 10.0
"""Seconds that the engine may take to start a command, or to say how it ended: not the probe's own."""


class Probes:
    """
    Probes that are under way. Thread-safe.

    Args:
        api: The engine.
        roster: The groups.
        sandboxes: Knows where a container's ports are.
        signals: Ends commands that take too long.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        api: EngineApi,
        roster: Roster,
        sandboxes: Sandboxes,
        signals: Signals,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._roster = roster
        self._sandboxes = sandboxes
        self._signals = signals
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[object, Callable[[], None]] = {}
        self._closed = False

    def run(self, action: RunProbe) -> None:
        """Probe, and tell what was seen unless the container has ended meanwhile."""
        found = self._running(action)
        if found is None or self._closed:
            return
        group, member = found
        probe = action.probe
        try:
            if probe.port is not None:
                ok, message = self._get(group, member, probe.port, probe)
            else:
                ok, message = self._execute(group, member, probe)
        except (EngineError, LookupError) as error:
            ok, message = False, _one_line(str(error))
        if not ok:  # it may have failed because the container has ended
            self._roster.check(group, member)
        if self._running(action) is None:
            return
        self._roster.tell(
            group,
            Probed(
                uid=action.uid,
                container=action.container,
                at=self._clock(),
                kind=action.kind,
                ok=ok,
                message="" if ok else message,
                attempt=action.attempt,
                number=action.number,
            ),
        )

    def close(self) -> None:
        """Wait for nothing any more."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting.values())
        for cut in waiting:
            cut()

    def _running(self, action: RunProbe) -> tuple[Group, Member] | None:
        found = self._roster.member(action.uid, action.container)
        if found is None:
            return None
        group, member = found
        alive = member.state == "running" and member.attempt == action.attempt
        return found if alive and not group.closing else None

    def _get(self, group: Group, member: Member, port: int, probe: Probe) -> tuple[bool, str]:
        host, reached = self._sandboxes.reach(group, member, port)
        key = object()
        try:
            return httpget.check(host, reached, probe, lambda raw: self._hold(key, raw))
        finally:
            with self._lock:
                self._waiting.pop(key, None)

    def _execute(self, group: Group, member: Member, probe: Probe) -> tuple[bool, str]:
        body = {
            "Cmd": list(probe.command),
            "AttachStdout": True,
            "AttachStderr": True,
            "DetachKeys": DETACH,  # tells whose process it is
        }
        try:
            exec_id = self._api.create_exec(member.id, body)
            wire = self._api.start_exec(exec_id, {"Detach": False, "Tty": False})
        except EngineError as error:
            return False, _one_line(error.message)
        key = object()
        self._hold(key, wire)
        try:
            self._wait(exec_id, started=True)
            chunks = _until(wire, time.monotonic() + probe.timeout)
            try:
                output = last_bytes(unframe(chunks), _OUTPUT)
            except TimeoutError:
                self._signals.kill(exec_id, group)
                words = " ".join(probe.command)
                return False, _one_line(f'command "{words}" timed out after {probe.timeout:g}s')
            found = self._wait(exec_id, started=False)
        finally:
            with self._lock:
                self._waiting.pop(key, None)
            wire.close()
        code = int(found.get("ExitCode") or 0)
        if code == 0:
            return True, ""
        if code > 128:
            self._see_the_end(group, member)
        return False, _one_line(output.decode("utf-8", "replace"))

    def _wait(self, exec_id: str, *, started: bool) -> dict[str, Any]:
        """What the engine says of a command once it has ended, or has ``started``."""
        end = time.monotonic() + _ENGINE
        while True:
            found = self._api.inspect_exec(exec_id)
            if found is None:
                raise EngineError(404, "the container has ended")
            over = not found.get("Running") and found.get("ExitCode") is not None
            if over or (started and found.get("Pid")) or time.monotonic() > end or self._closed:
                return found
            time.sleep(0.02)

    def _see_the_end(self, group: Group, member: Member) -> None:
        """What was killed may have been so with its container, which the engine says a moment later."""
        until = time.monotonic() + _MOMENT
        while time.monotonic() < until and member.state == "running" and not self._closed:
            self._roster.check(group, member)
            time.sleep(0.05)

    def _hold(self, key: object, connection: Wire | socket.socket) -> None:
        def cut() -> None:
            with contextlib.suppress(OSError):
                if isinstance(connection, Wire):
                    connection.close()
                else:
                    connection.shutdown(socket.SHUT_RDWR)

        with self._lock:
            self._waiting[key] = cut
            closed = self._closed
        if closed:
            cut()


def _until(wire: Wire, until: float) -> Iterator[bytes]:
    while data := wire.read(max(until - time.monotonic(), 0.001)):
        yield data


def _one_line(text: str) -> str:
    """The last line of a command's output: what it complained about at the end."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
