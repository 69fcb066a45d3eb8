"""Open sandboxes, learn where their groups are, and keep them there over restarts."""

from __future__ import annotations

import contextlib

from collections.abc import Callable, Mapping

from aciflow.local.protocol import OpenSandbox, SandboxFailed, SandboxReady
from aciflow.local.runtime.engine.api import EngineError
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.roster import Roster
from aciflow.local.runtime.engine.sandbox import Sandboxes


__all__ = ["Whereabouts"]


class Whereabouts:
    """
    Knows and tells the addresses of groups. Thread-safe.

    Args:
        roster: The groups.
        sandboxes: What is made on the engine.
        engine_host: Where the engine's published ports appear.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        roster: Roster,
        sandboxes: Sandboxes,
        engine_host: str,
        clock: Callable[[], float],
    ) -> None:
        self._roster = roster
        self._sandboxes = sandboxes
        self._engine_host = engine_host
        self._clock = clock

    def open(self, group: Group, action: OpenSandbox) -> None:
        """Carry out ``OpenSandbox``; ``group.opening`` counts it."""
        problem: str | None = None
        mapped: Mapping[int, tuple[str, int]] = {}
        try:
            if not group.closing:
                mapped = self._sandboxes.open(group, action)
                self._locate(group, group.pause_id)
        except (EngineError, OSError, LookupError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        finally:
            self._opened(group)
        if problem is not None:
            failed = SandboxFailed(uid=action.uid, at=self._clock(), message=problem)
            self._roster.tell(group, failed)
            return
        self._tell(group, mapped)

    def hold(self, group: Group, ended: Member) -> None:
        """A container has ended and comes back; ``group.opening`` counts this."""
        try:
            if not group.closing:
                self._sandboxes.hold(group, ended)
                if self._locate(group, group.pause_id):  # somebody was quicker
                    self._tell(group)
        except (EngineError, ValueError):
            pass  # the next start gets whatever address is free, and tells it
        finally:
            self._opened(group)

    def renew(self, group: Group) -> None:
        """What holds a group's namespaces has ended, not by us; ``group.opening`` counts this."""
        try:
            with group.renewal_lock:
                mapped = None if group.closing else self._sandboxes.renew(group)
            if mapped is not None and (self._locate(group, group.pause_id) or mapped):
                self._tell(group, mapped)
        except (EngineError, ValueError):
            pass  # the next start says it
        finally:
            self._opened(group)

    def arrived(self, group: Group, container: str) -> None:
        """
        A group's container runs: if that is what has the address, and another one, tell it.

        Nobody is told before something has it: who connects earlier waits a second for the next ARP
        request, however soon it comes up.
        """
        with contextlib.suppress(EngineError):  # an engine that has just started it is gone now
            if self._locate(group, container):
                self._tell(group)

    def _locate(self, group: Group, holder: str | None) -> bool:
        """Learn a group's address on a bridge from the container that has it; is it another one?"""

        def has_it() -> bool:
            bridged = group.sandbox is not None and group.sandbox.place.mode == "bridge"
            return bridged and group.pause_id in {None, holder}

        if holder is None or not has_it():
            return False
        ip = self._sandboxes.address_of(holder)
        with self._roster.changed:
            return ip is not None and has_it() and group.moved_to(ip)

    def _tell(self, group: Group, mapped: Mapping[int, tuple[str, int]] | None = None) -> None:
        with self._roster.changed:
            if group.sandbox is None:  # it was closed before it was opened
                return
            place = group.sandbox.place
            ip = self._engine_host if place.mode == "mapped" else place.ip
            if not group.sandbox.ports:  # what is published for its probes alone is not its address
                ip = None
            ready = SandboxReady(uid=group.uid, at=self._clock(), ip=ip, mapped=mapped or {})
            self._roster.tell(group, ready)

    def _opened(self, group: Group) -> None:
        with self._roster.changed:
            group.opening -= 1
            self._roster.changed.notify_all()
