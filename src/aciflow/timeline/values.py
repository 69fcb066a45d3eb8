"""Phases, timelines, and what is reported while a launch runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from attrs import field, frozen


__all__ = ["Phase", "PhaseEvent", "Timeline"]


@frozen
class Phase:
    """
    One stretch of a launch.

    Attributes:
        name: ``auth``, ``register``, ``resource_group``, ``submit``, ``schedule``, ``pull``, ``start``,
            ``address``, ``ready``, or ``delete``.
        start: Seconds after the timeline's ``started_at``.
        end: The same for its end.
        source: Who measured it: this process (``client``) or the service (``service``).
        resolution: How exact it is, in seconds: Azure's events are cut to whole seconds, so 1.0 there.
        container: The container it is about; ``None`` where it is about the whole group.
        attempt: 1, and more where the same thing was done again.
    """

    name: str
    start: float
    end: float
    source: Literal["client", "service"]
    resolution: float = 0.0
    container: str | None = None
    attempt: int = 1

    @property
    def duration(self) -> float:
        """Seconds it took; 0 where times of different clocks put the end before the start."""
        return max(0.0, self.end - self.start)

    @property
    def label(self) -> str:
        """Name, container and attempt in one string for people: ``pull #2 (web)``."""
        container = "" if self.container is None else f" ({self.container})"
        attempt = f" #{self.attempt}" if self.attempt > 1 else ""
        return self.name + attempt + container

    def to_dict(self) -> dict[str, Any]:
        """JSON of this phase; ``duration`` is there for readers, and ignored on the way back."""
        return {
            "name": self.name,
            "start": self.start,
            "end": self.end,
            "duration": self.duration,
            "source": self.source,
            "resolution": self.resolution,
            "container": self.container,
            "attempt": self.attempt,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Phase:
        """
        The reverse of :meth:`to_dict`.

        Raises:
            KeyError: ``name``, ``start``, ``end`` or ``source`` is missing.
        """
        return cls(
            name=data["name"],
            start=data["start"],
            end=data["end"],
            source=data["source"],
            resolution=data.get("resolution", 0.0),
            container=data.get("container"),
            attempt=data.get("attempt", 1),
        )


@frozen(kw_only=True)
class PhaseEvent:
    """
    What ``on_phase`` is told while a launch runs.

    Attributes:
        name: The phase, as in :class:`Phase`.
        status: ``started``, ``progress`` (the same phase, with a new ``detail``) or ``finished``.
        at: Seconds after the call.
        duration: Seconds it took, once it has finished.
        container: The container it is about; ``None`` where it is about the whole group.
        detail: One line for people; may be empty.
    """

    name: str
    status: Literal["started", "finished", "progress"]
    at: float
    duration: float | None = None
    container: str | None = None
    detail: str = ""


def _tuple(phases: Iterable[Phase]) -> tuple[Phase, ...]:
    return tuple(phases)


@frozen(kw_only=True)
class Timeline:
    """
    The phases of one launch, and how long all of it took.

    What the service did not report is absent, never zero. Phases may overlap; time that belongs to none
    is :attr:`unaccounted`.

    Attributes:
        phases: In the order of their start.
        started_at: Seconds since the epoch, by this machine's clock, of the call.
        total: Seconds from the call to its end.
        target: Where it ran, in words: ``local engine, not Azure``; empty for Azure itself.
        title: What was launched.
    """

    phases: tuple[Phase, ...] = field(default=(), converter=_tuple)
    started_at: float = 0.0
    total: float = 0.0
    target: str = ""
    title: str = ""

    def __getitem__(self, name: str) -> Phase:
        """
        The first phase of that name.

        Raises:
            KeyError: There is none; nobody reported it.
        """
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(phase.name == name for phase in self.phases)

    def __iter__(self) -> Iterator[Phase]:
        return iter(self.phases)

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Stretches between 0 and ``total`` that no phase covers, as (start, end) in seconds."""
        found: list[tuple[float, float]] = []
        reached = 0.0
        for phase in sorted(self.phases, key=lambda phase: phase.start):
            if phase.start > reached:
                found.append((reached, min(phase.start, self.total)))
            reached = max(reached, phase.start, phase.end)
        found.append((reached, self.total))
        return tuple((start, end) for start, end in found if end > start)

    @property
    def unaccounted(self) -> float:
        """Seconds of ``total`` that belong to no phase."""
        return sum(end - start for start, end in self.gaps)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        from aciflow.timeline.picture import html

        return html(self)

    def to_text(self, *, width: int = 80, unicode: bool = True) -> str:
        """
        The waterfall for a terminal; ``str()`` is this with the defaults.

        Args:
            width: Columns that no line exceeds; at least 72.
            unicode: Block characters; ``False`` draws in ASCII, for a terminal that knows no other.
        """
        from aciflow.timeline.text import waterfall

        return waterfall(self, width=width, unicode=unicode)

    def to_svg(self) -> str:
        """The waterfall as a picture: one self-contained SVG document."""
        from aciflow.timeline.picture import svg

        return svg(self)

    def to_chrome_trace(self) -> dict[str, Any]:
        """
        The phases in Chrome's trace event format, for ``chrome://tracing`` and ui.perfetto.dev.

        Save it with :func:`json.dump`. Times are microseconds since the epoch.
        """
        from aciflow.timeline.trace import chrome_trace

        return chrome_trace(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON of it; ``unaccounted`` is there for readers, and ignored on the way back."""
        return {
            "title": self.title,
            "target": self.target,
            "started_at": self.started_at,
            "total": self.total,
            "unaccounted": self.unaccounted,
            "phases": [phase.to_dict() for phase in self.phases],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Timeline:
        """
        The reverse of :meth:`to_dict`.

        Raises:
            KeyError: A phase lacks ``name``, ``start``, ``end`` or ``source``.
        """
        phases: Iterable[Mapping[str, Any]] = data.get("phases", ())
        return cls(
            phases=tuple(Phase.from_dict(phase) for phase in phases),
            started_at=data.get("started_at", 0.0),
            total=data.get("total", 0.0),
            target=data.get("target", ""),
            title=data.get("title", ""),
        )

    def to_records(self) -> list[dict[str, Any]]:
        """One flat row a phase, for a data frame: the phase's fields, and whose timeline it is."""
        whole = {"title": self.title, "target": self.target, "started_at": self.started_at}
        return [phase.to_dict() | whole for phase in self.phases]
