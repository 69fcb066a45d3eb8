"""
The controller of one container group.

Pure: requests and observations go in with their time, actions come out. It never runs ahead of
what was observed, survives any order and repetition of observations, and once it is closing it asks
for nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias, TypeVar

from aciflow.local.groups.container import ContainerRecord
from aciflow.local.groups.desired import Desired
from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    Exited,
    Observation,
    Pulled,
    PullFailed,
    PullStarted,
    SandboxFailed,
    SandboxReady,
    StartContainer,
    Started,
    StartFailed,
    StopContainer,
)


__all__ = ["PROVISIONING_TIMEOUT", "GroupMachine"]


PROVISIONING_TIMEOUT = 1800.0
"""Seconds; ACI's ``provisioningTimeoutInSeconds``."""

_Intent: TypeAlias = Literal["run", "stop", "restart", "close", "closed"]
_Sandbox: TypeAlias = Literal["none", "opening", "ready", "failed"]
_O = TypeVar("_O")


class GroupMachine:
    """
    One incarnation of a group, from its acceptance until nothing of it is left.

    Attributes:
        uid: The incarnation's name towards the runtime.
        ip: Its address, once it has one.
        mapped: Ports that are reached elsewhere than on ``ip``: port to (host, port).
        accepted: When the request that began the present cycle was accepted.
        cycle: 1 after the PUT, one more after each start or restart.
        failure: Why provisioning failed, in words, or ``None``.
    """

    def __init__(self, uid: str, desired: Desired, now: float) -> None:
        self.uid = uid
        self.desired = desired
        self.ip: str | None = None
        self.mapped: dict[int, tuple[str, int]] = {}
        self.accepted = now
        self.cycle = 0
        self.failure: str | None = None
        self.failure_event: dict[str, Any] | None = None
        self._sandbox: _Sandbox = "none"
        self._intent: _Intent = "run"
        self._seen = False  # anything at all was observed in this cycle
        self.init = [ContainerRecord(run=run) for run in desired.init]
        self.main = [ContainerRecord(run=run) for run in desired.main]

    # --- what it shows ---------------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """It is being deleted."""
        return self._intent in ("close", "closed")

    @property
    def closed(self) -> bool:
        """Nothing of it is left in the runtime."""
        return self._intent == "closed"

    @property
    def provisioning_state(self) -> str:
        """ARM's ``provisioningState``: ``Pending``, ``Creating``, ``Succeeded`` or ``Failed``."""
        if self.failure is not None:
            return "Failed"
        if self._intent == "stop" or all(record.started_once for record in self.main):
            return "Pending" if self._intent == "restart" else "Succeeded"
        return "Creating" if self._seen and self._intent == "run" else "Pending"

    @property
    def settled(self) -> bool:
        """No operation is under way; ACI refuses to begin another before."""
        return self.provisioning_state in ("Succeeded", "Failed")

    @property
    def state(self) -> str:
        """The group's ``instanceView.state``."""
        if self._intent == "stop" and not any(record.active for record in self._all()):
            return "Stopped"
        if self.failure is not None:
            return "Failed"
        if not any(record.started_once for record in self.main):
            return "Pending"
        if all(record.terminated for record in self.main):
            ok = all(record.exit_code == 0 for record in self.main)
            return "Succeeded" if ok else "Failed"
        return "Running"

    @property
    def next_wake(self) -> float | None:
        """When :meth:`wake` has something to do, if nothing is observed before."""
        if self._intent != "run":
            return None
        times = [record.retry_at for record in self._all() if record.retry_at is not None]
        if self.failure is None and self.provisioning_state != "Succeeded":
            times.append(self.accepted + PROVISIONING_TIMEOUT)
        return min(times, default=None)

    def find(self, container: str) -> ContainerRecord | None:
        """The container of that name; names are unique in a group."""
        return next((record for record in self._all() if record.run.name == container), None)

    # --- requests --------------------------------------------------------------------------

    def begin(self, now: float) -> list[Action]:
        """Begin a cycle: open the sandbox if need be, and pull every image at once."""
        actions: list[Action] = []
        self._intent = "run"
        self.accepted = now
        self.cycle += 1
        self.failure = self.failure_event = None
        self._seen = False
        if self._sandbox in ("none", "failed"):
            self._sandbox = "opening"
            actions.append(self.desired.open(self.uid))
        for record in self._all():
            under_way = record.phase == "pulling"  # still, from before a stop
            record.begin()
            if not under_way:
                actions.append(self._pull(record))
        return actions

    def stop(self, now: float) -> list[Action]:
        """Stop every container; the group keeps its address and its logs."""
        if self.closing or self._intent == "stop":
            return []
        if self.failure is not None:
            self.failure = self.failure_event = None
        self._intent = "stop"
        return self._wind_down(now)

    def start(self, now: float) -> list[Action]:
        """Start a group that was stopped or has ended; nothing happens to one that runs."""
        if self.closing or self._intent == "restart":
            return []
        if any(record.active for record in self._all()):
            return self.restart(now) if self._intent == "stop" else []
        if self._intent == "run" and not self.settled:
            return []
        if any(record.phase == "waiting" for record in self.main):
            return []
        return self.begin(now)

    def restart(self, now: float) -> list[Action]:
        """Stop every container, then begin anew."""
        if self.closing:
            return []
        self._intent = "restart"
        self.accepted = now
        self.failure = self.failure_event = None
        return [*self._wind_down(now), *self._advance(now)]

    def close(self) -> list[Action]:
        """Delete: the one action that ends everything, given once."""
        if self.closing:
            return []
        self._intent = "close"
        return [CloseSandbox(uid=self.uid)]

    # --- time and observations -------------------------------------------------------------

    def wake(self, now: float) -> list[Action]:
        """Do what is due at ``now``."""
        if self._intent != "run":
            return []
        actions: list[Action] = []
        for record in self._all():
            if record.retry_at is None or record.retry_at > now:
                continue
            record.retry_at = None
            if record.phase == "unpulled":
                record.phase = "pulling"
                actions.append(self._pull(record))
            elif record.phase == "waiting":
                actions.append(self._start(record))
        if (
            self.failure is None
            and self.provisioning_state != "Succeeded"
            and now >= self.accepted + PROVISIONING_TIMEOUT
        ):
            self._fail(
                f"Container group provisioning has timed out after "
                f"{PROVISIONING_TIMEOUT / 60:.0f} minutes",
                now,
            )
        return actions

    def observe(self, seen: Observation, now: float) -> list[Action]:
        """Take in what the runtime reports about this incarnation."""
        if isinstance(seen, Closed):
            if self._intent == "close":
                self._intent = "closed"
            return []
        if self.closing:
            return []
        self._seen = True
        if isinstance(seen, SandboxReady | SandboxFailed):
            self._observe_sandbox(seen)
            return self._advance(now)
        record = self.find(seen.container)
        if record is None:
            return []
        return [*self._observe_container(record, seen, now), *self._advance(now)]

    def resume(self) -> list[Action]:
        """
        Give again the actions that were under way when the state was saved.

        An open sandbox is asked for, too: as long as nothing runs in it only the runtime knows of it.
        """
        if self.closing:
            return [] if self.closed else [CloseSandbox(uid=self.uid)]
        actions: list[Action] = []
        if self._sandbox in ("opening", "ready"):
            actions.append(self.desired.open(self.uid))
        for record in self._all():
            if record.phase == "pulling":
                actions.append(self._pull(record))
            elif record.phase == "starting":
                actions.append(self._start_again(record))
            elif record.phase == "stopping":
                actions.append(StopContainer(uid=self.uid, container=record.run.name))
        return actions

    # --- inside ----------------------------------------------------------------------------

    def _observe_sandbox(self, seen: SandboxReady | SandboxFailed) -> None:
        if isinstance(seen, SandboxFailed):
            if self._sandbox == "opening":
                self._sandbox = "failed"
                self._fail(seen.message, seen.at)
            return
        if self._sandbox == "failed":  # too late: it was given up
            return
        self._sandbox = "ready"
        if seen.ip is not None:
            self.ip = seen.ip
        if seen.mapped:
            self.mapped = {port: (host, to) for port, (host, to) in seen.mapped.items()}

    def _observe_container(
        self, record: ContainerRecord, seen: Observation, now: float
    ) -> list[Action]:
        pulling = record.phase == "pulling"
        if isinstance(seen, PullStarted) and pulling:
            record.pull_started(seen.at, seen.digest)
        elif isinstance(seen, Pulled) and pulling:
            record.pulled(seen.at, seen.digest)
        elif isinstance(seen, PullFailed) and pulling:
            record.pull_failed(seen.at, seen.message)
        elif isinstance(seen, Started) and self._is_start(record, seen.attempt):
            record.started(seen.at, seen.container_id)
            if self._intent != "run":
                record.kill(now)
                return [StopContainer(uid=self.uid, container=record.run.name)]
        elif isinstance(seen, StartFailed) and self._is_start(record, seen.attempt):
            record.start_failed(seen.at, seen.message)
            self._ended(record, seen.at)
        elif isinstance(seen, Exited) and seen.attempt == record.attempt:
            if record.phase == "starting":  # Started was lost or overtaken
                record.started(seen.at, seen.container_id)
            elif record.phase not in ("running", "stopping"):
                return []
            if record.phase == "stopping":
                record.stopped(seen.at, seen.exit_code)
            else:
                record.exited(seen.at, seen.exit_code, oom_killed=seen.oom_killed)
                self._ended(record, seen.at)
        return []

    @staticmethod
    def _is_start(record: ContainerRecord, attempt: int) -> bool:
        return record.phase == "starting" and record.attempt == attempt

    def _ended(self, record: ContainerRecord, at: float) -> None:
        """A container has ended by itself: apply the restart policy."""
        if self._intent != "run" or self.failure is not None:
            return
        if self.desired.comes_back(record.run, record.exit_code):
            record.restart_later(at)
        elif record.run.init and record.exit_code != 0:
            name, code = record.run.name, record.exit_code
            self._fail(f"Init container '{name}' has failed with exit code {code}", at)

    def _advance(self, now: float) -> list[Action]:
        """What can go on now that something has changed."""
        if self._intent == "restart" and not any(record.active for record in self._all()):
            return self.begin(now)
        if self._intent != "run" or self._sandbox != "ready" or self.failure is not None:
            return []
        for record in self.init:
            if record.phase == "pulled":
                return [self._start(record)]
            if record.phase != "ended" or record.exit_code != 0:
                return []
        return [self._start(record) for record in self.main if record.phase == "pulled"]

    def _wind_down(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for record in self._all():
            record.retry_at = None
            if record.phase == "running":
                record.kill(now)
                actions.append(StopContainer(uid=self.uid, container=record.run.name))
            elif record.phase in ("unpulled", "pulled"):
                record.phase = "new"
            elif record.phase == "waiting":
                record.phase = "ended"
        return actions

    def _fail(self, message: str, at: float) -> None:
        self.failure = message
        self.failure_event = {"name": "Failed", "message": message, "at": at}
        for record in self._all():
            record.retry_at = None

    def _pull(self, record: ContainerRecord) -> Action:
        return self.desired.pull(self.uid, record.run)

    def _start(self, record: ContainerRecord) -> StartContainer:
        record.starting()
        return self._start_again(record)

    def _start_again(self, record: ContainerRecord) -> StartContainer:
        return StartContainer(uid=self.uid, run=record.run, attempt=record.attempt)

    def _all(self) -> Iterator[ContainerRecord]:
        yield from self.init
        yield from self.main

    # --- state on disk ---------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Everything but what is wanted, as JSON."""
        return {
            **{key: getattr(self, attribute) for key, attribute in _PLAIN.items()},
            "mapped": [[port, host, to] for port, (host, to) in self.mapped.items()],
            "init": [record.dump() for record in self.init],
            "main": [record.dump() for record in self.main],
        }

    @classmethod
    def load(cls, desired: Desired, state: dict[str, Any]) -> GroupMachine:
        """The inverse of :meth:`dump`."""
        machine = cls(state["uid"], desired, state["accepted"])
        for key, attribute in _PLAIN.items():
            setattr(machine, attribute, state[key])
        machine.mapped = {port: (host, to) for port, host, to in state["mapped"]}
        machine.init = _records(desired.init, state["init"], ContainerRecord.load)
        machine.main = _records(desired.main, state["main"], ContainerRecord.load)
        return machine


_PLAIN = {
    "uid": "uid",
    "ip": "ip",
    "accepted": "accepted",
    "cycle": "cycle",
    "failure": "failure",
    "failure_event": "failure_event",
    "sandbox": "_sandbox",
    "intent": "_intent",
    "seen": "_seen",
}


def _records(
    runs: tuple[Any, ...],
    states: list[dict[str, Any]],
    load: Callable[[Any, dict[str, Any]], _O],
) -> list[_O]:
    return [load(run, state) for run, state in zip(runs, states, strict=True)]
