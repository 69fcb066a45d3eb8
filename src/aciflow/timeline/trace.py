"""A timeline in Chrome's trace event format."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from typing import Any

    from aciflow.timeline.values import Phase, Timeline


def chrome_trace(timeline: Timeline) -> dict[str, Any]:
    """
    The JSON object format: complete events (``ph: X``), a track for each who measured what.

    Bars of one track may nest and may not cross, so phases that overlap get tracks of their own.

    Source: Google, "Trace Event Format",
    docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    tracks: list[tuple[str, float]] = []
    events: list[dict[str, Any]] = []
    for phase in sorted(timeline.phases, key=lambda phase: (phase.start, phase.end)):
        track = _track(tracks, phase)
        tracks[track] = (_who(phase), phase.start + phase.duration)
        events.append(
            {
                "name": phase.label,
                "cat": phase.source,
                "ph": "X",
                "ts": (timeline.started_at + phase.start) * 1e6,
                "dur": phase.duration * 1e6,
                "pid": 1,
                "tid": track + 1,
                "args": {"resolution_s": phase.resolution, "attempt": phase.attempt},
            }
        )
    names = [_name("process_name", 0, timeline.title or "aciflow")]
    names += [_name("thread_name", number + 1, who) for number, (who, _) in enumerate(tracks)]
    return {
        "traceEvents": names + events,
        "displayTimeUnit": "ms",
        "otherData": {"target": timeline.target, "total_s": timeline.total},
    }


def _who(phase: Phase) -> str:
    return phase.source if phase.container is None else f"{phase.source}: {phase.container}"


def _track(tracks: list[tuple[str, float]], phase: Phase) -> int:
    """The first track of the same kind that is free by then, or a new one."""
    for number, (who, free_at) in enumerate(tracks):
        if who == _who(phase) and free_at <= phase.start:
            return number
    tracks.append((_who(phase), phase.start))
    return len(tracks) - 1


def _name(kind: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}}
