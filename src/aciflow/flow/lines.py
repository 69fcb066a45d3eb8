"""
New lines of a log that can only be read as a whole.

ACI's log operation has no "since": it returns everything, up to 4 MB while the container runs, and 16 KB
or 1,000 lines once it has stopped
(https://learn.microsoft.com/azure/container-instances/container-instances-resource-and-quota-limits).
Read with timestamps, what is new follows from the time of the last line that was seen.
"""

from __future__ import annotations

from datetime import datetime

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

    Attributes:
        truncated: Whether lines were lost between two reads.
    """

    truncated: bool = field(init=False, default=False)
    _last: str = field(init=False, default="")
    _seen_at_last: int = field(init=False, default=0)

    def feed(self, content: str) -> list[LogLine]:
        """
        The lines that were not seen before.

        Args:
            content: The whole log, each line with its RFC 3339 time.
        """
        stamped = _stamped(content)
        if not stamped:
            return []
        if self._last and _key(stamped[0][0]) > _key(self._last):
            self.truncated = True
        at_last = 0
        new: list[LogLine] = []
        for stamp, text in stamped:
            if _key(stamp) < _key(self._last):
                continue
            if stamp == self._last:
                at_last += 1
                if at_last <= self._seen_at_last:
                    continue
            new.append(LogLine(text=text, at=_epoch(stamp)))
        last = stamped[-1][0]
        if _key(last) >= _key(self._last):
            self._last = last
            self._seen_at_last = sum(1 for stamp, _ in stamped if stamp == last)
        return new


def _stamped(content: str) -> list[tuple[str, str]]:
    """Each line with its time; a line without one belongs to the time of the line before."""
    stamp = ""
    lines: list[tuple[str, str]] = []
    for line in content.splitlines():
        first, _, rest = line.partition(" ")
        if _epoch(first) is not None:
            stamp = first
            lines.append((stamp, rest))
        else:
            lines.append((stamp, line))
    return lines


def _key(stamp: str) -> tuple[str, str]:
    """Sorts like time: fractions have any number of digits, and a Z sorts after them."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def _epoch(stamp: str) -> float | None:
    if len(stamp) < len("2026-01-01T00:00:00Z") or stamp[10:11] != "T":
        return None
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00").timestamp()
    except ValueError:
        return None
