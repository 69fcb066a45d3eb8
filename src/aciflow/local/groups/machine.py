"""
The controller of one container group.

Pure: requests and observations go in with their time, actions come out. It never runs ahead of
what was observed, survives any order and repetition of observations, and once it is closing it asks
for nothing more.
"""

from __future__ import annotations

from attrs import evolve

from aciflow.local.groups.container import ContainerRecord
from aciflow.local.groups.desired import PROVISIONING_TIMEOUT
from aciflow.local.groups.group import GroupState
from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    Exited,
    Observation,
    Probed,
    ProbeKind,
    Pulled,
    PullFailed,
    PullStarted,
    RunProbe,
    SandboxFailed,
    SandboxReady,
    StartContainer,
    Started,
    StartFailed,
    StopContainer,
)


__all__ = ["PROVISIONING_TIMEOUT", "GroupMachine"]


class GroupMachine(GroupState):
    """One incarnation of a group, and what is to be done about it."""

    # --- requests --------------------------------------------------------------------------

    def begin(self, now: float) -> list[Action]:
        """Begin a cycle: open the sandbox if need be, and pull every image at once."""
        actions: list[Action] = []
        self._intent = "run"
        self.accepted = now
        self.cycle += 1
        self._forgive()
        self._seen = False
        if self.doom is not None:  # it will fail: nothing is begun
            return []
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
        self._forgive()
        self._intent = "stop"
        self.stops += 1
        return self._wind_down(now)

    def start(self, now: float) -> list[Action]:
        """Start a group that was stopped or has ended; nothing happens to one that runs."""
        if self.closing or self._intent == "restart":
            return []
        if any(record.active for record in self._all()):
            return self.restart(now) if self._intent == "stop" else []
        if self._intent == "run" and not self.settled:
            return []
        if any(record.phase == "waiting" for record in self._all()):
            return []
        return self.begin(now)

    def restart(self, now: float) -> list[Action]:
        """Stop every container, then begin anew."""
        if self.closing:
            return []
        self._intent = "restart"
        self.accepted = now
        self._forgive()
        return [*self._wind_down(now), *self._advance(now)]

    def close(self) -> list[Action]:
        """Delete: the one action that ends everything, given once."""
        if self.closing:
            return []
        self._intent = "close"
        return [CloseSandbox(uid=self.uid)]

    def fail(self, event: str, message: str, now: float) -> list[Action]:
        """
        The service has failed: provisioning ends in ``Failed``, and what runs is stopped.

        Args:
            event: The name of the group's event (recorded: ``InsufficientCapacity.``, with the stop).
            message: Of that event, and of the operation's error.
            now: Seconds since the epoch.

        A group that never gets anywhere has a :attr:`doom` before it begins.
        """
        if self.closing or self._intent != "run":
            return []
        self.doom = None
        self._give_up(message, now, event=event)
        return self._wind_down(now)

    # --- time and observations -------------------------------------------------------------

    def wake(self, now: float) -> list[Action]:
        """Do what is due at ``now``."""
        if self._intent != "run":
            return []
        doom = self.doom
        if doom is not None:
            return self.fail(doom.event, doom.message, now) if doom.at <= now else []
        actions: list[Action] = []
        for record in self._all():
            actions += self._retry(record, now)
            actions += [
                self._probe(record, kind)
                for kind, prober in record.probers.items()
                if prober.ask(now)
            ]
        limit = self.desired.provisioning_timeout
        overdue = now >= self.accepted + limit
        if overdue and self.failure is None and self.provisioning_state != "Succeeded":
            self._fail(f"Container group provisioning has timed out after {_minutes(limit)}", now)
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
                actions.append(self._stop(record))
            actions += [
                self._probe(record, kind)
                for kind, prober in record.probers.items()
                if prober.asked is not None
            ]
        return actions

    # --- inside ----------------------------------------------------------------------------

    def _observe_sandbox(self, seen: SandboxReady | SandboxFailed) -> None:
        if isinstance(seen, SandboxFailed):
            if self._sandbox == "opening":
                self._sandbox = "failed"
                self._give_up(seen.message, seen.at)
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
        if pulling and self.given_up:
            if isinstance(seen, Pulled | PullFailed):
                record.phase = "new"
        elif isinstance(seen, PullStarted) and pulling:
            record.pull_started(seen.at, seen.digest)
        elif isinstance(seen, Pulled) and pulling:
            record.pulled(seen.at, seen.digest)
        elif isinstance(seen, PullFailed) and pulling:
            record.pull_failed(seen.at, seen.message)
            if self._intent != "run":
                record.called_off(seen.at)
        elif isinstance(seen, Started) and self._is_start(record, seen.attempt):
            record.started(seen.at, seen.container_id)
            if self._intent != "run" or self.given_up:
                record.kill(now)
                return [self._stop(record)]
        elif isinstance(seen, StartFailed) and self._is_start(record, seen.attempt):
            self._start_failed(record, seen)
        elif isinstance(seen, Exited) and seen.attempt == record.attempt:
            self._exited(record, seen)
        elif isinstance(seen, Probed) and seen.attempt == record.attempt and record.probed(seen):
            record.kill(now)
            return [self._stop(record)]
        return []

    @staticmethod
    def _is_start(record: ContainerRecord, attempt: int) -> bool:
        return record.phase == "starting" and record.attempt == attempt

    def _start_failed(self, record: ContainerRecord, seen: StartFailed) -> None:
        if not seen.volume:
            record.start_failed(seen.at, seen.message)
            self._ended(record, seen.at)
            return
        why = f'MountVolume.SetUp failed for volume "{seen.volume}" : {seen.message}'
        record.mount_failed(seen.at)
        if self._intent != "run" or self.given_up:
            record.called_off(seen.at)
        elif self.desired.restart_policy == "Never":
            # container-state.md: a group fails by its infrastructure only under this policy.
            self._give_up(why, seen.at, event="FailedMount")
        else:
            self.group_events.add("FailedMount", why, seen.at)

    def _exited(self, record: ContainerRecord, seen: Exited) -> None:
        if record.phase == "starting":  # Started was lost or overtaken
            record.started(seen.at, seen.container_id)
        elif record.phase not in ("running", "stopping"):
            return
        if record.phase == "stopping" and self._intent != "run":
            record.stopped(seen.at, seen.exit_code)
        else:
            record.exited(seen.at, seen.exit_code, oom_killed=seen.oom_killed)
            self._ended(record, seen.at)

    def _ended(self, record: ContainerRecord, at: float) -> None:
        """A container has ended by itself, or was not healthy: apply the restart policy."""
        if self._intent != "run" or self.given_up:
            return
        if not record.run.init:
            record.finished(at)
        if self.desired.comes_back(record.run, record.exit_code, unhealthy=record.unhealthy):
            record.restart_later(at)
        elif record.run.init and record.exit_code != 0:
            name, code = record.run.name, record.exit_code
            self._give_up(f"Init container '{name}' has failed with exit code {code}", at)

    def _advance(self, now: float) -> list[Action]:
        """What can go on now that something has changed."""
        if self._intent == "restart" and not any(record.active for record in self._all()):
            return self.begin(now)
        if self._intent != "run" or self._sandbox != "ready" or self.given_up:
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
            if record.phase == "running":
                record.kill(now)
                actions.append(self._stop(record))
            else:
                record.called_off(now)
        return actions

    def _fail(self, message: str, at: float, *, event: str = "Failed") -> None:
        if self.failure is None:  # the operation keeps its first error
            self.failure = message
        self.group_events.add(event, message, at)

    def _give_up(self, message: str, at: float, *, event: str = "Failed") -> None:
        self._fail(message, at, event=event)
        self.given_up = True
        for record in self._all():
            record.retry_at = None

    def _forgive(self) -> None:
        self.failure = None
        self.given_up = False
        self.group_events.clear()

    def _retry(self, record: ContainerRecord, now: float) -> list[Action]:
        if record.retry_at is None or record.retry_at > now:
            return []
        record.retry_at = None
        if record.phase == "unpulled":
            record.phase = "pulling"
            return [self._pull(record)]
        return [self._start(record)] if record.phase == "waiting" else []

    def _pull(self, record: ContainerRecord) -> Action:
        return self.desired.pull(self.uid, record.run)

    def _start(self, record: ContainerRecord) -> StartContainer:
        record.starting()
        return self._start_again(record)

    def _start_again(self, record: ContainerRecord) -> StartContainer:
        run = record.run
        if self.stops and run.mounts:
            mounts = tuple(evolve(mount, generation=self.stops) for mount in run.mounts)
            run = evolve(run, mounts=mounts)
        return StartContainer(uid=self.uid, run=run, attempt=record.attempt)

    def _stop(self, record: ContainerRecord) -> StopContainer:
        return StopContainer(uid=self.uid, container=record.run.name)

    def _probe(self, record: ContainerRecord, kind: ProbeKind) -> RunProbe:
        prober = record.probers[kind]
        return RunProbe(
            uid=self.uid,
            container=record.run.name,
            kind=kind,
            probe=prober.probe,
            attempt=record.attempt,
            number=prober.number,
        )


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} minutes" if not rest else f"{seconds:g} seconds"
