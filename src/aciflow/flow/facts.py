"""
What a launch saw, and when; and the timeline that follows from it.

Times of the service are by its clock, ours by this machine's. Every reply has a ``Date`` header in whole
seconds, so every reply narrows down how far the clocks are apart.
"""

from __future__ import annotations

import json

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from attrs import define, field, frozen

from aciflow.flow.effects import ArmReply, Env, Flow, Notify, Start
from aciflow.model import GroupState
from aciflow.timeline import Phase, PhaseEvent, Timeline


__all__ = ["ClockOffset", "Facts"]

# ACI reports events in whole seconds and `startTime` in milliseconds.
EVENT_RESOLUTION = 1.0
STATE_RESOLUTION = 0.001
TIMES_HEADER = "x-aciflow-times"


@define
class ClockOffset:
    """
    How many seconds the service's clock is ahead of ours.

    A reply that was asked for at ``sent`` and came at ``received``, dated ``d``, says that the service's
    clock was somewhere in [d, d + 1) at some moment between the two.
    """

    low: float = float("-inf")
    high: float = float("inf")

    def see(self, date: float, *, sent: float, received: float) -> None:
        """Narrow it down by one reply; one that contradicts the others is passed over."""
        low, high = max(self.low, date - received), min(self.high, date + 1.0 - sent)
        if low <= high:
            self.low, self.high = low, high

    @property
    def value(self) -> float:
        """The best estimate; 0 as long as nothing speaks against clocks that agree."""
        if self.low <= 0.0 <= self.high:
            return 0.0
        return (self.low + self.high) / 2

    @property
    def uncertainty(self) -> float:
        """Half the width of what is possible, where the clocks are known to differ."""
        return 0.0 if self.low <= 0.0 <= self.high else (self.high - self.low) / 2


@frozen(kw_only=True)
class ServiceTimes:
    """What the service reported of one container, seconds since the epoch by its clock."""

    pulling: float | None = None
    pulled: float | None = None
    started: float | None = None
    finished: float | None = None
    event_resolution: float = EVENT_RESOLUTION


@define(kw_only=True)
class Facts:
    """
    The record of one launch.

    Attributes:
        env: The flow's clock.
        target: As the timeline's first line says it.
        title: What is being launched.
    """

    env: Env
    target: str
    title: str
    began: float = field(init=False)
    began_wall: float = field(init=False)
    spans: list[Phase] = field(init=False, factory=list)
    phase: str = field(init=False, default="start")
    offset: ClockOffset = field(init=False, factory=ClockOffset)
    same_clock: bool = field(init=False, default=False)
    submitted: float | None = field(init=False, default=None)
    accepted: float | None = field(init=False, default=None)
    addressed: float | None = field(init=False, default=None)
    address_resolution: float = field(init=False, default=0.0)
    ready: float | None = field(init=False, default=None)
    ready_resolution: float = field(init=False, default=0.0)
    services: dict[str, ServiceTimes] = field(init=False, factory=dict)
    _open: dict[str, float] = field(init=False, factory=dict)
    _told: set[tuple[str, str | None]] = field(init=False, factory=set)
    _attempts: dict[str, int] = field(init=False, factory=dict)
    _ended: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.began = self.env.clock.now()
        self.began_wall = self.env.clock.wall()

    # --- recording ------------------------------------------------------------------------

    def elapsed(self) -> float:
        """Seconds since the call."""
        return self.env.clock.now() - self.began

    def begin(self, phase: str, detail: str = "") -> Flow[float]:
        """Enter a phase; returns its beginning."""
        self.phase = phase
        at = self._open[phase] = self.elapsed()
        yield from _notify(PhaseEvent(name=phase, status="started", at=at, detail=detail))
        return at

    def end(self, phase: str, start: float) -> Flow[None]:
        """Leave a phase that the client itself measured."""
        self._measured(phase, start, self.elapsed())
        yield from self.finish(phase, start)

    def finish(self, phase: str, start: float) -> Flow[None]:
        """Leave a phase whose beginning or end others tell better."""
        self._open.pop(phase, None)
        self.phase = next(reversed(self._open), phase)
        at = self.elapsed()
        yield from _notify(PhaseEvent(name=phase, status="finished", at=at, duration=at - start))

    def _measured(self, phase: str, start: float, end: float) -> None:
        attempt = self._attempts[phase] = self._attempts.get(phase, 0) + 1
        self.spans.append(
            Phase(
                name=phase, start=start, end=end, source="client", resolution=0.0, attempt=attempt
            )
        )

    def start_over(self) -> None:
        """What was seen of the containers so far is of a group that is gone."""
        self.submitted = self.accepted = self.addressed = self.ready = None
        self.services.clear()
        self._open.clear()
        self._told.clear()

    def news(self) -> Flow[None]:
        """Report the phases that ended elsewhere, each once, as they become known."""
        for phase in self._seen_phases():
            if (phase.name, phase.container) not in self._told:
                self._told.add((phase.name, phase.container))
                yield from _notify(
                    PhaseEvent(
                        name=phase.name,
                        status="finished",
                        at=self.elapsed(),
                        duration=phase.duration,
                        container=phase.container,
                    )
                )

    def note(self, detail: str) -> Flow[None]:
        """Say something about the phase that is under way."""
        yield from _notify(
            PhaseEvent(name=self.phase, status="progress", at=self.elapsed(), detail=detail)
        )

    def see_reply(self, reply: ArmReply, *, sent: float) -> None:
        """Learn from a reply's headers; ``sent`` is by :meth:`elapsed`."""
        self.same_clock = self.same_clock or TIMES_HEADER in reply.headers
        date = reply.headers.get("date")
        if date is None:
            return
        try:
            stamp = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        self.offset.see(
            stamp,
            sent=self.began_wall + sent,
            received=self.began_wall + self.elapsed(),
        )

    def see_state(self, state: GroupState, headers: Mapping[str, str]) -> None:
        """Learn what the service reports of its containers."""
        exact = _exact_times(headers)
        for status in state.containers:
            events = {event.name: event.first for event in reversed(status.events)}
            first = status.previous if status.restart_count == 1 else None
            begun = (first or status.current) if status.restart_count <= 1 else None
            times = ServiceTimes(
                pulling=events.get("Pulling"),
                pulled=events.get("Pulled"),
                started=(begun.started_at if begun is not None else None) or events.get("Started"),
                finished=status.current.finished_at if status.current is not None else None,
            )
            if status.name in exact:
                known = exact[status.name]
                times = ServiceTimes(
                    pulling=known.get("pulling", times.pulling),
                    pulled=known.get("pulled", times.pulled),
                    started=known.get("started", times.started),
                    finished=times.finished,
                    event_resolution=STATE_RESOLUTION,
                )
            if times != ServiceTimes():
                self.services[status.name] = times

    def see_address(self, *, unseen_since: float) -> None:
        """The address was seen for the first time; ``unseen_since``: when one last looked."""
        self.addressed = self.elapsed()
        self.address_resolution = max(0.0, self.addressed - unseen_since)

    def see_ready(self, *, resolution: float) -> None:
        """It serves."""
        self.ready = self.elapsed()
        self.ready_resolution = resolution

    @property
    def incomplete(self) -> bool:
        """Whether the service has not reported all there is to report of each container."""
        return not self.services or any(
            None in (times.pulling, times.pulled, times.started) for times in self.services.values()
        )

    def close(self) -> None:
        """The launch is over: the total stands, and a phase that was under way ends here."""
        if self._ended is None:
            self._ended = self.elapsed()
            for phase, start in self._open.items():
                began = self._serving_from() if phase == "ready" else start
                self._measured(phase, min(began, self._ended), self._ended)

    # --- the timeline ---------------------------------------------------------------------

    def timeline(self) -> Timeline:
        """All phases so far."""
        total = self.elapsed() if self._ended is None else self._ended
        phases = [*self.spans, *self._seen_phases()]
        if self.accepted is not None and self.ready is not None:
            phases.append(
                Phase(
                    name="ready",
                    start=min(self._serving_from(), self.ready),
                    end=self.ready,
                    source="client",
                    resolution=self.ready_resolution,
                )
            )
        return Timeline(
            phases=tuple(sorted(phases, key=lambda phase: (phase.start, phase.end))),
            started_at=self.began_wall,
            total=total,
            target=self.target,
            title=self.title,
        )

    def _seen_phases(self) -> Iterator[Phase]:
        """What was not done by this process, but seen by it."""
        yield from self._service_phases()
        if self.accepted is not None and self.addressed is not None:
            yield Phase(
                name="address",
                start=self.accepted,
                end=self.addressed,
                source="client",
                resolution=self.address_resolution,
            )

    def _local(self, stamp: float) -> float:
        """A time of the service, in seconds from the call."""
        offset = 0.0 if self.same_clock else self.offset.value
        return max(0.0, stamp - offset - self.began_wall)

    def _serving_from(self) -> float:
        """When the last container had started, or when the PUT was accepted."""
        accepted = self.accepted or 0.0
        started = [self._local(t.started) for t in self.services.values() if t.started is not None]
        return max([accepted, *started])

    def _service_phases(self) -> Iterator[Phase]:
        if self.accepted is None:
            return
        several = len(self.services) > 1
        blur = 0.0 if self.same_clock else self.offset.uncertainty
        pulls = [times for times in self.services.values() if times.pulling is not None]
        if pulls:
            first = min(pulls, key=lambda times: times.pulling or 0.0)
            first_pull = self._local(first.pulling or 0.0)
            begun = min(self.accepted, first_pull)
            yield from self._span("schedule", begun, first_pull, first, blur, None)
        for name, times in self.services.items():
            container = name if several else None
            pulling = None if times.pulling is None else self._local(times.pulling)
            pulled = None if times.pulled is None else self._local(times.pulled)
            started = None if times.started is None else self._local(times.started)
            if pulling is not None and pulled is not None:
                yield from self._span("pull", pulling, pulled, times, blur, container)
            if pulled is not None and started is not None:
                yield from self._span("start", pulled, started, times, blur, container)
            if started is not None and times.finished is not None:
                end = self._local(times.finished)
                yield from self._span("run", started, end, times, blur, container)

    def _span(
        self,
        name: str,
        start: float,
        end: float,
        times: ServiceTimes,
        blur: float,
        container: str | None,
    ) -> Iterator[Phase]:
        # A service may be at work before its reply to the PUT has come.
        known = (self.accepted if self.submitted is None else self.submitted) or 0.0
        resolution = times.event_resolution + blur
        if end < known - resolution:
            return  # it was adopted, and this was before our time
        # Events are cut to whole seconds and may be listed in any order: never end before the start,
        # and never begin before the service knew of the group.
        start = max(start, known)
        yield Phase(
            name=name,
            start=start,
            end=max(start, end),
            source="service",
            resolution=resolution,
            container=container,
        )


def _exact_times(headers: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """The local endpoint's one addition to ACI: when things happened, to the microsecond."""
    if TIMES_HEADER not in headers:
        return {}
    containers: dict[str, dict[str, float]] = json.loads(headers[TIMES_HEADER])["containers"]
    return containers


def _notify(event: PhaseEvent) -> Flow[None]:
    yield Start(Notify(event=event))
