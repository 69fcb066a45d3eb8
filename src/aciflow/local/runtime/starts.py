"""
How long starts take: rows of a trace, or draws.

Where no traces are given, starts are drawn from a distribution that follows the figures of 63
recorded Linux starts outside a virtual network, 2021 to 2023 (median [quartiles], seconds): until
the pull begins 4 [4-5], pull 2 [1-6], from then to the container's start 9 [7-12]. One pull in ten
is of an image that takes half a minute or more. Nobody recorded how long after its start a
container serves, nor how long a job runs; what is drawn is what is assumed.
"""

from __future__ import annotations

import math
import random

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen


__all__ = ["Start", "Traces", "draw_job", "draw_serving_delay", "draw_start"]


Traces: TypeAlias = Sequence[Mapping[str, Any]] | Mapping[str, Any]


@frozen(kw_only=True)
class Start:
    """
    One start, in seconds after the group was accepted.

    Attributes:
        pulling: The pull begins.
        pulled: The image is there.
        started: The container's process runs.
        exits_after: Seconds after each start until it ends by itself, or ``None``.
        exit_code: With which code.
        pull_error: The image cannot be pulled, for this reason.
        logs: What it writes, all at its start.
        ready_after: Seconds after each start until its readiness probes succeed, whatever they do;
            ``None``: as soon as it serves.
        unhealthy_after: Seconds after each start from which its liveness probes fail, or ``None``.
    """

    pulling: float
    pulled: float
    started: float
    exits_after: float | None = None
    exit_code: int = 0
    pull_error: str | None = None
    logs: str = ""
    ready_after: float | None = None
    unhealthy_after: float | None = None

    @classmethod
    def from_trace(cls, trace: Mapping[str, Any]) -> Start:
        """A row of a trace file, and what may be added to it."""
        return cls(
            pulling=float(trace["pulling"]),
            pulled=float(trace["pulled"]),
            started=float(trace["started"]),
            exits_after=trace.get("exits_after"),
            exit_code=int(trace.get("exit_code", 0)),
            pull_error=trace.get("pull_error"),
            logs=str(trace.get("logs", "")),
            ready_after=trace.get("ready_after"),
            unhealthy_after=trace.get("unhealthy_after"),
        )


def draw_start(rng: random.Random) -> Start:
    """A start from the distribution that the module describes."""
    pulling = rng.lognormvariate(math.log(4.4), 0.28)
    slow = rng.random() < 0.1
    pull = (
        rng.lognormvariate(math.log(35.0), 0.7) if slow else rng.lognormvariate(math.log(2.4), 0.75)
    )
    begin = rng.lognormvariate(math.log(9.3), 0.4)
    return Start(pulling=pulling, pulled=pulling + pull, started=pulling + pull + begin)


def draw_serving_delay(rng: random.Random) -> float:
    """Seconds from a container's start to its first answer: log-normal, median 0.4, at most 5."""
    return min(rng.lognormvariate(math.log(0.4), 0.6), 5.0)


def draw_job(rng: random.Random) -> float:
    """Seconds that a job runs, where no trace says so: log-normal, median 5. Nobody recorded it."""
    return rng.lognormvariate(math.log(5.0), 0.6)
