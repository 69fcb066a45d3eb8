"""
One container of a group: its phase, its ARM states, its restarts.

Pure. It is told what happened and at what time, and keeps the record; which action follows is
decided by :mod:`aciflow.local.groups.machine`, which sees the whole group.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, cast

from attrs import define, field

from aciflow.local.groups.events import Events, image_label
from aciflow.local.groups.times import milliseconds
from aciflow.local.protocol import ContainerRun


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
    digest: str | None = None
    times: dict[str, float] = field(factory=dict)
    events: Events = field(factory=Events)

    @property
    def active(self) -> bool:
        """The runtime has a process of it, or is about to."""
        return self.phase in ("starting", "running", "stopping")

    @property
    def terminated(self) -> bool:
        """It shows as terminated at this moment."""
        return self.current is not None and self.current["state"] == "Terminated"

    def begin(self) -> None:
        """A new cycle of the group: pull again, start again, count from zero."""
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

    def exited(self, at: float, exit_code: int, *, oom_killed: bool) -> None:
        """Its process has ended by itself."""
        detail = "OOMKilled" if oom_killed else "Completed" if exit_code == 0 else "Error"
        self._terminated(at, exit_code, detail)

    def stopped(self, at: float, exit_code: int) -> None:
        """Its process has ended because the group was stopped (the shape that was recorded)."""
        if self.current is not None and self.current["state"] == "Running":
            self.previous = self.current
        self.phase = "ended"
        self.running_since = None
        self.exit_code = exit_code
        self.current = {
            "state": "Terminated",
            "finishTime": milliseconds(at),
            "detailStatus": STOPPED,
        }

    def kill(self, at: float) -> None:
        """It is being stopped."""
        self.phase = "stopping"
        self.events.add("Killing", f"Killing container with id {self.container_id}.", at)

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

    def _set_aside(self) -> None:
        if self.terminated:
            self.previous = self.current

    def _terminated(self, at: float, exit_code: int, detail: str) -> None:
        since = self.running_since if self.running_since is not None else at
        if at - since >= HEALTHY_AFTER:
            self.failures = 0
        self.phase = "ended"
        self.running_since = None
        self.exit_code = exit_code
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
        }

    @classmethod
    def load(cls, run: ContainerRun, state: dict[str, Any]) -> ContainerRecord:
        """The inverse of :meth:`dump`."""
        record = cls(run=run, events=Events(list(state["events"])))
        for name in _PLAIN:
            setattr(record, name, state[name])
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
    "digest",
    "times",
)
