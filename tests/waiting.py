"""Waiting for a condition: with a deadline that a loaded machine keeps, and no longer than needed."""

from __future__ import annotations

import time

from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], timeout: float = 30.0) -> Any:
    """Its first true value; fails after so many seconds."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found
