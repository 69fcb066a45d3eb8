"""What the driver tests share: real parts to act upon, and one flow with scripted effects."""

from __future__ import annotations

import time

from pathlib import Path
from typing import Any

from aciflow.drivers.sync import SyncDriver
from aciflow.drivers.workers import Workers
from aciflow.errors import ServiceError
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Cancel,
    Done,
    Env,
    Exec,
    Flow,
    LedgerClear,
    LedgerWrite,
    Next,
    Notify,
    ProbeResult,
    Start,
    TcpProbe,
)
from aciflow.flow.retry import perform
from aciflow.ledger import Ledger
from aciflow.sessions.values import ExecResult


PROBE = TcpProbe(host="10.0.0.1", port=80)
COMMAND = Exec(resource_group="rg", name="web", container="web", argv=("say", "hi"), timeout=1.0)


class Arm:
    """Answers after a moment; the operation says how."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def perform(self, call: ArmCall) -> ArmReply:
        time.sleep(_delay(call))
        self.ended.append(call.operation)
        return _answer(call)

    def authenticate(self) -> None:
        self.ended.append("auth")


def _delay(call: ArmCall) -> float:
    return 0.2 if call.operation == "group.put" else 0.01


def _answer(call: ArmCall) -> ArmReply:
    if call.operation == "group.delete":
        raise ServiceError("down", status=503)
    return ArmReply(status=200, body={"operation": call.operation})


class Prober:
    """A container that serves."""

    def probe(self, _: Any) -> ProbeResult:
        return ProbeResult(ready=True, reason="ok")


def scenario(env: Env) -> Flow[list[Any]]:
    """A bit of everything; its result does not depend on who drives it."""
    said: list[Any] = []
    yield Start(Notify(event="began"))
    yield from perform(env, LedgerWrite(record={"launch_id": "l1", "id": "x", "began": 0.0}))
    yield from perform(env, Authenticate())
    slow = yield Start(ArmCall(operation="group.put"))
    quick = yield Start(ArmCall(operation="group.get"))
    never = yield Start(ArmCall(operation="group.list"))
    yield Cancel(never)
    names = {slow: "slow", quick: "quick"}
    for _ in range(2):
        done: Done = yield Next(None)
        said.append((names[done.token], done.result().body["operation"]))
    probe: ProbeResult = yield from perform(env, PROBE)
    said.append(probe.reason)
    result: ExecResult = yield from perform(env, COMMAND)
    said.append(result.output)
    try:
        yield from perform(env, ArmCall(operation="group.delete"))
    except ServiceError as error:
        said.append(error.status)
    late = yield Next(env.clock.now() + 0.05)
    said.append(late)
    past = yield Next(env.clock.now() - 1.0)
    said.append(past)
    yield from perform(env, LedgerClear(launch_id="l1"))
    yield Start(Notify(event="over"))
    return said


RESULT = [("quick", "group.get"), ("slow", "group.put"), "ok", "say hi", 503, None, None]


def sync_driver(folder: Path, arm: Any = None, workers: Workers | None = None) -> SyncDriver:
    """A driver with real threads and a real ledger."""
    return SyncDriver(
        arm=arm or Arm(),
        prober=Prober(),
        ledger=Ledger(folder, durable=False),
        workers=workers or Workers(8, "test"),
        execute=lambda what: ExecResult(" ".join(what.argv), 0),
    )
