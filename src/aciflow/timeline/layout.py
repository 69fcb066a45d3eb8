"""What every rendering of a timeline shows, before it is drawn: rows, words and places on the scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen


if TYPE_CHECKING:
    from aciflow.timeline.values import Phase, Timeline


UNACCOUNTED = "(unaccounted)"

# Below this a resolution is finer than anything that is read off a waterfall.
_WORTH_SAYING = 0.01


@frozen(kw_only=True)
class Row:
    """
    One line of a waterfall.

    Attributes:
        label: Its name.
        start: When it began as words; empty for time that has several beginnings.
        took: How long, as words.
        source: Who measured it, and how exactly.
        bars: What to draw, each (from, to) as fractions of the whole.
        blur: Fraction of the whole by which the ends may be wrong.
        kind: ``client``, ``service`` or ``gap``.
    """

    label: str
    start: str
    took: str
    source: str
    bars: tuple[tuple[float, float], ...]
    blur: float
    kind: str


@frozen(kw_only=True)
class Layout:
    """
    A timeline as rows.

    Attributes:
        heading: What ran where.
        rows: On the scale, in the order of their start, what is unaccounted last.
        after: Began when the launch had ended (``delete``), so off the scale.
        total: The scale's end, as words.
    """

    heading: tuple[str, ...]
    rows: tuple[Row, ...]
    after: tuple[Row, ...]
    total: str


def clean(text: str) -> str:
    """The text in one line: what a terminal or XML could not print becomes a replacement character."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def digits_for(total: float) -> int:
    """Decimals that give about three significant digits on a scale of ``total`` seconds."""
    return 3 if total < 1 else 2 if total < 10 else 1 if total < 1000 else 0


def seconds(value: float, digits: int) -> str:
    """``1.23 s``; never minus zero, and short however large."""
    if abs(value) >= 1e6:
        return f"{value:.0e} s"
    return f"{round(value, digits) + 0.0:.{digits}f} s"


def resolution(value: float) -> str:
    """``±1 s``, ``±50 ms``, or nothing where it is too fine to matter."""
    if value < _WORTH_SAYING:
        return ""
    return (
        f"±{value * 1000:.0f} ms"
        if value < 0.9995
        else f"±{seconds(value, 0 if value >= 10 else 1).replace('.0 ', ' ')}"
    )


def fraction(value: float, total: float) -> float:
    """Where ``value`` lies between 0 and ``total``; 0 and 1 for what lies outside."""
    if value <= 0 or total <= 0:
        return 0.0
    return 1.0 if value >= total else value / total


def lay_out(timeline: Timeline) -> Layout:
    """Rows of a timeline."""
    total = timeline.total
    digits = digits_for(total)
    phases = sorted(timeline.phases, key=lambda phase: (phase.start, phase.end))
    rows = [_row(phase, total, digits) for phase in phases if not _after(phase, total)]
    gaps = timeline.gaps
    if round(timeline.unaccounted, digits) > 0:
        rows.append(
            Row(
                label=UNACCOUNTED,
                start="",
                took=seconds(timeline.unaccounted, digits),
                source="",
                bars=tuple((fraction(start, total), fraction(end, total)) for start, end in gaps),
                blur=0.0,
                kind="gap",
            )
        )
    return Layout(
        heading=tuple(clean(part) for part in (timeline.title, timeline.target) if part),
        rows=tuple(rows),
        after=tuple(_row(phase, total, digits) for phase in phases if _after(phase, total)),
        total=seconds(total, digits),
    )


def _after(phase: Phase, total: float) -> bool:
    return phase.start >= total and phase.end > total


def _row(phase: Phase, total: float, digits: int) -> Row:
    return Row(
        label=clean(phase.label),
        start=seconds(phase.start, digits),
        took=seconds(phase.duration, digits),
        source=f"{phase.source} {resolution(phase.resolution)}".rstrip(),
        bars=((fraction(phase.start, total), fraction(phase.start + phase.duration, total)),),
        blur=fraction(phase.resolution, total),
        kind=phase.source,
    )
