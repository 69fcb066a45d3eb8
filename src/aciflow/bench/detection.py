"""
How late does a caller know that its container serves, and how many ARM reads does that cost?

Every start of a trace file is replayed on a virtual clock, for aciflow's own launch and for the SDK's own
poller (the real one, of the installed azure-core) at its default of 30 s, at 5 s and at 1 s. The traces
hold the container's start, not its first answer, so a delay is drawn for each start, the same for all.
"""

from __future__ import annotations

import json
import random

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import httpx

from attrs import frozen

from aciflow.arm.transport import HttpxTransport
from aciflow.bench.stats import mean, median, percentile
from aciflow.flow.effects import ArmCall
from aciflow.flow.ids import ResourceGroupRef
from aciflow.flow.launch import LaunchRequest, launch
from aciflow.flow.pace import AZURE
from aciflow.flow.retry import perform
from aciflow.local.protocol import Request
from aciflow.local.runtime.starts import draw_serving_delay
from aciflow.model import ContainerGroupSpec, spec_from_image, to_arm
from aciflow.ready import Ready
from aciflow.testing.simulator import SUBSCRIPTION, TOKEN, Network, Simulator


if TYPE_CHECKING:
    from azure.core.credentials import AccessToken


__all__ = ["CASES", "CLIENTS", "Sample", "measure", "render", "replay"]

CASES: dict[str, Literal["creating", "running"]] = {"ip-early": "creating", "ip-late": "running"}
CLIENTS: dict[str, float | None] = {
    "aciflow": None,
    "sdk-default": 30.0,
    "sdk-5s": 5.0,
    "sdk-1s": 1.0,
}
LOCATION = "westus"
GROUP = "bench"
# Longer than any start: this measures detection, not patience.
TIMEOUT = 3600.0


@frozen(kw_only=True)
class Sample:
    """
    One start as one client saw it.

    Attributes:
        lateness: Seconds from the container's first possible answer to the caller's knowing; 0 where the
            caller was told earlier.
        early: The caller was told that all is well before the container served.
        arm_reads: GETs to ARM.
        probes: Connections to the container.
        probes_a_second: The most of them within less than a second.
    """

    lateness: float
    early: bool
    arm_reads: int
    probes: int
    probes_a_second: int


def replay(
    trace: Mapping[str, Any], *, case: str, client: str, seed: int, network: Network
) -> Sample:
    """
    One start, one client.

    Args:
        trace: A row of the trace file.
        case: One of :data:`CASES`.
        client: One of :data:`CLIENTS`.
        seed: Of the serving delay and of jitter; the same seed gives the same delay to all clients.
        network: Delays.
    """
    delay = draw_serving_delay(random.Random(seed))  # a simulation
    simulator = Simulator(
        traces=[trace], seed=seed, ip_visible=CASES[case], serving_delay=delay, network=network
    )
    simulator.run(
        lambda env: perform(
            env,
            ArmCall(operation="rg.put", resource_group=GROUP, body={"location": LOCATION}),
        )
    )
    simulator.counts.arm_writes = 0
    spec = spec_from_image(
        str(trace.get("image", "nginx")), name="bench", public_ip=True, new_name=lambda: ""
    )
    interval = CLIENTS[client]
    if interval is None:
        _with_aciflow(simulator, spec)
    else:
        _with_sdk(simulator, spec, interval)
    knows = simulator.world.wall()
    (uid,) = simulator.endpoint.state.machines
    serves = simulator.simulation.served_since(uid)
    assert serves is not None  # noqa: S101 (the client said that it runs)
    return Sample(
        lateness=max(0.0, knows - serves),
        early=knows < serves,
        arm_reads=simulator.counts.arm_reads,
        probes=simulator.counts.probes,
        probes_a_second=simulator.counts.most_probes_a_second,
    )


def _with_aciflow(simulator: Simulator, spec: ContainerGroupSpec) -> None:
    """The launch that ``Client.launch`` runs, in a resource group that the client knows."""
    request = LaunchRequest(
        launch_id="bench",
        spec=spec,
        resource_group=ResourceGroupRef(subscription_id=SUBSCRIPTION, name=GROUP, azure=True),
        group_known=True,
        locations=(LOCATION,),
        owner="bench",
        ready=Ready.tcp(80),
        timeout=TIMEOUT,
        pace=AZURE,
    )
    simulator.run(lambda env: launch(env, request))


class _Wire(httpx.BaseTransport):
    """Brings the SDK's requests into the simulation; time passes until the reply."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        reply = self._simulator.send(
            Request(
                method=request.method,
                path=request.url.path,
                query={name.lower(): value for name, value in request.url.params.items()},
                headers=dict(request.headers),
                body=request.read(),
            )
        )
        content = b"" if reply.body is None else json.dumps(reply.body).encode()
        return httpx.Response(reply.status, headers=dict(reply.headers), content=content)


class _VirtualTransport(HttpxTransport):
    """azure-core's pollers sleep through their transport, and so on the virtual clock."""

    def __init__(self, simulator: Simulator, client: httpx.Client) -> None:
        super().__init__(client)
        self._simulator = simulator

    def sleep(self, duration: float) -> None:
        self._simulator.world.advance(duration)


class _Credential:
    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ARG002
        from azure.core.credentials import AccessToken

        return AccessToken(TOKEN, 2**62)


def _with_sdk(simulator: Simulator, spec: ContainerGroupSpec, interval: float) -> None:
    """``begin_create_or_update(...).result()``, as the SDK's users write it."""
    from azure.mgmt.containerinstance import (  # slow to import
        ContainerInstanceManagementClient,
    )

    with httpx.Client(transport=_Wire(simulator)) as client:
        sdk = ContainerInstanceManagementClient(
            _Credential(),
            SUBSCRIPTION,
            transport=_VirtualTransport(simulator, client),
            polling_interval=interval,
            retry_total=0,
        )
        body: Any = json.dumps(to_arm(spec, location=LOCATION)).encode()
        sdk.container_groups.begin_create_or_update(
            GROUP, spec.name, body, content_type="application/json"
        ).result()


def measure(
    traces: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    network: Network | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """
    Replay all starts for all clients in both cases.

    Args:
        traces: Rows of the trace file.
        seed: Of the serving delays and of jitter.
        network: Delays; by default 0.1 s to ARM and back, and 0.03 s to the container and back.
        progress: Told what is being replayed.

    Returns:
        JSON: ``cases``, and what was assumed.
    """
    network = network or Network()
    cases = []
    for case in CASES:
        rows = []
        for client in CLIENTS:
            if progress is not None:
                progress(f"{case}, {client}")
            samples = [
                replay(trace, case=case, client=client, seed=seed * 1_000_003 + i, network=network)
                for i, trace in enumerate(traces)
            ]
            rows.append({"client": client, **_summary(samples)})
        cases.append({"case": case, "clients": rows})
    delays = [
        draw_serving_delay(random.Random(seed * 1_000_003 + i))  # a simulation
        for i in range(len(traces))
    ]
    return {
        "starts": len(traces),
        "seed": seed,
        "network_s": {"arm": network.arm, "probe": network.probe},
        "serving_delay_s": {
            "distribution": draw_serving_delay.__doc__,
            "median": median(delays),
            "max": max(delays),
        },
        "cases": cases,
    }


def _summary(samples: Sequence[Sample]) -> dict[str, Any]:
    lateness = [sample.lateness for sample in samples]
    reads = [float(sample.arm_reads) for sample in samples]
    probes = [float(sample.probes) for sample in samples]
    return {
        "lateness_s": {
            "mean": mean(lateness),
            "median": median(lateness),
            "p95": percentile(lateness, 95),
            "max": max(lateness),
        },
        "arm_reads": {"mean": mean(reads), "max": max(reads)},
        "probes": {
            "mean": mean(probes),
            "max": max(probes),
            "most_in_a_second": max(sample.probes_a_second for sample in samples),
        },
        "told_too_early": sum(sample.early for sample in samples),
    }


def render(result: Mapping[str, Any]) -> str:
    """The result as a table for people."""
    network, delay = result["network_s"], result["serving_delay_s"]
    lines = [
        f"{result['starts']} recorded starts, replayed on a virtual clock (seed {result['seed']})",
        f"ARM answers after {network['arm']:g} s, a container's network after {network['probe']:g} s",
        f"a container serves {delay['median']:.2f} s (median) to {delay['max']:.2f} s after its start",
    ]
    for case in result["cases"]:
        when = {
            "ip-early": "ARM shows the address while the group is Creating",
            "ip-late": "ARM shows the address only once the container runs",
        }[case["case"]]
        lines += [
            "",
            f"{case['case']}: {when}",
            f"{'':13}{'lateness, s':^34}  {'ARM reads':^13}  {'probes':^13}  too",
            (
                f"{'client':13}{'mean':>8} {'median':>8} {'p95':>8} {'max':>7}  {'mean':>6} {'max':>6}"
                f"  {'mean':>6} {'max':>6}  early"
            ),
        ]
        for row in case["clients"]:
            late, reads, probes = row["lateness_s"], row["arm_reads"], row["probes"]
            lines.append(
                f"{row['client']:13}{late['mean']:8.2f} {late['median']:8.2f} {late['p95']:8.2f}"
                f" {late['max']:7.2f}  {reads['mean']:6.1f} {reads['max']:6.0f}"
                f"  {probes['mean']:6.1f} {probes['max']:6.0f}  {row['told_too_early']:5}"
            )
    lines += [
        "",
        "lateness: from the container's first possible answer until the caller knows;",
        "too early: the caller was told that all is well before the container served",
    ]
    return "\n".join(lines)
