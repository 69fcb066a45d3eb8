"""The waterfall for a terminal."""

from __future__ import annotations

import unicodedata

from typing import TYPE_CHECKING

from aciflow.timeline.layout import lay_out


if TYPE_CHECKING:
    from aciflow.timeline.layout import Row
    from aciflow.timeline.values import Timeline


_NARROWEST = 72
_SHORTEST_SCALE = 26
_GAP = "  "
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII = str.maketrans(
    dict.fromkeys("▏▎▍▌▋▊▉█▐▕", "#") | {"┄": ".", "─": "-", "·": "-", "±": "~", "…": "~"}
)


def waterfall(timeline: Timeline, *, width: int = 80, unicode: bool = True) -> str:
    """
    A heading, one line a phase with its bar, and the total.

    Args:
        timeline: What to draw.
        width: Columns that no line exceeds; at least 72.
        unicode: Block characters; ``False`` for ASCII.
    """
    width = max(_NARROWEST, width)
    layout = lay_out(timeline)
    every = layout.rows + layout.after
    starts = _column("start", [row.start for row in every])
    tooks = _column("took", [row.took for row in every] + [layout.total])
    sources = _column("measured by", [row.source for row in every])
    room = width - starts - tooks - sources - 4 * len(_GAP)
    labels = _column("phase", [row.label for row in every])
    labels = min(labels, max(width // 5, room - _SHORTEST_SCALE))
    scale = room - labels

    def line(label: str, start: str, took: str, bar: str, source: str) -> str:
        label = _fit(label, labels)
        cells = (
            label + " " * (labels - columns(label)),
            start.rjust(starts),
            took.rjust(tooks),
            bar.ljust(scale),
            source,
        )
        return _GAP.join(cells).rstrip()

    def drawn(row: Row) -> str:
        return line(row.label, row.start, row.took, _bars(row, scale), row.source)

    axis = f"0 {'─' * (scale - len(layout.total) - 3)} {layout.total}"
    lines = [line("phase", "start", "took", axis, "measured by")]
    lines += [drawn(row) for row in layout.rows]
    lines.append(line("total", "", layout.total, "", ""))
    lines += [
        line(row.label, row.start, row.took, "afterwards", row.source) for row in layout.after
    ]
    if layout.heading:
        lines.insert(0, _heading(layout.heading, width))
    text = "\n".join(lines)
    if unicode:
        return text
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")


def columns(text: str) -> int:
    """Columns that a printable text takes in a terminal."""
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _fit(text: str, room: int) -> str:
    """The text, cut at the end to ``room`` columns with an ellipsis."""
    if columns(text) <= room:
        return text
    while columns(text) > room - 1:
        text = text[:-1]
    return text + "…"


def _heading(parts: tuple[str, ...], width: int) -> str:
    """What ran where; a long title gives way, so that where it ran stays readable."""
    *title, last = parts
    last = _fit(last, width - 8)
    if not title:
        return last
    return f"{_fit(title[0], width - columns(last) - 3)} · {last}"


def _column(head: str, cells: list[str]) -> int:
    return max([len(head), *(columns(cell) for cell in cells)])


def _bars(row: Row, scale: int) -> str:
    cells = [" "] * scale
    for begin, end in row.bars:
        if row.kind == "gap":
            first, last = round(begin * scale), round(end * scale)
            cells[first:last] = "┄" * (last - first)
        else:
            _bar(cells, begin * scale, end * scale)
    return "".join(cells)


def _bar(cells: list[str], begin: float, end: float) -> None:
    """
    Draw from ``begin`` to ``end``, in cells.

    Characters filled from the left come in eighths, so the end is exact to that; of those filled
    from the right there is only the half. A bar is never invisible.
    """
    first = min(int(begin), len(cells) - 1)
    if end <= first + 1:
        # Within one cell: about its width, as near to its place as the characters allow.
        eighths = max(1, round((end - begin) * 8))
        late = begin - first >= 0.5
        cells[first] = _EIGHTHS[eighths] if not late else "▕" if eighths <= 2 else "▐"
        return
    cells[first] = "▐" if begin - first >= 0.5 else "█"
    last = int(end)
    cells[first + 1 : last] = "█" * (last - first - 1)
    rest = round((end - last) * 8)
    if rest:
        cells[last] = _EIGHTHS[rest]
