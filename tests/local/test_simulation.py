"""The simulation of ACI's timing: deterministic, and like what was recorded."""

from __future__ import annotations

import random
import statistics

import pytest

from aciflow.local import LocalAzure
from aciflow.local.protocol import (
    Closed,
    CloseSandbox,
    ContainerRun,
    OpenSandbox,
    PortSpec,
    PullImage,
    SandboxReady,
    StartContainer,
)
from aciflow.local.runtime.simulated import SimulatedRuntime
from aciflow.local.runtime.simulation import Simulation, draw_serving_delay, draw_start


def _open(uid: str = "u") -> OpenSandbox:
    return OpenSandbox(
        uid=uid, resource_id="/g", name="g", containers=1, ports=(PortSpec(port=80),)
    )


def _start(uid: str = "u", attempt: int = 0) -> StartContainer:
    return StartContainer(uid=uid, run=ContainerRun(name="c", image="i"), attempt=attempt)


def test_the_default_distribution_is_like_the_recorded_one() -> None:
    """Medians and quartiles of 2021-2023 Linux starts: 4 [4-5], 2 [1-6], 9 [7-12], 17 [15-22] s."""
    rng = random.Random(1)
    starts = [draw_start(rng) for _ in range(4000)]
    parts = {
        "pulling": [start.pulling for start in starts],
        "pull": [start.pulled - start.pulling for start in starts],
        "start": [start.started - start.pulled for start in starts],
        "all": [start.started for start in starts],
    }
    quartiles = {name: statistics.quantiles(values, n=4) for name, values in parts.items()}
    bounds = {
        "pulling": ((3.3, 4.5), (3.7, 5.0), (4.5, 6.0)),
        "pull": ((1.0, 2.2), (2.0, 3.5), (3.5, 7.0)),
        "start": ((6.0, 8.0), (8.5, 10.5), (11.0, 13.5)),
        "all": ((13.5, 16.0), (15.5, 19.0), (19.0, 25.0)),
    }

    for name, three in bounds.items():
        for found, (low, high) in zip(quartiles[name], three, strict=True):
            assert low <= found <= high, (name, quartiles[name])


def test_the_same_seed_gives_the_same_starts_in_any_order() -> None:
    """What a group gets depends on its number, not on what others do meanwhile."""

    def starts(simulation: Simulation, *, mixed: bool) -> list[float]:
        uids = [f"u{number}" for number in range(5)]
        found = []
        if mixed:
            for uid in uids:
                simulation.schedule(_open(uid), 0.0)
        for uid in uids:
            simulation.schedule(_open(uid), 0.0)
            found += [at for at, _ in simulation.schedule(_start(uid), 100.0)]
        return found

    first = starts(Simulation(seed=7), mixed=False)

    assert first == starts(Simulation(seed=7), mixed=True)
    assert first != starts(Simulation(seed=8), mixed=False)


def test_traces_are_taken_in_turn() -> None:
    """Each group gets the next row, and after the last the first again."""
    rows = [
        {"pulling": 1.0, "pulled": 2.0, "started": 3.0},
        {"pulling": 5.0, "pulled": 7.0, "started": 11.0},
    ]
    simulation = Simulation(traces=rows)
    seen = []
    for number in range(3):
        simulation.schedule(_open(str(number)), 100.0)
        pull = PullImage(uid=str(number), container="c", image="i")
        times = [at for at, _ in simulation.schedule(pull, 100.0)]
        starts = [at for at, _ in simulation.schedule(_start(str(number)), times[-1])]
        seen.append([*times, *starts])

    assert seen == [[101, 102, 103], [105, 107, 111], [101, 102, 103]]


def test_serving_begins_after_the_start_and_ends_with_the_group() -> None:
    """Only at the group's own address and ports, only while its container serves."""
    simulation = Simulation(traces=[{"pulling": 1, "pulled": 2, "started": 3}], serving_delay=0.5)
    ready = simulation.schedule(_open(), 0.0)[0][1]
    assert isinstance(ready, SandboxReady)
    ip = str(ready.ip)
    simulation.schedule(_start(), 2.0)

    assert [simulation.serving(ip, 80, at) for at in (3.0, 3.4, 3.6)] == [False, False, True]
    assert not simulation.serving(ip, 81, 4.0)
    assert not simulation.serving("198.18.9.9", 80, 4.0)
    assert simulation.served_since("u") == 3.5
    (closed,) = simulation.schedule(CloseSandbox(uid="u"), 5.0)
    assert not simulation.serving(ip, 80, 6.0)
    assert isinstance(closed[1], Closed)
    assert simulation.schedule(_start(), 6.0) == []
    assert simulation.schedule(CloseSandbox(uid="never"), 6.0)[0][0] == 6.0


def test_an_action_given_again_is_answered_again() -> None:
    """The same attempt is the same process."""
    simulation = Simulation(seed=1)
    first_open = simulation.schedule(_open(), 0.0)
    first = simulation.schedule(_start(), 10.0)

    assert first == simulation.schedule(_start(), 10.0)
    assert first_open == simulation.schedule(_open(), 0.0)
    assert first != simulation.schedule(_start(attempt=1), 10.0)


def test_serving_delays_are_short_and_never_negative() -> None:
    """Median about 0.4 s, at most 5 s."""
    rng = random.Random(3)
    delays = [draw_serving_delay(rng) for _ in range(2000)]

    assert 0.35 < statistics.median(delays) < 0.45
    assert 0 < min(delays)
    assert max(delays) <= 5


def test_speed_must_be_above_zero() -> None:
    """A clock that stands still would never answer."""
    with pytest.raises(ValueError, match="speed"):
        SimulatedRuntime(speed=0)


def test_a_job_ends_by_itself() -> None:
    """What is never restarted and serves nobody would otherwise run for ever."""
    with LocalAzure("simulated", speed=500) as local, local.client() as client:
        result = client.run("alpine", ["true"])
    assert 0 == result.exit_code


def test_a_document_of_traces_is_as_good_as_its_rows() -> None:
    """The trace file's own form, as it was loaded."""
    rows = [{"pulling": 1.0, "pulled": 2.0, "started": 3.0}]
    plain, document = Simulation(traces=rows), Simulation(traces={"starts": rows})
    for simulation in (plain, document):
        opened = OpenSandbox(uid="u", resource_id="/g", name="g", containers=1)
        assert [1.0] == [at for at, _ in simulation.schedule(opened, 0.0)]
