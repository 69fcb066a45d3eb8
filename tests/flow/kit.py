"""What the flow tests share: a scripted ARM on a virtual clock, bodies as ARM sends them, requests."""

from __future__ import annotations

import itertools

from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from typing import Any, TypeVar

from aciflow.drivers.simulated import Process, SimulatedDriver, World
from aciflow.errors import (
    EndpointUnreachableError,
    NoShellError,
    NotFoundError,
    ServiceError,
    ThrottledError,
    TransitioningError,
)
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Effect,
    Env,
    Exec,
    Flow,
    LedgerClear,
    LedgerWrite,
    ProbeResult,
)
from aciflow.flow.ids import LAUNCH_TAG, GroupRef, ResourceGroupRef
from aciflow.flow.launch import LaunchRequest
from aciflow.flow.pace import AZURE
from aciflow.model import spec_from_image
from aciflow.ready import Ready
from aciflow.testing.simulator import SUBSCRIPTION, Simulator


R = TypeVar("R")
HOME = ResourceGroupRef(subscription_id=SUBSCRIPTION, name="rg", azure=True)
REF = GroupRef(resource_group=HOME, name="web")
OK = ProbeResult(ready=True, reason="ok")
SILENT = ProbeResult(ready=False, reason="timeout", detail="10.0.0.1:80 did not answer within 2 s")
REFUSED = ProbeResult(ready=False, reason="refused", detail="10.0.0.1:80 refused the connection")
URL = "https://management.azure.com/operations/1"


class Script:
    """
    Answers effects as it is told, each after 0.1 s.

    Args:
        answers: By operation (``group_get`` for ``group.get``, ``probe``, ``exec``, ``auth``): a value, an
            error, or an iterator of them of which the last is repeated, or a function of the effect that
            gives one. A pair is a delay and an answer; a delay of ``None`` means never.
    """

    def __init__(self, **answers: Any) -> None:
        self.world = World()
        self.asked: list[tuple[float, Effect]] = []
        self.ledger: dict[str, Mapping[str, Any]] = {}
        self.answers: dict[str, Any] = {
            name: itertools.chain(answer) if isinstance(answer, list | Iterator) else answer
            for name, answer in answers.items()
        }
        self._last: dict[str, Any] = {}
        self._driver = SimulatedDriver(self.world, self)

    def start(self, make: Callable[[Env], Flow[R]]) -> Process[R]:
        """Begin a flow."""
        return self._driver.start(make)

    def run(self, make: Callable[[Env], Flow[R]]) -> R:
        """Begin a flow and let time pass until it ends."""
        return self._driver.run(make)

    def calls(self, operation: str | None = None) -> list[ArmCall]:
        """What ARM was asked."""
        found = [effect for _, effect in self.asked if isinstance(effect, ArmCall)]
        return [call for call in found if operation in (None, call.operation)]

    def times(self, operation: str) -> list[float]:
        """When."""
        return [at for at, effect in self.asked if _name(effect) == operation.replace(".", "_")]

    def begin(self, effect: Effect, done: Callable[[Any, BaseException | None], None], /) -> None:
        """An effect of a flow."""
        self.asked.append((self.world.now(), effect))
        delay: float | None = 0.1
        answer = self._answer(effect)
        if isinstance(answer, tuple):
            delay, answer = answer
        if delay is None:
            return
        error = answer if isinstance(answer, BaseException) else None

        def finish() -> None:
            if error is None and isinstance(effect, LedgerWrite):
                self.ledger[effect.record["launch_id"]] = effect.record
            elif error is None and isinstance(effect, LedgerClear):
                self.ledger.pop(effect.launch_id, None)
            done(None if error else answer, error)

        self.world.at(self.world.now() + delay, finish)

    def _answer(self, effect: Effect) -> Any:
        name = _name(effect)
        if name not in self.answers and isinstance(
            effect, LedgerWrite | LedgerClear | Authenticate
        ):
            return None
        if name not in self.answers and isinstance(effect, Exec):
            return NoShellError("this image has no shell")
        answer = self.answers[name]
        if isinstance(answer, Iterator):
            answer = self._last[name] = next(answer, self._last.get(name))
        if callable(answer) and not isinstance(answer, BaseException):
            answer = answer(effect)
        return answer


def _name(effect: Effect) -> str:
    match effect:
        case ArmCall():
            return effect.operation.replace(".", "_")
        case LedgerWrite():
            return "ledger_write"
        case LedgerClear():
            return "ledger_clear"
        case Authenticate():
            return "auth"
        case Exec():
            return "exec"
        case _:
            return "probe"


# --- replies ------------------------------------------------------------------------------------


def reply(body: Any = None, status: int = 200, **headers: Any) -> ArmReply:
    """A success; header names with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ArmReply(status=status, body=body, headers=named)


def logs(content: str) -> ArmReply:
    """A log."""
    return reply({"content": content})


def missing() -> NotFoundError:
    """A 404."""
    return NotFoundError("not found", status=404, code="ResourceNotFound")


def outage() -> ServiceError:
    """A 503."""
    return ServiceError("down", status=503, code="InternalServerError")


def throttled(seconds: float | None = 7.0) -> ThrottledError:
    """A 429."""
    return ThrottledError("slower", status=429, retry_after=seconds)


def busy() -> TransitioningError:
    """A 409."""
    return TransitioningError("busy", status=409, code="ContainerGroupTransitioning")


def unreachable() -> EndpointUnreachableError:
    """No reply."""
    return EndpointUnreachableError("no reply")


def iso(at: float) -> str:
    """An ARM time, given virtual seconds."""
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(World().wall() + at, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date(at: float) -> str:
    """A Date header, given virtual seconds."""
    return formatdate(World().wall() + at, usegmt=True)


def event(name: str, at: float, message: str = "", kind: str = "Normal", count: int = 1) -> Any:
    """An event of a container."""
    return {
        "name": name,
        "message": message or name,
        "type": kind,
        "count": count,
        "firstTimestamp": iso(at),
        "lastTimestamp": iso(at),
    }


def running(at: float = 1.0) -> dict[str, Any]:
    """A container's state."""
    return {"state": "Running", "startTime": iso(at), "detailStatus": ""}


def ended(code: int | None = 0, at: float = 1.0, detail: str = "") -> dict[str, Any]:
    """A container's state."""
    state = {
        "state": "Terminated",
        "startTime": iso(at),
        "finishTime": iso(at + 1),
        "detailStatus": detail,
    }
    return state if code is None else {**state, "exitCode": code}


def waiting(detail: str = "") -> dict[str, Any]:
    """A container's state."""
    return {"state": "Waiting", "detailStatus": detail}


def body(
    *states: Any,
    provisioning: str = "Succeeded",
    state: str = "Running",
    ip: str | None = "10.0.0.1",
    ports: list[Any] | None = None,
    tags: Mapping[str, str] | None = None,
    events: Any = None,
    container_events: Any = None,
    init: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """A container group as a GET shows it, with one container a state (``None``: not started)."""
    address = None
    if ports is None:
        ports = [{"port": 80, "protocol": "TCP"}]
    if ports:
        address = {"type": "Public", "ports": ports, **({"ip": ip} if ip else {})}
    containers = []
    for number, current in enumerate(states):
        view: dict[str, Any] = {"restartCount": 0}
        if isinstance(current, dict) and "currentState" in current:
            view = current
        elif current is not None:
            view["currentState"] = current
        if container_events is not None:
            view["events"] = container_events
        containers.append(
            {
                "name": "web" if number == 0 else f"web{number}",
                "properties": {"image": "nginx", "instanceView": view},
            }
        )
    properties: dict[str, Any] = {
        "provisioningState": provisioning,
        "containers": containers,
        "instanceView": {"state": state, "events": events or []},
        "restartPolicy": "Always",
        **more,
    }
    if init is not None:
        properties["initContainers"] = [
            {"name": "init", "properties": {"image": "busybox", "instanceView": init}}
        ]
    if address is not None:
        properties["ipAddress"] = address
    return {
        "id": REF.id,
        "name": "web",
        "location": "westus",
        "tags": dict(tags or {LAUNCH_TAG: "l1"}),
        "properties": properties,
    }


def view(*states: Any, **more: Any) -> ArmReply:
    """A GET's reply."""
    return reply(body(*states, **more))


def request(**changes: Any) -> LaunchRequest:
    """A launch of a web server into a resource group that is known."""
    values: dict[str, Any] = {
        "launch_id": "l1",
        "spec": spec_from_image("nginx", name="web", public_ip=True, new_name=lambda: "x"),
        "resource_group": HOME,
        "group_known": True,
        "locations": ("westus",),
        "owner": "me@here",
        "ready": Ready.tcp(80),
        "pace": AZURE,
    }
    return LaunchRequest(**{**values, **changes})


def with_home(simulator: Simulator) -> Simulator:
    """Make the resource group."""
    from aciflow.flow.retry import perform

    call = ArmCall(operation="rg.put", resource_group="rg", body={"location": "westus"})
    simulator.run(lambda env: perform(env, call))
    return simulator


def drive(flow: Flow[R], *answers: Any) -> R:
    """Feed a flow by hand; what it yields meanwhile is not looked at."""
    value = None
    for answer in [*answers, *[None] * 100]:
        try:
            flow.send(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        value = answer
    raise AssertionError("it does not end")
