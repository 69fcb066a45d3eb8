"""
A simulated ACI on a virtual clock, for flows and for real SDK clients.

The endpoint is the same pure one that the local target uses; only its runtime is a simulation, and the
network between it and the client is a delay, with faults if asked for.
"""

from __future__ import annotations

import json
import random

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from attrs import define, field, frozen

from aciflow.arm.errors import error_from
from aciflow.arm.routes import describe, request_for
from aciflow.drivers.simulated import Process, SimulatedDriver, World
from aciflow.errors import ContainerNotRunningError, EndpointUnreachableError
from aciflow.flow.effects import (
    ArmCall,
    ArmReply,
    Authenticate,
    Effect,
    Env,
    Exec,
    Flow,
    HttpProbe,
    LedgerClear,
    LedgerWrite,
    ProbeResult,
    TcpProbe,
)
from aciflow.local.endpoint import Endpoint
from aciflow.local.groups.machine import GroupMachine
from aciflow.local.protocol import Observation, Reply, Request
from aciflow.local.runtime.simulation import Simulation
from aciflow.local.runtime.starts import Traces, draw_serving_delay
from aciflow.sessions.values import ExecResult


__all__ = ["Counts", "Faults", "Network", "Simulator"]

R = TypeVar("R")

TOKEN = "simulated"  # noqa: S105 (opens nothing)
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


@frozen(kw_only=True)
class Network:
    """
    The way between the client and Azure.

    Attributes:
        arm: Seconds from a request to ARM to its reply.
        probe: Seconds of a round trip to a container.
    """

    arm: float = 0.1
    probe: float = 0.03


@frozen(kw_only=True)
class Faults:
    """
    How often what goes wrong: each a share of requests to ARM, 0 to 1, drawn from the seed.

    Attributes:
        lost_request: It never arrives.
        lost_reply: It does its work, and the reply never comes.
        error_before: A 503, and nothing was done.
        error_after: A 504, and it was done.
        throttled: A 429 with a Retry-After of ``retry_after`` seconds.
        retry_after: Seconds.
    """

    lost_request: float = 0.0
    lost_reply: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    throttled: float = 0.0
    retry_after: int = 2

    @classmethod
    def rate(cls, share: float) -> Faults:
        """Each kind as often."""
        return cls(
            lost_request=share,
            lost_reply=share,
            error_before=share,
            error_after=share,
            throttled=share,
        )


@define
class Counts:
    """
    What was asked of whom.

    Attributes:
        arm_reads: GETs that ARM received or would have.
        arm_writes: Everything else that went to ARM.
        probed_at: When a connection to a container was begun, in virtual seconds.
    """

    arm_reads: int = 0
    arm_writes: int = 0
    probed_at: list[float] = field(factory=list)

    @property
    def probes(self) -> int:
        """Connections to a container."""
        return len(self.probed_at)

    @property
    def most_probes_a_second(self) -> int:
        """The most connections that were begun within less than a second."""
        times = self.probed_at
        return max((bisect_left(times, at + 1.0) - i for i, at in enumerate(times)), default=0)


@define
class _Held:
    """A DELETE is answered when nothing of the group is left, as ACI's is."""

    uids: frozenset[str]
    reply: Callable[[], None]


class Simulator:
    """
    A world with one ACI in it.

    Args:
        traces: Starts to replay, rows as in ``aci-starts.json``; by default they are drawn.
        seed: Of everything that is drawn.
        ip_visible: When ARM first shows the address: ``creating`` or ``running``.
        serving_delay: Seconds from a container's start to its first answer, or what draws them.
        network: Delays.
        faults: What goes wrong.

    Attributes:
        world: Its time.
        counts: What was asked of whom.
        ledger: The records that launches left, by launch id.
        simulation: What is simulated of the containers.
    """

    def __init__(
        self,
        *,
        traces: Traces | None = None,
        seed: int = 0,
        ip_visible: Literal["creating", "running"] = "creating",
        serving_delay: float | Callable[[random.Random], float] = draw_serving_delay,
        network: Network | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.world = World()
        self.counts = Counts()
        self.ledger: dict[str, Mapping[str, Any]] = {}
        self.network = network or Network()
        self.faults = faults or Faults()
        self.subscription_id = SUBSCRIPTION
        self._random = random.Random(seed)  # a simulation
        self.simulation = Simulation(
            traces=traces, seed=seed, ip_visible=ip_visible, serving_delay=serving_delay
        )
        self.endpoint = Endpoint(
            subscription_id=SUBSCRIPTION,
            tenant_id=SUBSCRIPTION,
            token_check=lambda token: token == TOKEN,
            new_id=self._new_id,
        )
        self._driver = SimulatedDriver(self.world, self, seed=seed)
        self._held: list[_Held] = []
        self._wake: float | None = None

    # --- flows ----------------------------------------------------------------------------

    def start(self, make: Callable[[Env], Flow[R]]) -> Process[R]:
        """Begin a flow; see :class:`~aciflow.drivers.simulated.Process`."""
        return self._driver.start(make)

    def run(self, make: Callable[[Env], Flow[R]]) -> R:
        """Begin a flow and let time pass until it ends."""
        return self._driver.run(make)

    def begin(self, effect: Effect, done: Callable[[Any, BaseException | None], None], /) -> None:
        """An effect of a flow."""
        match effect:
            case ArmCall():
                self._call(effect, done)
            case TcpProbe() | HttpProbe():
                self._probe(effect, done)
            case Exec():
                self._execute(effect, done)
            case LedgerWrite():
                self.ledger[effect.record["launch_id"]] = effect.record
                self._soon(done, None)
            case LedgerClear():
                self.ledger.pop(effect.launch_id, None)
                self._soon(done, None)
            case Authenticate():
                self._soon(done, None)
            case _:
                raise AssertionError(f"the driver does {effect} itself")  # pragma: no cover

    def _soon(self, done: Callable[[Any, BaseException | None], None], value: Any) -> None:
        self.world.at(self.world.now(), lambda: done(value, None))

    # --- ARM ------------------------------------------------------------------------------

    def groups(self) -> list[str]:
        """Ids of the container groups that exist."""
        machines = self.endpoint.state.machines.values()
        return [m.desired.resource_id for m in machines if not m.closing]

    def resource_groups(self) -> list[str]:
        """Names of the resource groups that exist."""
        return [str(home.name) for home in self.endpoint.state.resource_groups.values()]

    def send(self, request: Request) -> Reply:
        """
        A request from ordinary code: time passes until its reply.

        For clients that were not written as flows, such as the SDK's.
        """
        replies: list[Reply] = []
        self.world.advance(self.network.arm / 2)
        self._count(request.method)
        self._serve(request, replies.append)
        self.world.run_until(lambda: bool(replies))
        self.world.advance(self.network.arm / 2)
        return replies[0]

    def _count(self, method: str) -> None:
        if method in ("GET", "HEAD"):
            self.counts.arm_reads += 1
        else:
            self.counts.arm_writes += 1

    def _call(self, call: ArmCall, done: Callable[[Any, BaseException | None], None]) -> None:
        request = _request(call)
        self._count(request.method)
        half = self.network.arm / 2
        now = self.world.now()
        fault = self._fault()
        lost = EndpointUnreachableError(f"{describe(call)}: no reply within {call.timeout:g} s")

        def deliver(reply: Reply) -> None:
            if fault == "lost_reply":
                self.world.at(now + call.timeout, lambda: done(None, lost))
                return
            if fault == "error_after":
                reply = _GATEWAY_TIMEOUT
            self.world.at(self.world.now() + half, lambda: _finish(call, reply, done))

        match fault:
            case "lost_request":
                self.world.at(now + call.timeout, lambda: done(None, lost))
            case "error_before":
                self.world.at(now + 2 * half, lambda: _finish(call, _UNAVAILABLE, done))
            case "throttled":
                wait = {"Retry-After": str(self.faults.retry_after)}
                reply = Reply(status=429, body=_THROTTLED, headers=wait)
                self.world.at(now + 2 * half, lambda: _finish(call, reply, done))
            case _:
                self.world.at(now + half, lambda: self._serve(request, deliver))

    def _fault(self) -> str | None:
        at = self._random.random()
        for name in ("lost_request", "lost_reply", "error_before", "error_after", "throttled"):
            at -= getattr(self.faults, name)
            if at < 0:
                return name
        return None

    def _serve(self, request: Request, deliver: Callable[[Reply], None]) -> None:
        before = self.endpoint.closing
        reply = self.endpoint.handle(request, self.world.wall())
        if not isinstance(reply, Reply):
            answer = self.simulation.answer(reply)
            reply = self.endpoint.handle(request, self.world.wall(), answer)
        assert isinstance(reply, Reply)  # noqa: S101 (one question a request)
        self._tick([])
        closing = self.endpoint.closing - before
        if request.method == "DELETE" and closing:
            final = reply
            self._held.append(_Held(closing, lambda: deliver(final)))
        else:
            deliver(reply)

    def _tick(self, observed: Sequence[Observation]) -> None:
        actions, wake = self.endpoint.tick(observed, self.world.wall())
        for action in actions:
            for at, seen in self.simulation.schedule(action, self.world.wall()):
                self._at_wall(at, lambda seen=seen: self._tick([seen]))  # type: ignore[misc]
        if wake is not None and wake != self._wake:
            self._at_wall(wake, lambda: self._tick([]))
        self._wake = wake
        for held in list(self._held):
            if not held.uids & self.endpoint.closing:
                self._held.remove(held)
                held.reply()

    def _at_wall(self, wall: float, event: Callable[[], None]) -> None:
        self.world.at(wall - self.world.wall() + self.world.now(), event)

    def _new_id(self) -> str:
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    # --- the container --------------------------------------------------------------------

    def _probe(
        self, probe: TcpProbe | HttpProbe, done: Callable[[Any, BaseException | None], None]
    ) -> None:
        """A SYN to a container that does not serve yet is dropped, as clouds do; the worse case."""
        world = self.world
        self.counts.probed_at.append(world.now())

        def arrive() -> None:
            if self.simulation.serving(probe.host, probe.port, world.wall()):
                hold = probe.hold if isinstance(probe, TcpProbe) else 0.0
                later = world.now() + self.network.probe / 2 + hold
                world.at(later, lambda: done(ProbeResult(ready=True, reason="ok"), None))
                return
            text = f"{probe.host}:{probe.port} did not answer within {probe.timeout:g} s"
            result = ProbeResult(ready=False, reason="timeout", detail=text)
            world.at(world.now() + probe.timeout, lambda: done(result, None))

        world.at(world.now() + self.network.probe / 2, arrive)

    def _execute(self, effect: Exec, done: Callable[[Any, BaseException | None], None]) -> None:
        """
        A command in a container.

        It succeeds where it asks about a port that is served, and where it asks about none and the
        container runs.
        """
        world, endpoint = self.world, self.endpoint
        self._count("POST")

        def arrive() -> None:
            machine = next((m for m in endpoint.state.machines.values() if _is(m, effect)), None)
            runs = machine is not None and self.simulation.runs(
                machine.uid, effect.container, world.wall()
            )
            if machine is None or runs is None:
                error = ContainerNotRunningError(f"container '{effect.container}' does not run")
                world.at(world.now() + self.network.arm / 2, lambda: done(None, error))
                return
            since = self.simulation.served_since(machine.uid)
            result = ExecResult("", 0)
            if effect.port is not None:
                serves = since is not None and since <= world.wall()
                result = ExecResult("200" if serves else "", 0 if serves else 7)
            world.at(world.now() + self.network.arm, lambda: done(result, None))

        world.at(world.now() + self.network.arm / 2, arrive)


def _is(machine: GroupMachine, effect: Exec) -> bool:
    parts = machine.desired.resource_id.lower().split("/")
    named = [parts[4], parts[8]] == [effect.resource_group.lower(), effect.name.lower()]
    return named and not machine.closing


_UNAVAILABLE = Reply(
    status=503,
    body={"error": {"code": "ServiceUnavailable", "message": "The service is unavailable."}},
)
_GATEWAY_TIMEOUT = Reply(
    status=504,
    body={
        "error": {
            "code": "GatewayTimeout",
            "message": "The gateway did not receive a response from 'Microsoft.ContainerInstance' "
            "within the specified time period.",
        }
    },
)
_THROTTLED = {"error": {"code": "TooManyRequests", "message": "The request is being throttled."}}


def _request(call: ArmCall) -> Request:
    method, path, query, body = request_for(call, SUBSCRIPTION)
    return Request(
        method=method,
        path=urlsplit(path).path,
        query={name.lower(): value for name, value in query.items()},
        headers={"authorization": f"Bearer {TOKEN}"},
        body=b"" if body is None else json.dumps(body).encode(),
    )


def _finish(call: ArmCall, reply: Reply, done: Callable[[Any, BaseException | None], None]) -> None:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if reply.status >= 400:
        done(None, error_from(reply.status, headers, reply.body, what=describe(call)))
    else:
        done(ArmReply(status=reply.status, body=reply.body, headers=headers), None)
