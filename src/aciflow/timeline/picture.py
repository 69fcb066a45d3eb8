"""The waterfall as a picture, for a notebook and for a web page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from aciflow.timeline.layout import lay_out, seconds


if TYPE_CHECKING:
    from collections.abc import Iterator

    from aciflow.timeline.layout import Layout, Row
    from aciflow.timeline.values import Timeline


_WIDTH = 800
_MARGIN = 12
_ROW = 24
_BAR = 13
# A character of the font below is about this wide on average; there is no other way to know in an SVG.
_CHAR = 6.7
_LONGEST_LABEL = 30
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
# Okabe and Ito's blue and orange: told apart by everyone, and readable on white and on black.
_COLOURS = {"client": "#0072b2", "service": "#d98200", "gap": "#8a8f98"}
_STANDALONE = (
    "<style>.aciflow-timeline{color:#1f2328;background:#fff}"
    "@media (prefers-color-scheme: dark){.aciflow-timeline{color:#e6edf3;background:#0d1117}}</style>"
)


def svg(timeline: Timeline) -> str:
    """One document, light or dark as the viewer is."""
    return _document(timeline, style=_STANDALONE)


def html(timeline: Timeline) -> str:
    """The same for a notebook's page, whose colours it takes."""
    return f'<div class="aciflow-timeline-cell">{_document(timeline, style="")}</div>'


def _document(timeline: Timeline, *, style: str) -> str:
    layout = lay_out(timeline)
    every = layout.rows + layout.after
    longest = max([5, *(len(row.label) for row in every)])
    left = _MARGIN + _CHAR * min(longest, _LONGEST_LABEL) + 8
    place = _Place(left=left + 130, right=_WIDTH - 130)
    body = [
        *_heading(layout),
        *_axis(place, timeline.total, len(layout.rows), bool(layout.heading)),
    ]
    top = 2 * _ROW if layout.heading else _ROW
    for number, row in enumerate(every):
        # One line lower where the total stands between them.
        line = number + (number >= len(layout.rows))
        body += _row(row, place, top + line * _ROW, after=number >= len(layout.rows))
    body += _total(layout, place, top + len(layout.rows) * _ROW)
    height = top + (len(every) + 1) * _ROW + _MARGIN
    said = escape(" · ".join((*layout.heading, f"{layout.total} in all")))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="aciflow-timeline" role="img"'
        f' aria-label="Timeline: {said}" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
        f' height="{height}" style="max-width:100%;height:auto" font-family="{_FONT}" font-size="12"'
        f' fill="currentColor">{style}{"".join(body)}</svg>'
    )


class _Place:
    """Where the scale is, in pixels."""

    def __init__(self, *, left: float, right: float) -> None:
        self.left = left
        self.right = right

    def at(self, fraction: float) -> float:
        return self.left + min(1.0, max(0.0, fraction)) * (self.right - self.left)


def _heading(layout: Layout) -> Iterator[str]:
    if layout.heading:
        title = escape(" · ".join(layout.heading))
        yield _text(_MARGIN, _ROW * 0.85, title, extra='font-weight="600" font-size="13"')


def _axis(place: _Place, total: float, rows: int, headed: bool) -> Iterator[str]:
    """Fine lines at round times."""
    top = 2 * _ROW if headed else _ROW
    step = _round_step(total)
    for number in range(int(total / step) + 1 if step else 1):
        x = place.at(number * step / total if total > 0 else 0.0)
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{top + rows * _ROW}"'
            ' stroke="currentColor" stroke-opacity="0.15"/>'
        )
        yield _text(
            x,
            top - 9,
            _tick(number * step),
            extra='text-anchor="middle" font-size="10" opacity="0.65"',
        )


def _tick(value: float) -> str:
    return f"{value:.3g} s" if value < 1000 else seconds(value, 0)


def _round_step(total: float) -> float:
    """1, 2 or 5 times a power of ten, the first of which at most five make the total; 0 without one."""
    if total < 1e-6:
        return 0.0
    power = 1e-7
    while total / power > 50:
        power *= 10
    return power * next(factor for factor in (1, 2, 5, 10) if total / power / factor <= 5)


def _row(row: Row, place: _Place, y: float, *, after: bool) -> Iterator[str]:
    middle = y + _ROW / 2 + 4
    label = row.label if len(row.label) <= _LONGEST_LABEL else row.label[: _LONGEST_LABEL - 1] + "…"
    tip = " · ".join(part for part in (row.label, row.start, row.took, row.source) if part)
    yield f"<g><title>{escape(tip)}</title>"
    yield _text(_MARGIN, middle, escape(label))
    yield from _numbers(place, middle, row.start, row.took)
    if after:
        yield _text(place.left, middle, "afterwards", extra='opacity="0.65"')
    else:
        for begin, end in row.bars:
            yield from _bar(row, place, y + (_ROW - _BAR) / 2, begin, end)
    yield _text(place.right + 14, middle, escape(row.source), extra='opacity="0.75"')
    yield "</g>"


def _bar(row: Row, place: _Place, y: float, begin: float, end: float) -> Iterator[str]:
    colour = _COLOURS[row.kind]
    left, right = place.at(begin), place.at(end)
    if row.kind == "gap":
        yield (
            f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}" height="{_BAR}" fill="none"'
            f' stroke="{colour}" stroke-dasharray="2 2"/>'
        )
        return
    # How far the ends may be off: a paler bar behind.
    early, late = place.at(begin - row.blur), place.at(end + row.blur)
    if row.blur * (place.right - place.left) >= 1:
        yield (
            f'<rect x="{early:.1f}" y="{y + 4:.1f}" width="{late - early:.1f}" height="{_BAR - 8}"'
            f' fill="{colour}" opacity="0.35"/>'
        )
    width = max(1.5, right - left)
    yield (
        f'<rect x="{min(left, place.right - 1.5):.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BAR}"'
        f' rx="2" fill="{colour}"/>'
    )


def _numbers(place: _Place, y: float, start: str, took: str) -> Iterator[str]:
    numbers = 'text-anchor="end" font-variant-numeric="tabular-nums"'
    if start:
        yield _text(place.left - 76, y, start, extra=f'{numbers} opacity="0.65"')
    yield _text(place.left - 14, y, took, extra=numbers)


def _total(layout: Layout, place: _Place, y: float) -> Iterator[str]:
    middle = y + _ROW / 2 + 4
    yield '<g font-weight="600">'
    yield _text(_MARGIN, middle, "total")
    yield from _numbers(place, middle, "", layout.total)
    yield "</g>"


def _text(x: float, y: float, text: str, *, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {extra}>{text}</text>'
