"""This machine's clock."""

from __future__ import annotations

import time


__all__ = ["SystemClock"]


class SystemClock:
    """Real time."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()
