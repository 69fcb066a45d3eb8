from __future__ import annotations

import logging
import os
import signal
import threading
import time

from pathlib import Path
from typing import Any

import pytest

from tests.drivers.world import RESULT, Arm, scenario, sync_driver

from aciflow.drivers.workers import Workers
from aciflow.errors import ServiceError
from aciflow.flow.effects import ArmCall, Env, Flow, Next, Notify, Start
from aciflow.flow.retry import perform


PUT = ArmCall(operation="group.put")


def test_a_flow_runs_to_its_end(tmp_path: Path) -> None:
    """With its events in the caller's thread, and its ledger written and cleared."""
    said: list[tuple[Any, int]] = []
    driver = sync_driver(tmp_path / "ledger")
    got = driver.run(scenario, lambda event: said.append((event, threading.get_ident())))
    assert RESULT == got
    me = threading.get_ident()
    assert [("began", me), ("over", me)] == said
    assert [] == list((tmp_path / "ledger").glob("*.json"))


def test_effects_overlap(tmp_path: Path) -> None:
    """Several slow ones take as long as one."""

    def flow(_: Env) -> Flow[None]:
        for _number in range(5):
            yield Start(PUT)
        for _number in range(5):
            yield Next(None)

    began = time.monotonic()
    sync_driver(tmp_path).run(flow)
    assert time.monotonic() - began < 0.6


def test_an_error_of_a_flow_is_the_callers(tmp_path: Path) -> None:
    """As it is."""

    def flow(env: Env) -> Flow[None]:
        yield from perform(env, ArmCall(operation="group.delete"))

    with pytest.raises(ServiceError):
        sync_driver(tmp_path).run(flow)


def test_a_hook_that_fails_does_not_end_the_launch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def hook(_: Any) -> None:
        raise ValueError("a bug of the user's")

    with caplog.at_level(logging.ERROR, "aciflow"):
        assert RESULT == sync_driver(tmp_path).run(scenario, hook)
    assert "the launch goes on" in caplog.text


def test_no_hook_is_fine(tmp_path: Path) -> None:
    """Nobody has to listen."""

    def flow(_: Env) -> Flow[str]:
        yield Start(Notify(event="x"))
        return "over"

    assert "over" == sync_driver(tmp_path).run(flow)


def test_a_wait_without_end_can_have_a_deadline_without_end(tmp_path: Path) -> None:
    """``timeout=math.inf`` is a number like any other."""

    def flow(_: Env) -> Flow[Any]:
        yield Start(PUT)
        return (yield Next(float("inf")))

    assert sync_driver(tmp_path).run(flow).value.status == 200


def _clean_up(said: list[str], times: int) -> Any:
    """A flow that says how it was interrupted, and then takes its time to clean up."""

    def flow(env: Env) -> Flow[None]:
        said.append("waits")
        try:
            yield from perform(env, PUT)
            yield Next(None)
        except KeyboardInterrupt:
            said.append("cleans up")
            for _ in range(times):
                yield Next(env.clock.now() + 0.05)
            said.append("is done")
            raise

    return flow


def _interrupt_after(*delays: float) -> None:
    def work() -> None:
        for delay in delays:
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=work, daemon=True).start()


def test_ctrl_c_is_thrown_into_the_flow_which_cleans_up(tmp_path: Path) -> None:
    """And then it goes on its way."""
    said: list[str] = []
    _interrupt_after(0.4)
    with pytest.raises(KeyboardInterrupt):
        sync_driver(tmp_path).run(_clean_up(said, 2))
    assert ["waits", "cleans up", "is done"] == said


def test_ctrl_c_during_a_write_waits_for_it(tmp_path: Path) -> None:
    """The clean-up comes after what it cleans up."""
    said: list[str] = []
    arm = Arm()
    _interrupt_after(0.05)
    with pytest.raises(KeyboardInterrupt):
        sync_driver(tmp_path, arm).run(_clean_up(said, 0))
    assert ["group.put"] == arm.ended
    assert ["waits", "cleans up", "is done"] == said


def test_a_second_ctrl_c_ends_the_clean_up(tmp_path: Path) -> None:
    """Whoever presses it twice means it."""
    said: list[str] = []
    _interrupt_after(0.3, 0.2)
    with pytest.raises(KeyboardInterrupt):
        sync_driver(tmp_path).run(_clean_up(said, 1000))
    assert ["waits", "cleans up"] == said


def test_a_hook_that_interrupts_is_an_interruption(tmp_path: Path) -> None:
    """Ctrl-C does not care in whose function it lands."""
    said: list[str] = []

    def flow(env: Env) -> Flow[None]:
        try:
            yield Start(Notify(event="x"))
            yield Next(None)
        except KeyboardInterrupt:
            yield from perform(env, ArmCall(operation="group.get"))
            said.append("cleaned up")
            raise

    def hook(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync_driver(tmp_path).run(flow, hook)
    assert ["cleaned up"] == said


class _Interrupting(Workers):
    """Ctrl-C lands just after a request was handed over."""

    landed = False

    def submit(self, work: Any) -> None:
        super().submit(work)
        if not self.landed:
            self.landed = True
            raise KeyboardInterrupt


def test_a_write_that_was_interrupted_as_it_began_is_awaited(tmp_path: Path) -> None:
    """It was sent, and must not be forgotten."""
    arm = Arm()
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        sync_driver(tmp_path, arm, _Interrupting(4, "test")).run(_clean_up(said, 0))
    assert ["group.put"] == arm.ended
    assert ["waits", "cleans up", "is done"] == said


def test_an_error_that_is_no_exception_reaches_the_flow(tmp_path: Path) -> None:
    """A SystemExit in a thread would be lost otherwise."""

    class Exiting(Arm):
        def perform(self, _: ArmCall) -> Any:
            raise SystemExit(3)

    def flow(env: Env) -> Flow[None]:
        yield from perform(env, PUT)

    with pytest.raises(SystemExit):
        sync_driver(tmp_path, Exiting()).run(flow)
