"""The runtime that runs a group's containers on a container engine."""

from __future__ import annotations

import contextlib
import os
import time

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from aciflow.drivers.workers import Workers
from aciflow.errors import EngineUnavailableError
from aciflow.local.protocol import (
    Action,
    CloseSandbox,
    ListImages,
    Observation,
    OpenSandbox,
    OpenTerminal,
    PullImage,
    Question,
    ReadLogs,
    ResolveImages,
    RunProbe,
    StartContainer,
    StartFailed,
    StopContainer,
)
from aciflow.local.runtime.base import Terminal
from aciflow.local.runtime.engine import images, leases, logs, recovery
from aciflow.local.runtime.engine.address import EngineAddress, require_engine
from aciflow.local.runtime.engine.addresses import Addresses, Mode
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.ownimage import OwnImage
from aciflow.local.runtime.engine.probing import Probes
from aciflow.local.runtime.engine.pulling import Pulls
from aciflow.local.runtime.engine.roster import Roster
from aciflow.local.runtime.engine.sandbox import Sandboxes
from aciflow.local.runtime.engine.signals import Signals
from aciflow.local.runtime.engine.terminals import Terminals
from aciflow.local.runtime.engine.volumes import VolumeError, remove_clones
from aciflow.local.runtime.engine.watcher import ExitWatcher
from aciflow.local.runtime.engine.whereabouts import Whereabouts


__all__ = ["EngineRuntime"]

_THREADS = 32
_PROBE_THREADS = 16


class EngineRuntime:
    """
    Runs groups on a container engine; implements :class:`aciflow.local.runtime.base.Runtime`.

    Args:
        endpoint_id: Marks all that is made, so that it is found and removed again.
        addresses: ``bridge``, ``loopback``, ``mapped``, or ``auto`` for the first that works here.
        engine: Where the engine is; by default it is looked for when the runtime starts.
        ephemeral: Nobody takes over from this process: if it is killed, the next runtime of this user
            on this engine removes what it left.
    """

    _api: EngineApi
    _roster: Roster
    _addresses: Addresses
    _sandboxes: Sandboxes
    _lookups: images.Lookups
    _pulls: Pulls
    _signals: Signals
    _probes: Probes
    _terminals: Terminals
    _whereabouts: Whereabouts
    _workers: Workers
    _pullers: Workers  # a slow registry must not hold up what needs none
    _probers: Workers  # nor do containers that do not answer
    _watcher: ExitWatcher

    def __init__(
        self,
        endpoint_id: str,
        *,
        addresses: Mode = "auto",
        engine: EngineAddress | None = None,
        ephemeral: bool = True,
    ) -> None:
        self.endpoint_id = endpoint_id
        self._wanted: Mode = addresses
        self._engine = engine
        self._ephemeral = ephemeral
        self._pid = os.getpid()
        self._clock: Callable[[], float] = time.time
        self._lease: leases.Lease | None = None
        self._working = 0
        self._started = False
        self._closed = False

    @property
    def kind(self) -> Literal["engine", "simulated"]:
        """Real containers."""
        return "engine"

    # --- life -----------------------------------------------------------------------------

    def start(self, report: Callable[[Observation], None], clock: Callable[[], float]) -> None:
        """
        Connect to the engine and begin to watch it.

        Raises:
            EngineUnavailableError: No engine answers.
        """
        engine = self._engine or require_engine()
        api = EngineApi(engine)
        try:
            version = api.version
            if version.os != "linux":
                raise EngineError(0, f"{version.name} runs {version.os} containers, not Linux ones")
        except EngineError as error:
            api.close()
            raise EngineUnavailableError(error.message) from error
        self._engine = engine
        self._clock = clock
        self._api = api
        self._roster = Roster(api, report, clock, self._ended)
        self._lookups = images.Lookups(api)
        self._pulls = Pulls(self._lookups, self._roster.tell_of, clock)
        self._addresses = Addresses(api, self._wanted)
        image = OwnImage(api, self.endpoint_id)
        self._sandboxes = Sandboxes(api, self.endpoint_id, self._addresses, image)
        self._signals = Signals(api, image, self.endpoint_id, self._submit)
        self._terminals = Terminals(api, self._roster, self._signals)
        self._probes = Probes(api, self._roster, self._sandboxes, self._signals, clock)
        self._whereabouts = Whereabouts(self._roster, self._sandboxes, api.address.host, clock)
        self._workers = Workers(_THREADS, "aciflow-engine")
        self._pullers = Workers(_THREADS, "aciflow-engine-pull")
        self._probers = Workers(_PROBE_THREADS, "aciflow-engine-probe")
        self._watcher = ExitWatcher(api, self.endpoint_id, self._died, self._look_again)
        if self._ephemeral:
            self._lease = leases.Lease.take(engine, self.endpoint_id)
        remove_clones(engine, self.endpoint_id)
        self._submit(partial(_sweep, api))
        self._watcher.start()
        self._started = True

    @property
    def _alive(self) -> bool:
        # In a fork, everything is still the parent's.
        return self._started and not self._closed and os.getpid() == self._pid

    def close(self, *, remove: bool) -> None:
        """
        End. With ``remove``, nothing of this endpoint is left on the engine afterwards.

        Raises:
            EngineUnavailableError: The engine could not be asked to remove it.
        """
        if not self._alive:
            return
        self._closed = True
        self._signals.ending(remove=remove)
        self._roster.silence()
        self._pulls.cut()
        self._terminals.close()
        self._probes.close()
        with self._roster.changed:
            self._roster.changed.wait_for(lambda: self._working == 0, timeout=60)
        self._watcher.close()
        removed = False
        try:
            if remove:
                recovery.remove_endpoint(self._api, self.endpoint_id)
                removed = True
        except EngineError as error:
            raise EngineUnavailableError(error.message) from error
        finally:
            remove_clones(self._api.address, self.endpoint_id)
            if self._lease is not None:
                self._lease.release(done=removed)
            self._workers.close()
            self._pullers.close()
            self._probers.close()
            self._api.close()

    def describe(self) -> dict[str, Any]:
        """What ``doctor`` shows."""
        api: EngineApi | None = None
        try:
            engine = self._engine or require_engine()
            api = EngineApi(engine, timeout=5.0)
            version = api.version
        except (EngineUnavailableError, EngineError) as error:
            return {"kind": "engine", "ok": False, "detail": str(error)}
        finally:
            if api is not None:
                api.close()
        detail = f"{version.name}, API {version.api}, {version.os}/{version.arch}, at {engine.url}"
        return {"kind": "engine", "ok": True, "detail": detail}

    def recover(self, groups: Mapping[str, Mapping[str, Any]]) -> None:
        """Adopt what an earlier process of this endpoint left, and remove what nobody knows."""
        try:
            adopted, strangers = recovery.find(self._api, self.endpoint_id, groups)
        except EngineError as error:
            raise EngineUnavailableError(error.message) from error
        for uid in strangers:
            self._submit(partial(self._remove_group, uid))
        for group in adopted:
            self._adopt(group, groups[group.uid])

    def _adopt(self, group: Group, known: Mapping[str, Any]) -> None:
        if group.sandbox is not None:
            if group.sandbox.place.mode == "bridge" and (ip := known.get("ip")):
                group.moved_to(str(ip))
            self._addresses.adopt(group.uid, group.sandbox.place)
        for member in self._roster.adopt(group, known.get("running") or {}):
            self._signals.hang_up_left(group, member)

    # --- terminals ------------------------------------------------------------------------

    def terminal(self, wanted: OpenTerminal) -> Terminal:
        """
        Open a terminal.

        Raises:
            EngineUnavailableError: The engine does not answer, or this runtime has ended.
            LookupError: The container does not run.
        """
        if not self._alive:
            raise EngineUnavailableError("this local endpoint is closed")
        return self._terminals.open(wanted)

    # --- actions --------------------------------------------------------------------------

    def execute(self, action: Action) -> None:
        """Carry out an action in a thread of the runtime's own."""
        if not self._alive:
            return
        match action:
            case OpenSandbox():
                group = self._enter(action)
                self._submit(partial(self._whereabouts.open, group, action), group)
            case StartContainer():
                known = self._roster.groups.get(action.uid)
                self._submit(partial(self._start, action), known)
            case PullImage():
                self._submit(self._pulls.begin(action), workers=self._pullers)
            case RunProbe():
                self._submit(partial(self._probes.run, action), workers=self._probers)
            case StopContainer():
                self._submit(partial(self._stop, action))
            case CloseSandbox():
                with self._roster.changed:
                    if action.uid in self._roster.groups:
                        self._roster.groups[action.uid].closing = True
                self._pulls.cut(action.uid)
                self._submit(partial(self._close_group, action.uid))

    def answer(self, question: Question) -> Any:
        """
        Look images up, or read a log.

        Raises:
            EngineUnavailableError: The engine does not answer.
        """
        try:
            match question:
                case ResolveImages():
                    return images.resolve(self._lookups, question.images, question.auths)
                case ListImages():
                    return images.names(self._api)
                case ReadLogs():
                    return self._read_logs(question)
        except EngineError as error:
            raise EngineUnavailableError(error.message) from error

    def _submit(
        self,
        work: Callable[[], None],
        group: Group | None = None,
        workers: Workers | None = None,
    ) -> None:
        """Run something in a thread; what closes the ``group`` waits for it, and so does close()."""

        def counted() -> None:
            try:
                work()
            finally:
                with self._roster.changed:
                    self._working -= 1
                    if group is not None:
                        group.busy -= 1
                    self._roster.changed.notify_all()

        with self._roster.changed:
            self._working += 1
            if group is not None:
                group.busy += 1
        (workers or self._workers).submit(counted)

    def _enter(self, action: OpenSandbox) -> Group:
        with self._roster.changed:
            group = self._roster.groups.get(action.uid)
            if group is None:
                group = Group(uid=action.uid, resource_id=action.resource_id)
                self._roster.groups[action.uid] = group
            group.opening += 1
            return group

    def _start(self, action: StartContainer) -> None:
        run = action.run
        group = self._roster.groups.get(action.uid)
        if group is None:
            return
        with self._roster.changed:
            self._roster.changed.wait_for(lambda: group.closing or group.opening == 0)
            if group.closing:
                return
            earlier = group.members.get(run.name)
            again = earlier is not None and earlier.answers(action.attempt)
            if earlier is None or not again:
                member = Member(name=run.name, attempt=action.attempt)
                if earlier is not None:
                    member.previous = tuple(filter(None, (*earlier.previous, earlier.id)))
                group.members[run.name] = member
            elif earlier.state == "starting" and not earlier.adopted:
                return  # under way; it will be answered
            else:
                member = earlier
        if again:
            self._whereabouts.arrived(group, member.id)
            self._roster.began(group, member)
            return
        try:
            notes = self._sandboxes.create(group, member, run)
            self._roster.created(group, member)
            self._sandboxes.start(group, member)
        except (EngineError, OSError, ValueError) as error:
            member.state = "failed"
            failed = StartFailed(
                uid=action.uid,
                container=run.name,
                at=self._clock(),
                message=str(error),
                attempt=action.attempt,
                volume=error.volume if isinstance(error, VolumeError) else "",
            )
            self._roster.tell(group, failed)
            return
        self._whereabouts.arrived(group, member.id)
        self._roster.began(group, member, notes)

    def _died(self, container_id: str, code: int) -> None:
        """Called by the watcher, whose thread others wait for."""
        if (held := self._roster.held_by(container_id)) is not None:
            self._renew(held)
        elif code == 137 and self._alive:
            self._submit(partial(self._roster.died, container_id, code))
        else:
            self._roster.died(container_id, code)

    def _look_again(self) -> None:
        """Called by the watcher when it may have missed something."""
        self._roster.check_all()
        for group in list(self._roster.groups.values()):
            if group.pause_id is not None:
                self._renew(group)

    def _renew(self, group: Group) -> None:
        with self._roster.changed:
            if self._alive and not group.closing:
                group.opening += 1
                self._submit(partial(self._whereabouts.renew, group), group)

    def _ended(self, group: Group, member: Member) -> None:
        """Called by the roster: if the container comes back, its address has to be held until then."""
        if self._alive and group.loses_address(member):
            group.opening += 1
            self._submit(partial(self._whereabouts.hold, group, member), group)

    def _stop(self, action: StopContainer) -> None:
        found = self._roster.member(action.uid, action.container)
        if found is None:
            return
        group, member = found
        if member.state == "exited":
            self._roster.tell_exit(group, member)
            return
        member.stopping = True
        with contextlib.suppress(EngineError):  # whatever it says, the next line sees what is
            self._api.stop(member.id, action.grace)
        self._roster.check(group, member)

    def _close_group(self, uid: str) -> None:
        group = self._roster.groups.get(uid)
        if group is not None:
            with self._roster.changed:
                self._roster.changed.wait_for(lambda: group.busy == 0)
        self._remove_group(uid)
        self._addresses.release(uid)
        self._roster.closed(uid)

    def _remove_group(self, uid: str) -> None:
        for pause in (0.2, 1.0, 0.0):
            try:
                recovery.remove_group(self._api, uid)
            except EngineError:  # the engine is busy with one of them, or restarts
                time.sleep(pause)
            else:
                return

    def _read_logs(self, question: ReadLogs) -> str:
        found = self._roster.member(question.uid, question.container)
        if found is None:
            return ""
        member = found[1]
        attempts = tuple(filter(None, (*member.previous, member.id)))
        return logs.read(self._api, attempts, tail=question.tail, timestamps=question.timestamps)


def _sweep(api: EngineApi) -> None:
    with contextlib.suppress(EngineError, OSError):  # the next one to start tries again
        leases.sweep(api)
