"""
Many launches at once against a simulated ACI that loses requests and replies, and is interrupted.

60 by default; ``ACIFLOW_SIM_LAUNCHES=10000`` (the session ``full`` of nox) for more. The settings of the
environment are read when this module is loaded, since tests see none of aciflow's own.
"""

from __future__ import annotations

import os
import random

from collections import Counter
from functools import partial
from typing import Any

import pytest

from tests.flow.kit import request, with_home

from aciflow.drivers.simulated import Process
from aciflow.errors import AciflowError
from aciflow.flow.launch import Launched, launch
from aciflow.flow.pace import AZURE
from aciflow.model import spec_from_image
from aciflow.ready import Ready
from aciflow.testing.simulator import Faults, Simulator


LAUNCHES = int(os.environ.get("ACIFLOW_SIM_LAUNCHES", "60"))
BATCH = 50
TRACES: list[dict[str, Any]] = [
    {"pulling": 4, "pulled": 6, "started": 15},
    {"pulling": 5, "pulled": 40, "started": 60},
    {"pulling": 4, "pulled": 5, "started": 9, "exits_after": 2.0, "exit_code": 3, "logs": "oh\n"},
    {"pulling": 4, "pulled": 6, "started": 15, "pull_error": "no such manifest"},
]


class Outcome:
    """One batch of launches, and what is left in the end."""

    def __init__(self, seed: int, count: int, share: float) -> None:
        rng = random.Random(seed)
        self.simulator = with_home(Simulator(traces=TRACES, seed=seed))
        self.simulator.faults = Faults.rate(share)
        world = self.simulator.world
        self.launches: list[Process[Launched]] = []
        for number in range(count):
            wanted = request(
                launch_id=f"l{number}",
                spec=spec_from_image("nginx", name=f"g{number}", public_ip=True, new_name=str),
                ready=rng.choice([Ready.tcp(80), Ready.running(), Ready.http() & Ready.running()]),
                on_failure=rng.choice(["delete", "delete", "keep"]),
                wait=rng.random() < 0.8,
                pace=AZURE,
            )
            process = self.simulator.start(partial(launch, request=wanted))
            self.launches.append(process)
            for _ in range(rng.choice([0, 0, 1, 1, 2])):
                at = rng.uniform(0.0, 60.0)
                world.at(at, partial(process.interrupt, KeyboardInterrupt()))
        world.run_until(lambda: all(process.ended for process in self.launches))
        world.advance(600.0)  # whatever was late has come by now

    @property
    def existing(self) -> set[str]:
        """Names of the container groups that exist."""
        return {group.rpartition("/")[2] for group in self.simulator.groups()}

    def accounted(self, number: int) -> bool:
        """Whether the caller of a launch, or its ledger, knows that its group may exist."""
        process = self.launches[number]
        leftovers: tuple[Any, ...] = ()
        if isinstance(process.error, AciflowError):
            leftovers = process.error.leftovers
        return process.error is None or bool(leftovers) or f"l{number}" in self.simulator.ledger

    def history(self) -> Any:
        """All that can be compared between two runs."""
        ends = [(p.ended_at, repr(p.error), len(p.events)) for p in self.launches]
        return ends, sorted(self.existing), sorted(self.simulator.ledger), self.simulator.counts


def _batches() -> list[tuple[int, int]]:
    return [
        (seed, min(BATCH, LAUNCHES - done)) for seed, done in enumerate(range(0, LAUNCHES, BATCH))
    ]


@pytest.mark.timeout(3600 if LAUNCHES > 1000 else 120)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_nothing_is_left_that_nobody_knows_of(share: float) -> None:
    """Every group that exists was returned, is in an error's leftovers or on record."""
    ends: Counter[str] = Counter()
    for seed, count in _batches():
        outcome = Outcome(seed, count, share)
        unknown = {name for name in outcome.existing if not outcome.accounted(int(name[1:]))}
        assert set() == unknown
        for number, process in enumerate(outcome.launches):
            assert isinstance(process.error, AciflowError | KeyboardInterrupt | None)
            if process.error is None:
                assert f"g{number}" in outcome.existing
            ends[type(process.error).__name__] += 1
    # Otherwise this would have tested less than it says.
    assert {"NoneType", "KeyboardInterrupt", "ImagePullError"} <= set(ends)
    assert {"ContainerExitedError", "CrashLoopError"} & set(ends)


def test_a_record_is_kept_only_where_something_may_be_left() -> None:
    """Without faults and second interruptions, exactly where something is."""
    simulator = with_home(Simulator(traces=TRACES, seed=1))
    processes = []
    for number in range(20):
        wanted = request(
            launch_id=f"g{number}",
            spec=spec_from_image("nginx", name=f"g{number}", public_ip=True, new_name=str),
        )
        process = simulator.start(partial(launch, request=wanted))
        processes.append(process)
        if number % 5 == 4:
            at = number * 1.7
            simulator.world.at(at, partial(process.interrupt, KeyboardInterrupt()))
    simulator.world.run_until(lambda: all(process.ended for process in processes))
    existing = {group.rpartition("/")[2] for group in simulator.groups()}
    assert existing == set(simulator.ledger)
    assert 0 < len(existing) < 20


def test_the_same_seed_gives_the_same_run() -> None:
    """To the last event, so that a failure can be looked into."""
    first, second = (Outcome(7, 20, 0.1).history() for _ in range(2))
    assert first == second
    assert first != Outcome(8, 20, 0.1).history()
