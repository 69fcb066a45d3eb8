"""Probes of simulated containers: what a client has instead of the network, and an endpoint needs not."""

from __future__ import annotations

from aciflow.flow.effects import HttpProbe, ProbeResult, TcpProbe
from aciflow.local.runtime.simulated import SimulatedRuntime


__all__ = ["SimulatedProber"]


class SimulatedProber:
    """
    Probes simulated containers, at once and without a network.

    Args:
        runtime: Whose containers.
    """

    def __init__(self, runtime: SimulatedRuntime) -> None:
        self._runtime = runtime

    def probe(self, probe: TcpProbe | HttpProbe) -> ProbeResult:
        """What a probe at this moment sees. An HTTP server answers 200 to everything."""
        serves = self._runtime.serves(probe.host, probe.port)
        if serves is None:
            return ProbeResult(ready=False, reason="timeout", detail="nothing at that address")
        if not serves:
            return ProbeResult(ready=False, reason="refused", detail="nothing listens yet")
        if isinstance(probe, HttpProbe) and 200 not in probe.status:
            return ProbeResult(ready=False, reason="status", detail="HTTP 200")
        return ProbeResult(ready=True, reason="ok", detail="simulated")
