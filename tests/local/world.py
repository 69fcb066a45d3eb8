"""An endpoint on a virtual clock with simulated containers: a heap, and nothing that waits."""

from __future__ import annotations

import heapq
import itertools
import json

from collections.abc import Callable, Mapping
from typing import Any

from aciflow.local.endpoint import Endpoint
from aciflow.local.protocol import (
    Action,
    ImageAnswer,
    Observation,
    Question,
    Reply,
    Request,
    ResolveImages,
)
from aciflow.local.runtime.simulation import Simulation


SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TENANT = "99999999-2222-3333-4444-555555555555"
START = 1_700_000_000.0
TRACE = {"pulling": 4.0, "pulled": 6.0, "started": 10.0}


def container(name: str = "web", **properties: Any) -> dict[str, Any]:
    """A container as ARM wants it."""
    return {
        "name": name,
        "properties": {
            "image": "nginx:1.27",
            "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.5}},
            **properties,
        },
    }


def group(
    *containers: dict[str, Any], ports: tuple[int, ...] = (80,), **more: Any
) -> dict[str, Any]:
    """A PUT body; without ``ports`` a group without an address."""
    properties: dict[str, Any] = {
        "containers": list(containers) or [container()],
        "osType": "Linux",
        **more,
    }
    if ports:
        properties["ipAddress"] = {
            "type": "Public",
            "ports": [{"port": port, "protocol": "TCP"} for port in ports],
        }
    return {"location": "westus", "properties": properties}


class World:
    """
    Drives an endpoint as a host does, on a clock of its own.

    Args:
        traces: What happens to the groups, in order.
        options: For the endpoint.
    """

    def __init__(
        self, *traces: Mapping[str, Any], ip_visible: Any = "creating", **options: Any
    ) -> None:
        numbers = itertools.count(1)
        self.now = START
        self.simulation = Simulation(
            traces=traces or [TRACE], ip_visible=ip_visible, serving_delay=0.3
        )
        self.endpoint = Endpoint(
            subscription_id=SUBSCRIPTION,
            tenant_id=TENANT,
            token_check=lambda token: token == "good",
            new_id=lambda: f"00000000-0000-0000-0000-{next(numbers):012d}",
            **options,
        )
        self.actions: list[Action] = []
        self.image_problems: dict[str, Any] = {}
        self._heap: list[tuple[float, int, Observation]] = []
        self._order = itertools.count()

    # --- requests --------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "good",
        version: str | None = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        query: Mapping[str, str] | None = None,
        **more: str,
    ) -> Reply:
        """
        One request, answered at the present time; ``more`` goes into the query.

        Without a ``version`` it has one that who answers at the path knows.
        """
        query = {**(query or {}), **more}
        if version == "":
            own = "/providers/microsoft.containerinstance/" in path.lower()
            own = own and not path.lower().endswith(("register", "resourcetypes", "tags/default"))
            version = "2023-05-01" if own else "2021-04-01"
        if version is not None:
            query["api-version"] = version
        if raw is None:
            raw = b"" if body is None else json.dumps(body).encode()
        sent = dict(headers or {})
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        request = Request(
            method=method,
            path=path,
            query=query,
            headers=sent,
            body=raw,
            base_url="https://arm.test",
        )
        reply = self.endpoint.handle(request, self.now)
        if not isinstance(reply, Reply):
            reply = self.endpoint.handle(request, self.now, answer=self.answer(reply))
        assert isinstance(reply, Reply)
        json.dumps(reply.body)  # nothing but JSON ever leaves
        self._tick([])
        return reply

    def answer(self, question: Question) -> Any:
        """The runtime's answer; images in ``image_problems`` have that problem."""
        if isinstance(question, ResolveImages) and self.image_problems:
            return tuple(
                ImageAnswer(
                    image=image,
                    problem=self.image_problems.get(image),
                    detail="(the registry's words)",
                )
                for image in question.images
            )
        return self.simulation.answer(question)

    def group_path(self, name: str = "web", home: str = "rg", more: str = "") -> str:
        """The path of a container group."""
        return (
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{home}/providers"
            f"/Microsoft.ContainerInstance/containerGroups/{name}{more}"
        )

    def make_home(self, home: str = "rg") -> Reply:
        """PUT a resource group."""
        path = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/{home}"
        return self.request("PUT", path, {"location": "westus"})

    def put(self, body: dict[str, Any] | None = None, name: str = "web", **options: Any) -> Reply:
        """PUT a group; its resource group is made if need be."""
        self.make_home()
        return self.request("PUT", self.group_path(name), body or group(), **options)

    def get(self, name: str = "web", **options: Any) -> dict[str, Any]:
        """The body of a GET that succeeds."""
        reply = self.request("GET", self.group_path(name), **options)
        assert reply.status == 200, reply.body
        body: dict[str, Any] = reply.body
        return body

    def view(self, place: int = 0, name: str = "web", key: str = "containers") -> dict[str, Any]:
        """The instance view of one container; empty where there is none."""
        properties = self.get(name)["properties"][key][place]["properties"]
        view: dict[str, Any] = properties.get("instanceView", {})
        return view

    def states(self, name: str = "web") -> tuple[str, str]:
        """Provisioning state and the group's own."""
        properties = self.get(name)["properties"]
        return properties["provisioningState"], properties["instanceView"]["state"]

    # --- time ------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while True:
            wake = self._tick([])
            times = [at for at, _, _ in self._heap[:1]] + ([wake] if wake is not None else [])
            if not times or min(times) > until:
                break
            self.now = max(self.now, min(times))
            seen = []
            while self._heap and self._heap[0][0] <= self.now:
                seen.append(heapq.heappop(self._heap)[2])
            self._tick(seen)
        self.now = until

    def run_until(self, done: Callable[[], bool], limit: float = 4000.0) -> float:
        """Let time pass in steps of 0.25 s until something holds; the seconds that it took."""
        began = self.now
        while not done():
            assert self.now < began + limit, "it never came"
            self.run(0.25)
        return self.now - began

    def observe(self, *seen: Observation) -> None:
        """Tell the endpoint something that the simulation did not."""
        self._tick(list(seen))

    def _tick(self, seen: list[Observation]) -> float | None:
        actions, wake = self.endpoint.tick(seen, self.now)
        for action in actions:
            self.actions.append(action)
            for at, later in self.simulation.schedule(action, self.now):
                heapq.heappush(self._heap, (at, next(self._order), later))
        return wake
