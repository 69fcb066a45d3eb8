from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.flow.pace import AZURE, LOCAL, LogLogistic


times = st.floats(0.0, 1e6)


@given(times, st.sampled_from([AZURE, LOCAL, AZURE.sped_up(50.0)]))
def test_intervals_are_positive_and_bounded(since: float, pace: object) -> None:
    """Whatever the time, the next read comes, and not at once."""
    assert isinstance(pace, type(AZURE))
    assert pace.least <= pace.read_interval(since) <= pace.most
    assert pace.watch_least <= pace.watch_interval(since) <= pace.watch_most


@given(times, times)
def test_a_container_that_is_being_probed_is_read_less_and_less(a: float, b: float) -> None:
    """A start that takes long is in no hurry to fail."""
    assert AZURE.watch_interval(min(a, b)) <= AZURE.watch_interval(max(a, b))


def _reads(until: float) -> int:
    at, count = AZURE.first_read, 0
    while at <= until:
        count += 1
        at += AZURE.read_interval(at)
    return count


@given(st.floats(1.0, 600.0), st.floats(1.0, 600.0))
def test_a_longer_start_costs_more_reads_but_ever_fewer_a_second(a: float, b: float) -> None:
    """The budget of a launch grows with its time, and far slower than one read a second."""
    short, long = sorted((a, b))
    assert _reads(short) <= _reads(long)
    assert _reads(long) <= 1.5 * long + 2


def test_reads_are_closest_where_a_start_is_likeliest() -> None:
    """The hazard of a log-logistic start rises to a peak and falls."""
    intervals = [AZURE.read_interval(at) for at in (4.0, 20.0, 120.0)]
    assert intervals[1] < intervals[0]
    assert intervals[1] < intervals[2]


@given(st.floats(1.0, 100.0), st.floats(1.1, 10.0), st.floats(0.01, 1e4))
def test_a_hazard_is_density_over_survival(median: float, shape: float, t: float) -> None:
    """By the definition of both."""
    ratio = (t / median) ** shape
    density = shape / median * (t / median) ** (shape - 1) / (1 + ratio) ** 2
    survival = 1 / (1 + ratio)
    assert pytest.approx(density / survival) == LogLogistic(median, shape).hazard(t)


@given(st.floats(0.0, 1e4), st.floats(1.0, 1000.0))
def test_a_faster_service_is_asked_as_often_a_start(since: float, factor: float) -> None:
    """Intervals shrink with time itself."""
    fast = AZURE.sped_up(factor)
    assert pytest.approx(AZURE.read_interval(since)) == factor * fast.read_interval(since / factor)


def test_a_local_endpoint_has_no_budget() -> None:
    """Its pace has no distribution, sped up or not."""
    assert LOCAL.sped_up(2.0).starts is None
    assert pytest.approx(LOCAL.probe / 2) == LOCAL.sped_up(2.0).probe
