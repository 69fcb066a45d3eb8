"""The few statistics that the benchmarks report. Nothing is trimmed, and every interval has a seed."""

from __future__ import annotations

import math
import random
import statistics

from collections.abc import Callable, Sequence

from attrs import frozen


__all__ = ["Interval", "bootstrap", "mean", "median", "percentile"]


@frozen(kw_only=True)
class Interval:
    """
    An estimate and how far to trust it.

    Attributes:
        median: The sample's.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    median: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """JSON of it."""
        return {"median": self.median, "low": self.low, "high": self.high}


def mean(values: Sequence[float]) -> float:
    """
    The arithmetic mean.

    Raises:
        ValueError: There are no values.
    """
    _some(values)
    return statistics.fmean(values)


def median(values: Sequence[float]) -> float:
    """
    The middle value, or the mean of the two in the middle.

    Raises:
        ValueError: There are no values.
    """
    _some(values)
    return float(statistics.median(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """
    The value below which ``percent`` percent lie, interpolated linearly between neighbours.

    Args:
        values: In any order.
        percent: 0 (the least) to 100 (the greatest).

    Raises:
        ValueError: There are no values, or ``percent`` is none.
    """
    _some(values)
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentile is between 0 and 100, not {percent}")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = median,
    *,
    rounds: int = 5000,
    seed: int = 0,
) -> Interval:
    """
    A 95 % percentile bootstrap interval (Efron, 1979).

    Args:
        values: The sample.
        statistic: Of what; the median unless given.
        rounds: Resamples.
        seed: The same seed gives the same interval.

    Raises:
        ValueError: There are no values.
    """
    _some(values)
    generator = random.Random(seed)
    found = [statistic(generator.choices(values, k=len(values))) for _ in range(rounds)]
    return Interval(
        median=statistic(values), low=percentile(found, 2.5), high=percentile(found, 97.5)
    )


def _some(values: Sequence[float]) -> None:
    if not values:
        raise ValueError("there are no values")
