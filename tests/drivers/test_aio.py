from __future__ import annotations

import asyncio
import time

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.world import RESULT, _answer, _delay, scenario

from aciflow.drivers.aio import AsyncDriver
from aciflow.errors import ServiceError
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Cancel,
    Env,
    Exec,
    Flow,
    LedgerClear,
    LedgerWrite,
    Next,
    Notify,
    ProbeResult,
    Start,
)
from aciflow.flow.retry import perform
from aciflow.ledger import Ledger
from aciflow.sessions.values import ExecResult


PUT = ArmCall(operation="group.put")


class Arm:
    """As the sync one."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.cancelled: list[str] = []

    async def perform(self, call: ArmCall) -> ArmReply:
        try:
            await asyncio.sleep(_delay(call))
        except asyncio.CancelledError:
            self.cancelled.append(call.operation)
            raise
        self.ended.append(call.operation)
        return _answer(call)

    async def authenticate(self) -> None:
        self.ended.append("auth")


class Prober:
    """A container that serves."""

    async def probe(self, _: Any) -> ProbeResult:
        return ProbeResult(ready=True, reason="ok")


async def execute(what: Exec) -> ExecResult:
    """A container that repeats what it is told."""
    return ExecResult(" ".join(what.argv), 0)


def _driver(folder: Path, arm: Any = None) -> AsyncDriver:
    return AsyncDriver(
        arm=arm or Arm(),
        prober=Prober(),
        ledger=Ledger(folder, durable=False),
        execute=execute,
    )


def _others() -> set[str]:
    """Names of the driver's tasks that are still there."""
    return {t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("aciflow")}


def test_a_flow_runs_to_its_end(tmp_path: Path) -> None:
    """With its events, its ledger written and cleared, and no task left."""

    async def main() -> None:
        said: list[Any] = []
        assert RESULT == await _driver(tmp_path / "ledger").run(scenario, said.append)
        assert ["began", "over"] == said
        assert set() == _others()

    asyncio.run(main())
    assert [] == list((tmp_path / "ledger").glob("*.json"))


def test_many_flows_share_a_loop(tmp_path: Path) -> None:
    """Twenty take as long as one."""

    async def main() -> None:
        driver = _driver(tmp_path)
        began = time.monotonic()

        def flow(env: Env) -> Flow[int]:
            reply = yield from perform(env, PUT)
            return int(reply.status)

        assert [200] * 20 == await asyncio.gather(*(driver.run(flow) for _ in range(20)))
        assert time.monotonic() - began < 1.5

    asyncio.run(main())


def test_an_error_of_a_flow_is_the_callers_and_leaves_no_task(tmp_path: Path) -> None:
    """What it had begun is cancelled."""
    arm = Arm()

    def flow(env: Env) -> Flow[None]:
        yield Start(PUT)
        yield from perform(env, ArmCall(operation="group.delete"))

    async def main() -> None:
        with pytest.raises(ServiceError):
            await _driver(tmp_path, arm).run(flow)
        assert set() == _others()

    asyncio.run(main())
    assert ["group.put"] == arm.cancelled


def test_what_is_cancelled_is_not_delivered(tmp_path: Path) -> None:
    """Neither while it is under way nor when its result has just come in."""

    def flow(env: Env) -> Flow[Any]:
        slow = yield Start(PUT)
        quick = yield Start(ArmCall(operation="group.get"))
        other = yield Start(ArmCall(operation="group.list"))
        time.sleep(0.05)  # so that both of the quick ones come in together
        first = yield Next(None)
        yield Cancel(other if first.token == quick else quick)
        yield Cancel(slow)
        return (yield Next(env.clock.now() + 0.3))

    async def main() -> None:
        assert await _driver(tmp_path).run(flow) is None

    asyncio.run(main())


def _clean_up(said: list[str], seconds: float) -> Any:
    def flow(env: Env) -> Flow[None]:
        said.append("waits")
        try:
            yield from perform(env, PUT)
            yield Next(None)
        except asyncio.CancelledError:
            said.append("cleans up")
            assert (yield Next(env.clock.now() + seconds)) is None
            yield from perform(env, ArmCall(operation="group.get"))
            said.append("is done")
            raise

    return flow


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3])
def test_a_cancelled_task_cleans_up_first(tmp_path: Path, after: float) -> None:
    """A write that is under way is awaited; waiting with a time works in a cancelled task."""
    said: list[str] = []
    arm = Arm()

    async def main() -> None:
        task = asyncio.create_task(_driver(tmp_path, arm).run(_clean_up(said, 0.05)))
        await asyncio.sleep(after)
        if after == 0.0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set() == _others()

    asyncio.run(main())
    assert ["waits", "cleans up", "is done"] == said
    assert ["group.put", "group.get"] == arm.ended


def test_a_second_cancellation_ends_the_clean_up(tmp_path: Path) -> None:
    """And no task is left."""
    said: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(_driver(tmp_path).run(_clean_up(said, 30.0)))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set() == _others()

    asyncio.run(main())
    assert ["waits", "cleans up"] == said


@pytest.mark.parametrize("begun", [True, False])
def test_a_cancellation_of_all_tasks_does_not_hold_up_a_clean_up(
    tmp_path: Path, begun: bool
) -> None:
    """``asyncio.run`` does that at its end, also to the write which is awaited."""
    arm = Arm()
    said: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(_driver(tmp_path, arm).run(_clean_up(said, 0.05)))
        await asyncio.sleep(0.05 if begun else 0)
        assert {"aciflow-ArmCall"} == _others()
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        async with asyncio.timeout(5.0):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert ["waits", "cleans up", "is done"] == said
    assert (["group.put"] if begun else []) == arm.cancelled


def test_a_record_that_is_being_written_is_cleared_after_that(tmp_path: Path) -> None:
    """A thread goes on when its task is cancelled."""

    class Slow(Ledger):
        def write(self, record: Mapping[str, Any]) -> None:
            time.sleep(0.2)
            super().write(record)

    def flow(env: Env) -> Flow[None]:
        try:
            yield from perform(
                env, LedgerWrite(record={"launch_id": "l1", "id": "x", "began": 0.0})
            )
        except asyncio.CancelledError:
            yield from perform(env, LedgerClear(launch_id="l1"))
            raise

    async def main() -> None:
        ledger = Slow(tmp_path, durable=False)
        driver = AsyncDriver(arm=Arm(), prober=Prober(), ledger=ledger, execute=execute)
        task = asyncio.create_task(driver.run(flow))
        await asyncio.sleep(0.05)
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [] == list(tmp_path.glob("*.json"))


def test_a_cancellation_from_inside_an_effect_is_its_end(tmp_path: Path) -> None:
    """Nobody waits for what will not come."""

    class Cancelling(Arm):
        async def perform(self, _: ArmCall) -> ArmReply:
            raise asyncio.CancelledError

    def flow(_: Env) -> Flow[str]:
        token = yield Start(PUT)
        done = yield Next(None)
        assert token == done.token
        return type(done.error).__name__

    async def main() -> None:
        async with asyncio.timeout(5.0):
            assert "CancelledError" == await _driver(tmp_path, Cancelling()).run(flow)

    asyncio.run(main())


def test_a_time_out_around_it_is_a_cancellation(tmp_path: Path) -> None:
    """And is still a time-out to who set it."""
    said: list[str] = []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await _driver(tmp_path).run(_clean_up(said, 0.05))

    asyncio.run(main())
    assert ["waits", "cleans up", "is done"] == said


def test_a_hook_that_fails_does_not_end_the_launch(tmp_path: Path) -> None:
    """As with threads."""

    def flow(_: Env) -> Flow[str]:
        yield Start(Notify(event="x"))
        return "over"

    def hook(_: Any) -> None:
        raise ValueError("a bug of the user's")

    assert "over" == asyncio.run(_driver(tmp_path).run(flow, hook))


def test_a_deadline_without_end_is_none(tmp_path: Path) -> None:
    """``timeout=math.inf`` is a number like any other."""

    def flow(_: Env) -> Flow[Any]:
        yield Start(PUT)
        return (yield Next(float("inf")))

    assert 200 == asyncio.run(_driver(tmp_path).run(flow)).value.status
