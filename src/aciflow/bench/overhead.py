"""
What aciflow's local endpoint costs over the engine it runs on.

Both do the same: create a container of the same image and limits, start it, and read the first byte that
it serves. One asks the Engine API directly, the other goes through a launch: specs, flow, Azure's SDK,
ARM's wire protocol, the group controller, the runtime, readiness. They take turns, in an order drawn anew
each round, on a warm engine; deleting is not counted.
"""

from __future__ import annotations

import os
import random
import socket
import time

from typing import TYPE_CHECKING, Any

from aciflow.bench.image import web_image
from aciflow.bench.stats import bootstrap, median
from aciflow.ready import Ready


if TYPE_CHECKING:
    from aciflow.client import Client
    from aciflow.local.runtime.engine.api import EngineApi


__all__ = ["MOST", "measure", "report"]

MOST = 1.3
"""The median ratio may be at most this."""

_CPU = 1.0
_MEMORY_GB = 1.5
_PORT = 80
_LABEL = "aciflow.bench"
_LONGEST = 60.0


def measure(rounds: int, *, image: str | None = None, seed: int = 0) -> dict[str, Any]:
    """
    Launch ``rounds`` times each way.

    Args:
        rounds: At least 1.
        image: One that the engine has and that serves on port 80; ``None`` makes one.
        seed: Of the order and of the interval.

    Returns:
        JSON: ``ratio`` (the median of aciflow's time over the engine's, round by round, with its 95 %
        bootstrap interval), and all samples.

    Raises:
        EngineUnavailableError: There is no engine.
        ConfigurationError: There is no image.
    """
    from aciflow.local import LocalAzure
    from aciflow.local.runtime.engine.address import require_engine
    from aciflow.local.runtime.engine.api import EngineApi

    api = EngineApi(require_engine())
    generator = random.Random(seed)
    samples: dict[str, list[float]] = {"engine_s": [], "aciflow_s": []}
    timelines = []
    try:
        with (
            web_image(api, image) as reference,
            LocalAzure("engine") as local,
            local.client() as client,
        ):
            plain = _Plain(api)
            # The first of each makes connections, and is nobody's.
            plain.launch(reference)
            _through_aciflow(client, reference)
            for _ in range(rounds):
                ways = ["engine_s", "aciflow_s"]
                generator.shuffle(ways)
                for way in ways:
                    if way == "engine_s":
                        samples[way].append(plain.launch(reference))
                    else:
                        took, timeline = _through_aciflow(client, reference)
                        samples[way].append(took)
                        timelines.append(timeline)
    finally:
        api.close()
    ratios = [
        ours / theirs
        for ours, theirs in zip(samples["aciflow_s"], samples["engine_s"], strict=True)
    ]
    return {
        "benchmark": "overhead",
        "rounds": rounds,
        "image": reference,
        "engine": api.version.name,
        "ratio": bootstrap(ratios, seed=seed).to_dict(),
        "most": MOST,
        "met": median(ratios) <= MOST,
        "median_s": {name: median(found) for name, found in samples.items()},
        "samples": samples | {"ratios": ratios},
        "timelines": timelines,
    }


def report(measured: dict[str, Any]) -> str:
    """The figures for people."""
    ratio, medians = measured["ratio"], measured["median_s"]
    return f"""\
create, start, first byte of {measured["image"]} on {measured["engine"]},
{measured["rounds"]} rounds, interleaved

Engine API   {medians["engine_s"] * 1000:6.0f} ms  median
aciflow      {medians["aciflow_s"] * 1000:6.0f} ms  median
ratio        {ratio["median"]:6.2f}     95 % interval {ratio["low"]:.2f} to {ratio["high"]:.2f},\
 at most {measured["most"]:g}: {"met" if measured["met"] else "MISSED"}"""


def _through_aciflow(client: Client, image: str) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    # Ready.http is ready with the first byte of an answer, which is where the other way stops too.
    with client.launch(
        image, public_ip=True, cpu=_CPU, memory_gb=_MEMORY_GB, ready=Ready.http("/")
    ) as group:
        return time.perf_counter() - began, group.timeline.to_dict()


class _Plain:
    """
    The engine itself, on the network that it gives containers by default.

    It uses the connections of :class:`EngineApi`, and none of the runtime above it.
    """

    def __init__(self, api: EngineApi) -> None:
        self._api = api
        self._processors = float(api.info().get("NCPU") or os.cpu_count() or 1)

    def launch(self, image: str) -> float:
        """Seconds from nothing to the first byte."""
        began = time.perf_counter()
        body = {
            "Image": image,
            "Labels": {_LABEL: str(os.getpid())},
            "HostConfig": {
                "NanoCpus": round(min(_CPU, self._processors) * 1e9),
                "Memory": round(_MEMORY_GB * 1024**3),
                "MemorySwap": round(_MEMORY_GB * 1024**3),
            },
        }
        made = self._api.request("POST", "/containers/create", body=body).json()["Id"]
        try:
            self._api.request("POST", f"/containers/{made}/start")
            state = self._api.request("GET", f"/containers/{made}/json").json()
            networks = state["NetworkSettings"]["Networks"].values()
            _first_byte(next(iter(networks))["IPAddress"], _PORT)
            return time.perf_counter() - began
        finally:
            self._api.remove(made)


def _first_byte(host: str, port: int) -> None:
    """
    Ask until something answers.

    Raises:
        TimeoutError: Nothing did for a minute.
    """
    until = time.perf_counter() + _LONGEST
    request = f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()
    while time.perf_counter() < until:
        try:
            with socket.create_connection((host, port), timeout=5.0) as connection:
                connection.sendall(request)
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.002)
    raise TimeoutError(f"nothing answered on {host}:{port}")
