"""Times as ARM and ACI write them, always UTC, from seconds since the epoch."""

from __future__ import annotations

import time


__all__ = ["http_date", "milliseconds", "ticks", "whole_seconds"]


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def whole_seconds(at: float) -> str:
    """``2023-05-05T00:15:56Z``: events."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def milliseconds(at: float) -> str:
    """``2023-05-05T00:15:56.437Z``: container states since 2021; without zeros at the end."""
    thousandths = round(at * 1000)
    seconds, rest = divmod(thousandths, 1000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return text + f".{rest:03d}".rstrip("0").rstrip(".") + "Z"


def ticks(at: float) -> str:
    """
    ``2023-05-05T00:15:33.4566364Z``: an operation's start, in units of 100 ns.

    Without zeros at the end (recorded: ``2023-02-24T00:49:32.47798Z``).
    """
    whole = int(at)
    rest = min(int((at - whole) * 10_000_000), 9_999_999)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return text + f".{rest:07d}".rstrip("0").rstrip(".") + "Z"


def http_date(at: float) -> str:
    """``Fri, 05 May 2023 00:15:35 GMT``, in any locale."""
    t = time.gmtime(at)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} GMT"
    )
