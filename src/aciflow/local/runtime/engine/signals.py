"""
End a process that an exec has left behind in a container.

An engine has no request for it: a process goes on when its client has gone, and signals go to a
container's first process only. So a container of the endpoint's own, which sees the engine's processes
and whose program is made for the occasion, sends the signal. It needs nothing of the user's image.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import struct
import time

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aciflow.local.runtime.engine import pause
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import group_labels
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.ownimage import OwnImage


__all__ = ["DETACH", "Signals", "program"]

DETACH = "ctrl-^,ctrl-@,ctrl-^,ctrl-_,ctrl-@,ctrl-_,ctrl-^,ctrl-@"
_DETACH_BYTES = bytes([0x1E, 0x00, 0x1E, 0x1F, 0x00, 0x1F, 0x1E, 0x00])
"""
What would let go of a terminal in the middle of its input.

An engine always has such keys, and Ctrl-P Ctrl-Q unless told otherwise, which would hold each Ctrl-P
back; nobody types these. They also tell our processes from those of somebody's ``docker exec``.
"""

_HANGUP, _KILL, _CONTINUE = 1, 9, 18
_GRACE = 2.0
"""Seconds that a process has to end after it has lost its terminal."""


class Signals:
    """
    Ends what exec has started, in threads of the runtime. Thread-safe.

    Args:
        api: The engine.
        image: What helpers are made of.
        endpoint_id: For labels.
        submit: Runs something soon, which the end of a group waits for.
    """

    def __init__(
        self,
        api: EngineApi,
        image: OwnImage,
        endpoint_id: str,
        submit: Callable[[Callable[[], None], Group], None],
    ) -> None:
        self._api = api
        self._image = image
        self._endpoint_id = endpoint_id
        self._submit = submit
        self._removing: bool | None = None

    def ending(self, *, remove: bool) -> None:
        """The runtime ends: what it does not ``remove`` shall be left without our processes."""
        self._removing = remove

    def hang_up(self, exec_id: str, group: Group) -> None:
        """A process has lost its terminal: SIGHUP, and SIGKILL where that does not end it."""
        self._submit(partial(self._end, exec_id, group, (_HANGUP, _CONTINUE), (_KILL,)), group)

    def kill(self, exec_id: str, group: Group) -> None:
        """Kill a process and its group."""
        self._submit(partial(self._end, exec_id, group, (_KILL,)), group)

    def hang_up_left(self, group: Group, member: Member) -> None:
        """Nobody holds the terminals any more that a process which was killed had in a container."""

        def look() -> None:
            with contextlib.suppress(EngineError):
                found = self._api.inspect(member.id) or {}
                for exec_id in found.get("ExecIDs") or ():
                    if _is_ours(self._api.inspect_exec(exec_id) or {}):
                        self.hang_up(exec_id, group)

        self._submit(look, group)

    def _end(self, exec_id: str, group: Group, *attempts: tuple[int, ...]) -> None:
        # Where the engine allows no such helper (its namespaces are another user's, say), the process
        # ends with its container.
        labels = group_labels(self._endpoint_id, group.uid, group.resource_id)
        with contextlib.suppress(EngineError, ValueError):
            for signals in attempts:
                pid = 0 if self._is_needless(group) else self._pid(exec_id)
                if not pid:
                    return
                self._send(pid, signals, labels)
                until = time.monotonic() + _GRACE
                while time.monotonic() < until and self._pid(exec_id):
                    time.sleep(0.05)

    def _is_needless(self, group: Group) -> bool:
        """The process ends with its container anyway."""
        return group.closing if self._removing is None else self._removing

    def _pid(self, exec_id: str) -> int:
        """A process's number on the engine's machine; 0 once it has ended."""
        found = self._api.inspect_exec(exec_id) or {}
        return int(found.get("Pid") or 0) if found.get("Running") else 0

    def _send(self, pid: int, signals: tuple[int, ...], labels: Mapping[str, str]) -> None:
        self._image.ensure()
        body = {
            "Image": self._image.name,
            "Entrypoint": ["/signal"],
            "User": "0:0",
            "Labels": dict(labels),
            "HostConfig": {"PidMode": "host", "NetworkMode": "none", "AutoRemove": True},
        }
        helper, _ = self._api.create(None, body)
        try:
            # A whole group: a process of an exec leads one.
            content = program(self._api.version.arch, -pid, signals)
            self._api.put_archive(helper, "/", pause.pack({"signal": content}, mode=0o755))
            self._api.start(helper)
        except EngineError:
            self._api.remove(helper)
            raise
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and self._api.inspect(helper) is not None:
            time.sleep(0.02)


def _is_ours(found: dict[str, Any]) -> bool:
    """Whether a process that an engine knows of was started here, by whichever process."""
    try:
        keys = base64.b64decode(str(found.get("DetachKeys") or ""))
    except binascii.Error:
        return False
    return keys == _DETACH_BYTES


def program(arch: str, pid: int, signals: tuple[int, ...]) -> bytes:
    """
    A static executable that sends signals and ends.

    Args:
        arch: ``amd64`` or ``arm64``.
        pid: Whom to; a negative one is a process group.
        signals: Their numbers, in order.

    Raises:
        ValueError: There is no code for this architecture.
    """
    who = pid & 0xFFFFFFFF
    if arch == "arm64":
        # x0 = pid; x1 = signal; x8 = 129 (kill); svc #0 ... x0 = 0; x8 = 93 (exit); svc #0
        words = []
        for signal in signals:
            words += [_movz(0, who & 0xFFFF), _movk_high(0, who >> 16)]
            words += [_movz(1, signal), _movz(8, 129), 0xD4000001]
        words += [_movz(0, 0), _movz(8, 93), 0xD4000001]
        return pause.executable(arch, struct.pack(f"<{len(words)}I", *words))
    code = b""
    for signal in signals:
        # mov edi, pid; mov esi, signal; mov eax, 62 (kill); syscall
        code += struct.pack("<BIBIBI", 0xBF, who, 0xBE, signal, 0xB8, 62) + b"\x0f\x05"
    # xor edi, edi; mov eax, 60 (exit); syscall
    code += bytes.fromhex("31ff b83c000000 0f05")
    return pause.executable(arch, code)


def _movz(register: int, value: int) -> int:
    return 0xD2800000 | value << 5 | register


def _movk_high(register: int, value: int) -> int:
    return 0xF2A00000 | value << 5 | register
