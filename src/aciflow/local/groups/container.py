"""
One container of a group: its phase, its ARM states, its restarts.

Pure. It is told what happened and at what time, and keeps the record; which action follows is
decided by :mod:`aciflow.local.groups.machine`, which sees the whole group.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

from attrs import define, field

from aciflow.local.groups.events import Events, image_label
from aciflow.local.groups.probing import Prober
from aciflow.local.groups.times import milliseconds
from aciflow.local.protocol import ContainerRun, Probed, ProbeKind


__all__ = ["FIRST_RESTART", "MAX_BACK_OFF", "ContainerRecord", "Phase"]


Phase: TypeAlias = Literal[
    "new",  # nothing asked for yet, or stopped before it began
    "pulling",  # PullImage is under way
    "unpulled",  # the pull failed; again at retry_at
    "pulled",  # the image is there; waits for the sandbox and the init containers
    "starting",  # StartContainer is under way
    "running",
    "stopping",  # StopContainer is under way
    "waiting",  # ended, starts again at retry_at
    "ended",  # for good
]

FIRST_RESTART = 1.0
"""Seconds until the first restart; ACI, like the kubelet, shows no back-off for it."""

BACK_OFF = 10.0
"""Seconds of the first back-off; recorded: ``CrashLoopBackOff: Back-off 10s restarting failed``."""

MAX_BACK_OFF = 300.0
"""Seconds; the kubelet's cap."""

MOUNT_RETRY = 1.0
"""Seconds until a volume that could not be had is tried again; they double."""

MAX_MOUNT_RETRY = 122.0
"""Seconds; the kubelet's cap."""

HEALTHY_AFTER = 600.0
"""A run of so many seconds resets the back-off, as in the kubelet."""

STOPPED = "Container stopped per client request"


@define
class ContainerRecord:
    """
    What is known of one container.

    Attributes:
        run: As wanted.
        phase: Where it is.
        attempt: Number of the last start; -1 before the first. Never used twice in one group.
        restart_count: As ARM shows it; a restart of the whole group begins at zero again.
        started_once: It has run since the group last began.
        failures: Ends in a row, for the back-off.
        retry_at: When to pull or start again.
        current: ARM's ``currentState``, or ``None`` before anything was known.
        previous: ARM's ``previousState``.
        exit_code: Of the last end.
        running_since: Seconds since the epoch, while it runs.
        container_id: The runtime's name for it.
        unhealthy: It is being stopped, or was, because its liveness probe says so.
        digest: The image's digest, once known.
        times: ``pulling``, ``pulled`` and ``started`` of this cycle, sub-second.
    """

    run: ContainerRun = field(repr=False)
    phase: Phase = "new"
    attempt: int = -1
    restart_count: int = 0
    started_once: bool = False
    failures: int = 0
    retry_at: float | None = None
    current: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None
    exit_code: int | None = None
    running_since: float | None = None
    container_id: str = ""
    unhealthy: bool = False
    digest: str | None = None
    times: dict[str, float] = field(factory=dict)
    events: Events = field(factory=Events)
    probers: dict[ProbeKind, Prober] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.probers = {kind: Prober(probe) for kind, probe in self.run.probes.items()}

    @property
    def active(self) -> bool:
        """The runtime has a process of it, or is about to."""
        return self.phase in ("starting", "running", "stopping")

    @property
    def terminated(self) -> bool:
        """It shows as terminated at this moment."""
        return self.current is not None and self.current["state"] == "Terminated"

    @property
    def ready(self) -> bool:
        """
        It runs, and its readiness probe, where it has one, succeeds.

        ACI shows this nowhere; it keeps traffic away from what is not ready.
        """
        prober = self.probers.get("readiness")
        return self.phase == "running" and (prober is None or prober.passing is True)

    @property
    def wake(self) -> float | None:
        """When something is due: a retry, or a probe."""
        times = [prober.wake for prober in self.probers.values()] + [self.retry_at]
        return min((at for at in times if at is not None), default=None)

    def begin(self) -> None:
        """A new cycle of the group: pull again, start again, count from zero."""
        self._set_aside()
        self.current = None
        self.events.new_cycle()
        self.phase = "pulling"
        self.restart_count = self.failures = 0
        self.started_once = False
        self.retry_at = None
        self.exit_code = None
        self.times = {}

    def pull_started(self, at: float, digest: str | None) -> None:
        """The image is being pulled."""
        self.digest = digest or self.digest
        self.times.setdefault("pulling", at)
        label = image_label(self.run.image, self.digest)
        self.events.add("Pulling", f'pulling image "{label}"', at)
        if self.current is None:
            self.current = {"state": "Waiting", "detailStatus": ""}

    def pulled(self, at: float, digest: str | None) -> None:
        """The image is there."""
        self.digest = digest or self.digest
        self.times["pulled"] = at
        self.phase = "pulled"
        self.retry_at = None
        self.failures = 0
        label = image_label(self.run.image, self.digest)
        self.events.add("Pulled", f'Successfully pulled image "{label}"', at)

    def pull_failed(self, at: float, message: str) -> None:
        """The image cannot be had; try again after a while."""
        image = self.run.image
        self.events.add("Failed", f'Failed to pull image "{image}": {message}', at, warning=True)
        self.events.add("BackOff", f'Back-off pulling image "{image}"', at)
        self.phase = "unpulled"
        self.retry_at = at + min(BACK_OFF * 2 ** min(self.failures, 10), MAX_BACK_OFF)
        self.failures += 1
        self.current = {
            "state": "Waiting",
            "detailStatus": f'ImagePullBackOff: Back-off pulling image "{image}"',
        }

    def starting(self) -> None:
        """A start is asked for; its number is :attr:`attempt`."""
        self.attempt += 1
        self.phase = "starting"
        self.retry_at = None

    def started(self, at: float, container_id: str) -> None:
        """Its process runs."""
        if self.started_once:
            self.restart_count += 1
        self._set_aside()
        self.phase = "running"
        self.started_once = True
        self.running_since = at
        self.container_id = container_id
        self.unhealthy = False
        for prober in self.probers.values():
            prober.begin(at)
        self.times["started"] = at
        self.current = {"state": "Running", "startTime": milliseconds(at), "detailStatus": ""}
        self.events.add("Started", "Started container", at)

    def start_failed(self, at: float, message: str) -> None:
        """It could not be started: shown as an end with exit code 128, as the kubelet does."""
        self.events.add("Failed", f"Error: {message}", at, warning=True)
        if self.started_once:
            self.restart_count += 1
        self._set_aside()
        self.started_once = True
        self.running_since = at
        self._terminated(at, 128, "Error")

    def mount_failed(self, at: float) -> None:
        """A volume cannot be had; try again after a while."""
        self.phase = "waiting"
        self.retry_at = at + min(MOUNT_RETRY * 2 ** min(self.failures, 10), MAX_MOUNT_RETRY)
        self.failures += 1
        self._set_aside()
        self.current = {"state": "Waiting", "detailStatus": "ContainerCreating"}

    def exited(self, at: float, exit_code: int, *, oom_killed: bool) -> None:
        """Its process has ended: by itself, or since it was not healthy."""
        detail = "OOMKilled" if oom_killed else "Completed" if exit_code == 0 else "Error"
        self._terminated(at, exit_code, detail)

    def stopped(self, at: float, exit_code: int) -> None:
        """Its process has ended because the group was stopped (the shape that was recorded)."""
        if self.current is not None and self.current["state"] == "Running":
            self.previous = self.current
        self._end(exit_code)
        self.current = {
            "state": "Terminated",
            "finishTime": milliseconds(at),
            "detailStatus": STOPPED,
        }

    def kill(self, at: float) -> None:
        """It is being stopped."""
        self.phase = "stopping"
        for prober in self.probers.values():
            prober.end()
        self._add_killing(at)

    def finished(self, at: float) -> None:
        """It has ended by itself: ACI has a ``Killing`` event for that too (recorded)."""
        if not self.unhealthy and self.container_id:
            self._add_killing(at)

    def called_off(self, at: float) -> None:
        """The group is stopped while nothing of it runs."""
        self.retry_at = None
        if self.phase in ("unpulled", "pulled"):
            self.phase, self.current = "new", None
        elif self.phase == "waiting":
            if self.terminated:
                self.phase = "ended"
            else:
                self.stopped(at, self.exit_code or 0)

    def probed(self, seen: Probed) -> bool:
        """
        Take in what a probe saw.

        Returns:
            Whether the container is to be killed for it. Each failure is an event, as in the kubelet.
        """
        prober = self.probers.get(seen.kind)
        if self.phase != "running" or prober is None or not prober.answered(seen):
            return False
        if not seen.ok:
            message = f"{seen.kind.capitalize()} probe failed: {seen.message}"
            self.events.add("Unhealthy", message, seen.at, warning=True)
        self.unhealthy = seen.kind == "liveness" and prober.passing is False
        return self.unhealthy

    def restart_later(self, at: float) -> None:
        """It has ended and shall start again: at once the first time, then with back-off."""
        self.phase = "waiting"
        if self.failures == 0:
            self.retry_at = at + FIRST_RESTART
        else:
            delay = min(BACK_OFF * 2 ** min(self.failures - 1, 10), MAX_BACK_OFF)
            self.retry_at = at + delay
            self.events.add("BackOff", "Back-off restarting failed container", at, warning=True)
            self._set_aside()
            self.current = {
                "state": "Waiting",
                "detailStatus": f"CrashLoopBackOff: Back-off {delay:.0f}s restarting failed",
            }
        self.failures += 1

    def instance_view(self) -> dict[str, Any] | None:
        """ARM's ``instanceView``; ``None`` (left out) as long as nothing is known."""
        events = self.events.to_arm()
        if self.current is None and not events:
            return None
        view: dict[str, Any] = {"restartCount": self.restart_count}
        if self.current is not None:
            view["currentState"] = self.current
        if self.previous is not None:
            view["previousState"] = self.previous
        if events:  # recorded: never an empty list
            view["events"] = events
        return view

    def _add_killing(self, at: float) -> None:
        self.events.add("Killing", f"Killing container with id {self.container_id}.", at)

    def _set_aside(self) -> None:
        """Recorded: a previous state has five keys, also of one that was stopped by request."""
        current = self.current
        if current is None or current["state"] != "Terminated":
            return
        if "exitCode" not in current:
            began = (self.previous or {}).get("startTime", current["finishTime"])
            current = {
                "state": "Terminated",
                "startTime": began,
                "exitCode": self.exit_code or 0,
                "finishTime": current["finishTime"],
                "detailStatus": current["detailStatus"],
            }
        self.previous = current

    def _end(self, exit_code: int) -> None:
        self.phase = "ended"
        self.running_since = None
        self.exit_code = exit_code
        for prober in self.probers.values():
            prober.end()

    def _terminated(self, at: float, exit_code: int, detail: str) -> None:
        since = self.running_since if self.running_since is not None else at
        if at - since >= HEALTHY_AFTER:
            self.failures = 0
        self._end(exit_code)
        self.current = {
            "state": "Terminated",
            "startTime": milliseconds(since),
            "exitCode": exit_code,
            "finishTime": milliseconds(at),
            "detailStatus": detail,
        }

    def dump(self) -> dict[str, Any]:
        """Everything but what is wanted, as JSON."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "events": self.events.to_arm(),
            "events_since": self.events.since,
            "probes": {kind: prober.dump() for kind, prober in self.probers.items()},
        }

    @classmethod
    def load(cls, run: ContainerRun, state: dict[str, Any]) -> ContainerRecord:
        """The inverse of :meth:`dump`."""
        record = cls(run=run, events=Events(list(state["events"]), state["events_since"]))
        for name in _PLAIN:
            setattr(record, name, state[name])
        for kind, prober in record.probers.items():
            record.probers[kind] = Prober.load(prober.probe, state["probes"][kind])
        record.phase = cast("Phase", state["phase"])
        return record


_PLAIN = (
    "phase",
    "attempt",
    "restart_count",
    "started_once",
    "failures",
    "retry_at",
    "current",
    "previous",
    "exit_code",
    "running_since",
    "container_id",
    "unhealthy",
    "digest",
    "times",
)
