"""Who runs, who has ended, and telling the endpoint about it in the right order."""

from __future__ import annotations

import contextlib
import threading
import time

from collections.abc import Callable, Mapping
from typing import Any

from aciflow.local.protocol import Closed, Exited, Observation, Started
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.groups import Group, Member


__all__ = ["Roster"]

_MOMENT = 0.5


class Roster:
    """
    The groups of an endpoint and what was said of them. Thread-safe.

    An exit that is noticed before the start was reported waits for it, each is told once, and after a
    group begins to close only ``Closed`` is.

    Args:
        api: The engine.
        report: Takes observations; never blocks.
        clock: Seconds since the epoch.
        ended: Called with what has ended, before that is reported; must not block.
    """

    def __init__(
        self,
        api: EngineApi,
        report: Callable[[Observation], None],
        clock: Callable[[], float],
        ended: Callable[[Group, Member], None],
    ) -> None:
        self._api = api
        self._report = report
        self._clock = clock
        self._on_end = ended
        self.changed = threading.Condition()
        self.groups: dict[str, Group] = {}
        self._by_id: dict[str, tuple[Group, Member]] = {}
        self._silent = False

    def tell(self, group: Group, observation: Observation) -> None:
        """Report something of a group, unless it is closing."""
        with self.changed:
            if self._silent or group.closing or self.groups.get(group.uid) is not group:
                return
            self._report(observation)

    def tell_of(self, observation: Observation) -> None:
        """The same for whatever group it names."""
        with self.changed:
            group = self.groups.get(observation.uid)
            if group is not None:
                self.tell(group, observation)

    def silence(self) -> None:
        """Report nothing more, and let everything close."""
        with self.changed:
            self._silent = True
            for group in self.groups.values():
                group.closing = True

    def member(self, uid: str, container: str) -> tuple[Group, Member] | None:
        """The last attempt of a container."""
        with self.changed:
            group = self.groups.get(uid)
            member = group.members.get(container) if group else None
            return None if group is None or member is None else (group, member)

    def held_by(self, container_id: str) -> Group | None:
        """The group whose namespaces a container holds, unless it is closing."""
        with self.changed:
            return next(
                (
                    group
                    for group in self.groups.values()
                    if group.pause_id == container_id and not group.closing
                ),
                None,
            )

    def adopt(self, group: Group, running: Mapping[str, Mapping[str, Any]]) -> list[Member]:
        """
        Take over what an earlier process left of a group, and tell what of it has ended.

        Args:
            group: As it is on the engine.
            running: What the endpoint believes to run, by container: ``attempt``, ``container_id``.

        Returns:
            What does run.
        """
        attempts = {
            name: (int(entry["attempt"]), str(entry.get("container_id", "")))
            for name, entry in running.items()
        }
        with self.changed:
            self.groups[group.uid] = group
            for member in group.members.values():
                self.created(group, member)
                if attempts.get(member.name, (-1, ""))[0] == member.attempt:
                    member.state = "running"
                    del attempts[member.name]
        for member in group.members.values():
            self.check(group, member)
        for name, (attempt, container_id) in attempts.items():  # not there any more
            self.tell_exit(group, Member(name=name, attempt=attempt, id=container_id))
        return [member for member in group.members.values() if member.code is None]

    def created(self, group: Group, member: Member) -> None:
        """``member`` has its id: from now on its exit is noticed."""
        with self.changed:
            self._by_id[member.id] = (group, member)

    def began(self, group: Group, member: Member, notes: tuple[str, ...] = ()) -> None:
        """A container runs; or did so earlier and is asked for again."""
        with self.changed:
            ended = member.code is not None
            member.state = "exited" if ended else "running"
            started = Started(
                uid=group.uid,
                container=member.name,
                at=self._clock(),
                container_id=member.id,
                attempt=member.attempt,
                notes=notes,
            )
            self.tell(group, started)  # under the lock, so that no exit overtakes it
            if ended:
                self.tell_exit(group, member)

    def died(self, container_id: str, code: int) -> None:
        """The engine says that a container ended; blocks for a moment if it was killed."""
        with self.changed:
            group, member = self._by_id.get(container_id, (None, None))
            if group is None or member is None or group.closing or member.code is not None:
                return
        self._ended(group, member, code, oom=code == 137 and self._was_oom(member))

    def _was_oom(self, member: Member) -> bool:
        """The engine can hear of it a moment after the end."""
        until = time.monotonic() + _MOMENT
        while True:
            with contextlib.suppress(EngineError):
                state = (self._api.inspect(member.id) or {}).get("State") or {}
                if state.get("OOMKilled"):
                    return True
            if member.stopping or self._silent or time.monotonic() > until:
                return False
            time.sleep(0.05)

    def check(self, group: Group, member: Member) -> None:
        """Look whether a container still runs."""
        try:
            found = self._api.inspect(member.id)
        except EngineError:
            return
        state = (found or {}).get("State") or {}
        if not state.get("Running"):
            code = int(state.get("ExitCode", 137)) if found else 137
            oom = bool(state.get("OOMKilled")) or (code == 137 and self._was_oom(member))
            self._ended(group, member, code, oom=oom)

    def check_all(self) -> None:
        """Look at every container that should run: an event may have been missed."""
        with self.changed:
            running = [pair for pair in self._by_id.values() if pair[1].state == "running"]
        for group, member in running:
            self.check(group, member)

    def _ended(self, group: Group, member: Member, code: int, *, oom: bool) -> None:
        with self.changed:
            if member.code is not None:
                return
            member.code = code
            member.oom = oom
            self._on_end(group, member)
            if member.state == "running":
                member.state = "exited"
                self.tell_exit(group, member)

    def tell_exit(self, group: Group, member: Member) -> None:
        """Report an exit; code 137 where nobody knows."""
        exited = Exited(
            uid=group.uid,
            container=member.name,
            at=self._clock(),
            exit_code=137 if member.code is None else member.code,
            container_id=member.id,
            oom_killed=member.oom,
            attempt=member.attempt,
        )
        self.tell(group, exited)

    def closed(self, uid: str) -> None:
        """Nothing of a group is left."""
        with self.changed:
            self.groups.pop(uid, None)
            for key in [key for key, (group, _) in self._by_id.items() if group.uid == uid]:
                del self._by_id[key]
            if not self._silent:
                self._report(Closed(uid=uid, at=self._clock()))
