from __future__ import annotations

import asyncio

from pathlib import Path
from typing import Any

import pytest

from tests.drivers import test_aio
from tests.drivers.world import RESULT, Prober, _answer, _delay, scenario, sync_driver

from aciflow.drivers.aio import AsyncDriver
from aciflow.drivers.simulated import SimulatedDriver, World
from aciflow.errors import ServiceError
from aciflow.flow.effects import (
    ArmCall,
    Cancel,
    Effect,
    Env,
    Exec,
    Flow,
    LedgerClear,
    LedgerWrite,
    Next,
    Notify,
    Start,
    TcpProbe,
)
from aciflow.flow.retry import perform, sleep
from aciflow.ledger import Ledger
from aciflow.sessions.values import ExecResult


class Effects:
    """The same answers as in the other drivers' tests, in virtual time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger: dict[str, Any] = {}

    def begin(self, effect: Effect, done: Any, /) -> None:
        value: Any = None
        error: Exception | None = None
        delay = 0.0
        match effect:
            case ArmCall():
                delay = _delay(effect)
                try:
                    value = _answer(effect)
                except Exception as raised:
                    error = raised
            case TcpProbe():
                value = Prober().probe(effect)
            case Exec():
                value = ExecResult(" ".join(effect.argv), 0)
            case LedgerWrite():
                self.ledger[effect.record["launch_id"]] = effect.record
            case LedgerClear():
                del self.ledger[effect.launch_id]
            case _:
                pass
        self.world.at(self.world.now() + delay, lambda: done(value, error))


def _driver() -> tuple[World, Effects, SimulatedDriver]:
    world = World()
    effects = Effects(world)
    return world, effects, SimulatedDriver(world, effects)


def test_the_same_flow_has_the_same_result_in_every_driver(tmp_path: Path) -> None:
    """Threads, a loop, a heap of events: nothing is written twice, and nothing differs."""
    said: dict[str, list[Any]] = {"sync": [], "aio": []}
    _, effects, simulated = _driver()
    process = simulated.start(scenario)
    process_world = effects.world
    process_world.run()
    by_threads = sync_driver(tmp_path / "a").run(scenario, said["sync"].append)
    aio = AsyncDriver(
        arm=test_aio.Arm(),
        prober=test_aio.Prober(),
        ledger=Ledger(tmp_path / "b"),
        execute=test_aio.execute,
    )
    on_a_loop = asyncio.run(aio.run(scenario, said["aio"].append))
    assert RESULT == process.result() == by_threads == on_a_loop
    assert process.events == said["sync"] == said["aio"] == ["began", "over"]
    assert {} == effects.ledger


def test_virtual_time_takes_no_time() -> None:
    """A day passes between two instructions."""

    def flow(env: Env) -> Flow[tuple[float, float]]:
        yield from sleep(env, 86400.0)
        return env.clock.now(), env.clock.wall()

    world, _, driver = _driver()
    now, wall = driver.run(flow)
    assert 86400.0 == now
    assert wall == World().wall() + 86400.0
    assert 86400.0 == world.now()


def test_several_flows_share_a_world() -> None:
    """Each goes on as its time comes."""
    said: list[str] = []

    def flow(name: str, pause: float) -> Any:
        def make(env: Env) -> Flow[None]:
            for _ in range(3):
                yield from sleep(env, pause)
                said.append(name)

        return make

    world, _, driver = _driver()
    processes = [driver.start(flow("a", 2.0)), driver.start(flow("b", 3.0))]
    world.run()
    assert ["a", "b", "a", "b", "a", "b"] == said
    assert [6.0, 9.0] == [process.ended_at for process in processes]


def test_an_interruption_ends_what_it_is_thrown_into() -> None:
    """One that comes after the end changes nothing."""

    def flow(env: Env) -> Flow[None]:
        yield from sleep(env, 100.0)

    world, _, driver = _driver()
    process = driver.start(flow)
    world.at(5.0, lambda: process.interrupt(KeyboardInterrupt()))
    world.at(5.0, lambda: process.interrupt(KeyboardInterrupt()))
    world.run()
    assert 5.0 == process.ended_at
    process.interrupt(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        process.result()


def test_what_is_cancelled_is_not_delivered() -> None:
    """Whether it is under way or its result is waiting."""

    def flow(env: Env) -> Flow[Any]:
        first = yield Start(ArmCall(operation="group.get"))
        second = yield Start(ArmCall(operation="group.get"))
        third = yield Start(ArmCall(operation="group.put"))
        done = yield Next(None)
        assert done.token == first
        yield Cancel(second)
        yield Cancel(third)
        return (yield Next(env.clock.now() + 10.0))

    _, _, driver = _driver()
    assert driver.run(flow) is None


def test_a_result_that_came_early_is_kept() -> None:
    """Until somebody waits for it."""

    def flow(env: Env) -> Flow[tuple[Any, Any]]:
        yield Start(Notify(event="x"))
        yield Start(ArmCall(operation="group.get"))
        yield Start(ArmCall(operation="group.get"))
        first = yield Next(None)
        second = yield Next(env.clock.now())
        third = yield Next(env.clock.now() + 1.0)
        return first.value.status, (second or third).value.status

    _, _, driver = _driver()
    assert (200, 200) == driver.run(flow)


def test_a_wait_that_nothing_ends_is_noticed() -> None:
    """It would hang for ever in real time."""

    def flow(_: Env) -> Flow[Any]:
        return (yield Next(float("inf")))

    _, _, driver = _driver()
    with pytest.raises(RuntimeError, match="nothing is left to happen"):
        driver.run(flow)


def test_a_world_without_end_is_noticed() -> None:
    """A simulation that goes in circles is a bug."""
    world = World()

    def again() -> None:
        world.at(world.now() + 1.0, again)

    again()
    with pytest.raises(RuntimeError, match="still busy"):
        world.run(most=100)


def test_an_error_is_kept_for_who_asks() -> None:
    """One flow's does not end the others."""

    def flow(env: Env) -> Flow[None]:
        yield from perform(env, ArmCall(operation="group.delete"))

    world, _, driver = _driver()
    process = driver.start(flow)
    world.advance(10.0)
    assert process.ended
    with pytest.raises(ServiceError):
        process.result()
