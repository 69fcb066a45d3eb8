"""The simulation of ACI's timing: deterministic, and like what was recorded."""

from __future__ import annotations

import queue
import random
import statistics
import threading
import time

import pytest

from tests.local.world import container, group

from aciflow import Ready
from aciflow.local import LocalAzure
from aciflow.local.protocol import (
    Closed,
    CloseSandbox,
    ContainerRun,
    ListImages,
    Observation,
    OpenSandbox,
    OpenTerminal,
    PortSpec,
    Probe,
    Probed,
    ProbeKind,
    PullImage,
    RunProbe,
    SandboxReady,
    StartContainer,
    Started,
)
from aciflow.local.runtime.simulated import SimulatedRuntime
from aciflow.local.runtime.simulation import Simulation
from aciflow.local.runtime.starts import draw_serving_delay, draw_start
from aciflow.model import from_arm


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


def _probe(kind: ProbeKind, probe: Probe, *, attempt: int = 0) -> RunProbe:
    return RunProbe(uid="u", container="c", kind=kind, probe=probe, attempt=attempt, number=4)


def _running(**trace: float) -> Simulation:
    row = {"pulling": 1.0, "pulled": 2.0, "started": 3.0, **trace}
    simulation = Simulation(traces=[row], serving_delay=5.0)
    simulation.schedule(_open(), 0.0)
    simulation.schedule(_start(), 2.0)  # runs from 3, serves from 8
    return simulation


def test_a_probe_is_answered_by_what_the_container_does() -> None:
    """HTTP once it serves, a command at once; with the number and the attempt that were asked for."""
    simulation = _running()
    http, command = Probe(port=9), Probe(command=("true",))

    def ok(probe: Probe, at: float) -> bool:
        [(when, seen)] = simulation.schedule(_probe("liveness", probe), at)
        assert isinstance(seen, Probed)
        assert (seen.number, seen.attempt, seen.at) == (4, 0, when)
        assert bool(seen.message) is not seen.ok
        assert when >= at
        return seen.ok

    assert [ok(http, at) for at in (4.0, 7.0, 9.0)] == [False, False, True]
    assert ok(command, 4.0)


def test_a_trace_says_when_probes_succeed_and_fail() -> None:
    """``ready_after`` is for readiness, ``unhealthy_after`` for liveness, each from the start on."""
    simulation = _running(ready_after=20.0, unhealthy_after=30.0)

    def ok(kind: ProbeKind, at: float) -> list[bool]:
        return [
            seen.ok
            for probe in (Probe(port=80), Probe(command=("true",)))
            for _, seen in simulation.schedule(_probe(kind, probe), at)
            if isinstance(seen, Probed)
        ]

    assert [ok("readiness", at) for at in (22.0, 24.0, 40.0)] == [
        [False] * 2,
        [True] * 2,
        [True] * 2,
    ]
    assert [ok("liveness", at) for at in (22.0, 32.0, 34.0)] == [
        [True] * 2,
        [True] * 2,
        [False] * 2,
    ]


def test_what_does_not_run_answers_no_probe() -> None:
    """Before its start, after its end, and for another attempt."""
    simulation = _running(exits_after=10.0)
    probe = Probe(command=("true",))

    assert simulation.schedule(_probe("liveness", probe), 2.5) == []
    assert simulation.schedule(_probe("liveness", probe, attempt=1), 5.0) == []
    assert len(simulation.schedule(_probe("liveness", probe), 5.0)) == 1
    assert simulation.schedule(_probe("liveness", probe), 14.0) == []
    assert simulation.schedule(_probe("liveness", probe), 12.999) == []  # it would end meanwhile


def test_no_image_is_here() -> None:
    """A simulation has none, and says so."""
    assert Simulation().answer(ListImages()) == ()


def _opened(speed: float = 1.0, **trace: object) -> SimulatedRuntime:
    row = {"pulling": 0.0, "pulled": 0.0, "started": 0.0, **trace}
    runtime = SimulatedRuntime(traces=[row], speed=speed)
    reports: queue.Queue[Observation] = queue.Queue()
    runtime.start(reports.put, time.time)
    runtime.execute(_open())
    runtime.execute(_start())
    while not isinstance(reports.get(timeout=30), Started):
        pass
    return runtime


def test_exec_in_a_simulated_container_says_that_nothing_runs() -> None:
    """A line, and the end; it does not make up what the command would have done."""
    runtime = _opened()
    terminal = runtime.terminal(OpenTerminal(uid="u", container="c", kind="exec", command="ls"))
    terminal.write(b"exit\n")
    terminal.resize(10, 20)
    said = terminal.read()

    assert b"simulated" in said
    assert b"not run" in said
    assert terminal.read() == b""
    terminal.close()
    terminal.close()
    runtime.close(remove=True)


def test_attach_to_a_simulated_container_shows_its_log_until_it_ends() -> None:
    """What the trace says that it writes; then it waits, and ends with the run."""
    runtime = _opened(logs="hello\nworld\n", exits_after=0.5)
    terminal = runtime.terminal(OpenTerminal(uid="u", container="c", kind="attach"))
    said = []
    while data := terminal.read():
        said.append(data)

    assert b"".join(said) == b"hello\nworld\n"
    with pytest.raises(LookupError, match="does not run"):
        runtime.terminal(OpenTerminal(uid="u", container="c", kind="attach"))
    runtime.close(remove=True)


def test_closing_an_attached_terminal_ends_its_reader() -> None:
    """The reader waits in another thread, for a container that writes nothing more."""
    runtime = _opened(logs="one\n")
    terminal = runtime.terminal(OpenTerminal(uid="u", container="c", kind="attach"))
    said: list[bytes] = []
    first = threading.Event()

    def read() -> None:
        while data := terminal.read():
            said.append(data)
            first.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert first.wait(30)
    terminal.close()
    reader.join(30)

    assert not reader.is_alive()
    assert said == [b"one\n"]
    runtime.close(remove=True)


def test_what_runs_no_more_has_no_terminal() -> None:
    """A stranger, and a container of a group that was closed."""
    runtime = _opened()
    for uid, name in (("u", "stranger"), ("nobody", "c")):
        with pytest.raises(LookupError):
            runtime.terminal(OpenTerminal(uid=uid, container=name, kind="exec", command="ls"))
    runtime.close(remove=True)


def test_back_off_and_probes_follow_a_clock_that_is_set_forward() -> None:
    """An hour of a group whose container is never alive for long, in a moment."""
    row = {"pulling": 1.0, "pulled": 2.0, "started": 3.0, "unhealthy_after": 1000.0}
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 10}
    body = group(container(livenessProbe=probe), ports=())
    with LocalAzure("simulated", traces=[row]) as local, local.client() as client:
        local.clock.freeze()
        started = client.launch(
            from_arm(body, name="web"),
            wait=False,
            location="westus",
            ready=Ready.running(),
            lifetime="detached",
        )
        local.clock.advance(3600.0)
        started.refresh()
        [web] = started._state.containers
        counts = {event.name: event.count for event in web.events}

    assert web.restart_count == 3
    assert counts["Unhealthy"] == 9
