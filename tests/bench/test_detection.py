from __future__ import annotations

import json
import random

from pathlib import Path
from typing import Any

import pytest

from aciflow.bench.detection import CASES, CLIENTS, measure, render, replay
from aciflow.local.runtime.starts import draw_start
from aciflow.testing.simulator import Counts, Network


# Mean lateness in seconds, and mean ARM reads a launch.
BARS = {"ip-early": (0.5, 12.0), "ip-late": (0.8, 18.0)}


def _drawn(seed: int, count: int) -> list[dict[str, float]]:
    """Starts of the simulation's own distribution, which the policy was not fitted to."""
    rng = random.Random(seed)
    starts = [draw_start(rng) for _ in range(count)]
    return [{"pulling": s.pulling, "pulled": s.pulled, "started": s.started} for s in starts]


def _samples(traces: Any, case: str, client: str = "aciflow") -> list[Any]:
    network = Network()
    return [
        replay(trace, case=case, client=client, seed=i, network=network)
        for i, trace in enumerate(traces)
    ]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_bars_hold_for_starts_that_nobody_has_seen(case: str, seed: int) -> None:
    """Lateness, reads and probes, for 60 starts of another distribution than the recorded one."""
    lateness, reads = BARS[case]
    samples = _samples(_drawn(seed, 60), case)
    assert _mean([sample.lateness for sample in samples]) <= lateness
    assert _mean([sample.arm_reads for sample in samples]) <= reads
    assert max(sample.probes_a_second for sample in samples) <= 4
    assert not any(sample.early for sample in samples)


@pytest.mark.corpus
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("half", [0, 1])
def test_the_bars_hold_for_each_half_of_the_recorded_starts(
    case: str, half: int, corpus: Path
) -> None:
    """As measured, and not only on all of them together."""
    traces = json.loads((corpus / "traces" / "aci-starts.json").read_text())["starts"][half::2]
    lateness, reads = BARS[case]
    samples = _samples(traces, case)
    assert _mean([sample.lateness for sample in samples]) <= lateness
    assert _mean([sample.arm_reads for sample in samples]) <= reads
    assert max(sample.probes_a_second for sample in samples) <= 4


def test_the_pollers_are_the_sdks_own() -> None:
    """At its default it reads at 0, 30, 60 s; the caller learns of a start at 20 s ten seconds late."""
    trace = {"pulling": 4.0, "pulled": 6.0, "started": 20.0}
    network = Network()
    sample = replay(trace, case="ip-early", client="sdk-default", seed=0, network=network)
    assert 9.0 < sample.lateness < 10.5
    # The operation at 0 and at 30 s, and the group in the end.
    assert 3 == sample.arm_reads
    assert 0 == sample.probes
    often = replay(trace, case="ip-early", client="sdk-1s", seed=0, network=network)
    assert often.lateness < 1.2
    assert often.arm_reads > 15


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """A small run of everything."""
    said: list[str] = []
    result = measure(_drawn(5, 4), seed=3, progress=said.append)
    assert 8 == len(said)
    return result


def test_the_result_has_the_agreed_shape(measured: dict[str, Any]) -> None:
    """Other programs read it."""
    assert measured == json.loads(json.dumps(measured))
    assert ["ip-early", "ip-late"] == [case["case"] for case in measured["cases"]]
    for case in measured["cases"]:
        assert ["aciflow", "sdk-default", "sdk-5s", "sdk-1s"] == [
            row["client"] for row in case["clients"]
        ]
        for row in case["clients"]:
            assert {"mean", "median", "p95", "max"} <= set(row["lateness_s"])
            assert {"mean", "max"} <= set(row["arm_reads"])
            assert {"mean", "max"} <= set(row["probes"])


def test_the_same_seed_gives_the_same_result(measured: dict[str, Any]) -> None:
    """And another one another."""
    assert measured == measure(_drawn(5, 4), seed=3)
    assert measured != measure(_drawn(5, 4), seed=4)


def test_the_table_names_what_was_assumed(measured: dict[str, Any]) -> None:
    """A figure without its assumptions means nothing."""
    text = render(measured)
    for client in CLIENTS:
        assert 2 == sum(line.startswith(client + " ") for line in text.splitlines())
    assert "4 recorded starts" in text
    assert "seed 3" in text
    assert "ARM answers after 0.1 s" in text


def test_probes_within_a_second_are_counted_by_their_times() -> None:
    """Wherever that second begins."""
    assert 0 == Counts().most_probes_a_second
    assert 4 == Counts(probed_at=[0.0, 0.25, 0.5, 0.75, 1.0, 1.25]).most_probes_a_second
    assert 3 == Counts(probed_at=[0.0, 5.0, 5.9, 5.99, 6.0]).most_probes_a_second
