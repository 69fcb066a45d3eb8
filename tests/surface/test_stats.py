"""The statistics that the benchmarks report."""

from __future__ import annotations

import random
import statistics

from collections.abc import Callable, Sequence

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.bench.stats import bootstrap, mean, median, percentile


samples = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=50)


@given(samples)
def test_median_is_the_fiftieth_percentile(values: list[float]) -> None:
    """Two ways to the middle agree."""
    assert percentile(values, 50) == pytest.approx(median(values))


@given(samples, st.floats(min_value=0, max_value=100))
def test_percentile_lies_within(values: list[float], percent: float) -> None:
    """A percentile is between the least and the greatest value."""
    slack = 1e-9 * max(map(abs, values))

    assert min(values) - slack <= percentile(values, percent) <= max(values) + slack


def test_percentile_interpolates() -> None:
    """Between two values a percentile lies on the line, as in statistics.quantiles (inclusive)."""
    values = [10.0, 20.0, 40.0, 80.0]

    assert percentile(values, 95) == pytest.approx(
        statistics.quantiles(values, n=100, method="inclusive")[94]
    )


@pytest.mark.parametrize("percent", [-1, 101])
def test_percentile_out_of_range(percent: float) -> None:
    """A percentile above 100 is a mistake."""
    with pytest.raises(ValueError, match="between 0 and 100"):
        percentile([1.0], percent)


@pytest.mark.parametrize(
    "statistic", [mean, median, bootstrap, lambda values: percentile(values, 1)]
)
def test_nothing_has_no_statistics(statistic: Callable[[Sequence[float]], object]) -> None:
    """Statistics of nothing are refused, not zero."""
    with pytest.raises(ValueError, match="no values"):
        statistic([])


def test_mean() -> None:
    """The mean is exact where a naive sum is not."""
    assert mean([0.1] * 10) == pytest.approx(0.1, abs=0)


def test_bootstrap_repeats_from_its_seed() -> None:
    """An interval can be computed again, by anybody."""
    values = [random.Random(1).gauss(0, 1) for _ in range(30)]

    assert bootstrap(values, seed=5) == bootstrap(values, seed=5)


def test_bootstrap_of_a_constant() -> None:
    """Values that do not vary have an interval of no width."""
    interval = bootstrap([1.25] * 8)

    assert interval.to_dict() == {"median": 1.25, "low": 1.25, "high": 1.25}


def test_bootstrap_covers() -> None:
    """The interval holds the true median about as often as it says."""
    generator = random.Random(7)
    trials = 200
    held = 0
    for trial in range(trials):
        interval = bootstrap([generator.gauss(10, 2) for _ in range(30)], rounds=200, seed=trial)
        held += interval.low <= 10 <= interval.high

    assert 0.88 <= held / trials <= 0.99
