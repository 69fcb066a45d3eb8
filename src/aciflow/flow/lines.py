"""
New lines of a log that can only be read as a whole.

ACI's log operation has no "since": it returns everything, up to 4 MB while the container runs, and 16 KB
or 1,000 lines once it has stopped
(https://learn.microsoft.com/azure/container-instances/container-instances-resource-and-quota-limits).
Read with timestamps, what is new follows from what was seen before.
"""

from __future__ import annotations

import re

from datetime import datetime
from typing import TypeAlias

from attrs import define, field, frozen


__all__ = ["LogCursor", "LogLine"]


@frozen(kw_only=True)
class LogLine:
    """
    One line of a container's output.

    Attributes:
        text: Without its line end.
        at: Seconds since the epoch when the engine received it, or ``None`` where it said no time.
    """

    text: str
    at: float | None = None

    def __str__(self) -> str:
        return self.text


@define
class LogCursor:
    """
    How far a log has been read.

    As long as the log begins as it did, what is new is what comes after so many lines: the times of
    stdout and stderr need not be in order. Once its beginning is gone, what is new is what is later.

    Attributes:
        truncated: Whether lines were lost between two reads, or may have been before the first.
        asked: Whether it has been asked for at all, in vain or not.
    """

    truncated: bool = field(init=False, default=False)
    asked: bool = field(init=False, default=False)
    _seen: list[_Stamped] = field(init=False, factory=list)

    def feed(self, content: str, *, whole: bool = True) -> list[LogLine]:
        """
        The lines that were not seen before.

        Args:
            content: The whole log, each line with its RFC 3339 time.
            whole: Nothing more is written, so a last line without its line end is complete. Otherwise it
                is kept back, since the rest of it may be on its way.
        """
        lines = _stamped(content, whole=whole)
        if not lines:
            return []
        if _at_a_limit(content):
            if not lines[0][0] and lines[-1][0]:
                del lines[0]  # the end of a line whose beginning is gone
            if not self._seen:
                self.truncated = True  # nothing tells what came before
        new = lines[self._begin(lines) :]
        self._seen = lines
        return [LogLine(text=text, at=_epoch(stamp)) for stamp, text in new]

    def _begin(self, lines: list[_Stamped]) -> int:
        """Index of the first new line."""
        seen = self._seen
        if not seen:
            return 0
        if lines[: len(seen)] == seen:
            return len(seen)
        # The beginning is gone. Where what is left of the old lines ends, the new ones begin.
        for lost in range(1, len(seen)):
            if seen[lost] == lines[0] and lines[: len(seen) - lost] == seen[lost:]:
                return len(seen) - lost
        last = _key(seen[-1][0])
        if lines[-1][0] and _key(lines[-1][0]) <= last:
            return len(lines)  # an older reply, or the same one cut shorter
        self.truncated = True
        return next((i for i, (stamp, _) in enumerate(lines) if _key(stamp) > last), 0)


_STOPPED_LINES = 1000
_STOPPED_BYTES = 16 * 1024
_RUNNING_BYTES = 4 * 1024 * 1024


def _at_a_limit(content: str) -> bool:
    """A log of the very size at which the service cuts it; a character cut through is left out."""
    size = len(content.encode())
    return content.count("\n") == _STOPPED_LINES or any(
        limit - 3 <= size <= limit for limit in (_STOPPED_BYTES, _RUNNING_BYTES)
    )


_Stamped: TypeAlias = tuple[str, str]
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$", re.ASCII)


def _stamped(content: str, *, whole: bool) -> list[_Stamped]:
    """Each line with its time; a line without one belongs to the time of the line before."""
    *lines, rest = content.split("\n")  # not splitlines: a form feed ends no line
    if rest and whole:
        lines.append(rest)
    stamp = ""
    found: list[_Stamped] = []
    for line in lines:
        first, _, text = line.removesuffix("\r").partition(" ")
        if _TIME.match(first):
            stamp = first
        else:
            text = line.removesuffix("\r")
        found.append((stamp, text))
    return found


def _key(stamp: str) -> tuple[str, str]:
    """Sorts like time, within one zone: fractions have any number of digits."""
    match = _TIME.match(stamp)
    return (match[1], (match[2] or "").ljust(9, "0")) if match else ("", "")


def _epoch(stamp: str) -> float | None:
    match = _TIME.match(stamp)
    if match is None:
        return None
    zone = match[3].replace("Z", "+00:00")
    try:
        whole = datetime.fromisoformat(match[1] + zone).timestamp()
    except ValueError:
        return None
    return whole + float(f"0.{match[2] or 0}")
