"""What a scenario has at hand: names, requests, checks, and a memory of what it must remove."""

from __future__ import annotations

import contextlib
import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field, frozen

from aciflow.errors import AciflowError
from aciflow.verify.arm import Arm
from aciflow.verify.exchange import Exchange


if TYPE_CHECKING:
    from aciflow.client import Client


__all__ = ["FOREVER", "Check", "NoImageError", "Place", "Stage", "shell"]

_R = TypeVar("_R")

_NO_IMAGE = ("InaccessibleImage", "RegistryErrorResponse")

PROVISIONING = 600.0
"""Seconds that a start may take; the slowest one ever recorded took 624 s, but not with this image."""

FOREVER = "while :; do sleep 1; done"
"""A script that ends when it is told to."""


def shell(script: str) -> list[str]:
    """The command that runs a script."""
    return ["/bin/sh", "-c", script]


class NoImageError(AciflowError):
    """The image of the whole run cannot be had, so no other scenario can go on either."""


@frozen(kw_only=True)
class Place:
    """
    Where a run works.

    Attributes:
        resource_group: Its own, made for it.
        location: The region.
        image: Serves HTTP on port 80 by itself, and has ``/bin/sh``.
        run: A few letters that make its names unlike another run's.
        reachable: Whether this machine may open connections to public addresses of groups.
    """

    resource_group: str
    location: str
    image: str
    run: str
    reachable: bool = True


@frozen(kw_only=True)
class Check:
    """Something that a scenario expects, and whether it was so."""

    text: str
    ok: bool
    detail: str = ""


@define
class Stage:
    """
    A scenario's view of the endpoint.

    Attributes:
        client: Makes an aciflow client of the same endpoint.
        checks: What was expected so far.
        answers: To questions of :mod:`aciflow.verify.questions`: id to what was seen, in order.
        starts: Starts that were watched, for the traces.
        made: Container groups that exist, by name, with vCPU, GB and when they were asked for.
        used: vCPU-seconds and GB-seconds of the groups that are gone.
    """

    arm: Arm
    place: Place
    client: Callable[[], Client]
    checks: list[Check] = field(factory=list)
    answers: dict[str, list[str]] = field(factory=dict)
    starts: list[dict[str, Any]] = field(factory=list)
    made: dict[str, tuple[float, float, float]] = field(factory=dict)
    used: list[float] = field(factory=lambda: [0.0, 0.0])

    # --- names and bodies -------------------------------------------------------------------

    def name(self, what: str) -> str:
        """The name of a container group of this run."""
        return f"v{self.place.run}-{what}"

    @property
    def home(self) -> str:
        """The path of the resource group."""
        return f"{self.arm.subscription}/resourceGroups/{self.place.resource_group}"

    def path(self, name: str, more: str = "") -> str:
        """The path of a container group, or of something below it."""
        return f"{self.home}/providers/Microsoft.ContainerInstance/containerGroups/{name}{more}"

    def location_path(self, what: str) -> str:
        """A path of the region."""
        return (
            f"{self.arm.subscription}/providers/Microsoft.ContainerInstance/locations"
            f"/{self.place.location}/{what}"
        )

    def container(
        self,
        name: str,
        command: Sequence[str] = (),
        *,
        cpu: float = 1.0,
        memory: float = 1.0,
        **properties: Any,
    ) -> dict[str, Any]:
        """A container of the run's image."""
        body: dict[str, Any] = {
            "image": self.place.image,
            "resources": {"requests": {"cpu": cpu, "memoryInGB": memory}},
            **properties,
        }
        if command:
            body["command"] = list(command)
        return {"name": name, "properties": body}

    def group(self, *containers: dict[str, Any], **properties: Any) -> dict[str, Any]:
        """The body of a container group."""
        return {
            "location": self.place.location,
            "tags": {"aciflow-verify": self.place.run},
            "properties": {"osType": "Linux", "containers": list(containers), **properties},
        }

    def web(self, name: str, **properties: Any) -> dict[str, Any]:
        """The body of a group that serves HTTP on a public address."""
        ports = [{"port": 80, "protocol": "TCP"}]
        address = {"type": "Public", "ports": ports}
        return self.group(self.container(name, ports=ports), **{"ipAddress": address, **properties})

    # --- requests -----------------------------------------------------------------------------

    def send(self, method: str, path: str, body: Any = None, **how: Any) -> Exchange:
        """One request, see :meth:`Arm.send`."""
        return self.arm.send(method, path, body, **how)

    def put(self, name: str, body: Mapping[str, Any], *, step: str, **how: Any) -> Exchange:
        """
        Ask for a group; whatever comes of it is removed at the end.

        Raises:
            NoImageError: The run's own image cannot be had.
        """
        inside = [one.get("properties", {}) for one in body["properties"].get("containers", ())]
        requests = [one.get("resources", {}).get("requests") or {} for one in inside]
        size = (
            sum(float(one.get("cpu") or 0) for one in requests),
            sum(float(one.get("memoryInGB") or 0) for one in requests),
        )
        self.made.setdefault(name, (*size, time.time()))
        seen = self.send("PUT", self.path(name), body, step=step, **how)
        if 400 <= seen.status < 500 and seen.status != 409:
            self.made.pop(name, None)
        if seen.code in _NO_IMAGE and all(one["image"] == self.place.image for one in inside):
            raise NoImageError(f"{seen.code}: {seen.message}")
        return seen

    def refused(
        self,
        step: str,
        body: Mapping[str, Any],
        codes: Sequence[str] = (),
        *,
        name: str = "refused",
        **how: Any,
    ) -> Exchange:
        """A PUT that must be refused and leave nothing; one that is not, is deleted again."""
        name = self.name(name)
        seen = self.put(name, body, step=step, **how)
        known = f"{seen.status} {seen.code}: {seen.message}"
        self.answer("refusals", f"{step}: {known}")
        self.check(f"{step} is refused", 400 <= seen.status < 500, known)
        if codes and 400 <= seen.status < 500:
            self.check(f"{step} has code {' or '.join(codes)}", seen.code in codes, known)
        if name in self.made:
            self.delete(name, step=f"{step}, deleted")
        return seen

    def get(self, name: str, *, step: str, **how: Any) -> Exchange:
        """Read a group."""
        return self.send("GET", self.path(name), step=step, **how)

    def delete(self, name: str, *, step: str = "delete") -> Exchange:
        """Delete a group, and know that it is gone."""
        seen = self.send("DELETE", self.path(name), step=step)
        if seen.status == 202:
            self.arm.poll(seen, step=f"{step}, operation", timeout=PROVISIONING)
        self.gone(name)
        return seen

    def gone(self, name: str) -> None:
        """A group costs nothing any more."""
        cpu, memory, since = self.made.pop(name, (0.0, 0.0, time.time()))
        self.used[0] += cpu * (time.time() - since)
        self.used[1] += memory * (time.time() - since)

    def launch(self, what: str, body: Mapping[str, Any], *, timeout: float = PROVISIONING) -> str:
        """
        Make a group and wait until its operation has ended; its start goes to the traces.

        Returns:
            Its name.

        Raises:
            AciflowError: It was refused or has failed.
        """
        name = self.name(what)
        begun = self.put(name, body, step=f"{what}: PUT")
        if begun.status not in (200, 201):
            raise AciflowError(f"{what}: PUT {begun.status} {begun.code}: {begun.message}")
        ended = self.arm.poll(begun, step=f"{what}: operation", timeout=timeout)
        status = ended.response.get("status") if isinstance(ended.response, dict) else None
        if status != "Succeeded":
            raise AciflowError(f"{what}: the operation has ended as {status}: {ended.message}")
        shown = self.until(
            f"{what}: GET",
            lambda: self.get(name, step=f"{what}: GET"),
            lambda seen: _started(seen.response),
            timeout=timeout,
        )
        self._trace(body, begun, ended, shown)
        return name

    def until(
        self,
        step: str,
        ask: Callable[[], _R],
        enough: Callable[[_R], bool],
        *,
        timeout: float = PROVISIONING,
        every: float = 1.0,
    ) -> _R:
        """
        Ask again and again.

        Raises:
            AciflowError: It was not enough in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            seen = ask()
            if enough(seen):
                return seen
            if time.monotonic() > deadline:
                raise AciflowError(f"{step}: not as expected after {timeout:.0f} s")
            time.sleep(every)

    def logs(self, name: str, container: str, *, step: str, **query: str) -> Exchange:
        """A container's log."""
        return self.send(
            "GET", self.path(name, f"/containers/{container}/logs"), step=step, query=query
        )

    # --- what is found --------------------------------------------------------------------------

    def check(self, text: str, ok: object, detail: object = "") -> bool:
        """Note an expectation."""
        self.checks.append(Check(text=text, ok=bool(ok), detail="" if ok else str(detail)))
        return bool(ok)

    def answer(self, question: str, text: str) -> None:
        """Note what was seen about something that nobody knows."""
        self.answers.setdefault(question, []).append(text)

    @contextlib.contextmanager
    def removing(self) -> Iterator[None]:
        """Delete, at the end, every group of this run that still exists."""
        try:
            yield
        finally:
            for name in list(self.made):
                with contextlib.suppress(AciflowError):  # the resource group goes as a whole, later
                    self.delete(name, step=f"clean-up: {name.partition('-')[2]}")

    def _trace(
        self, body: Mapping[str, Any], begun: Exchange, ended: Exchange, shown: Exchange
    ) -> None:
        from aciflow.verify.traces import start_of

        found = start_of(body, begun, ended, shown)
        if found is not None:
            self.starts.append(found)


def _started(body: Any) -> bool:
    if not isinstance(body, dict):
        return False
    containers = body.get("properties", {}).get("containers", ())
    views = [one["properties"].get("instanceView", {}) for one in containers]
    return bool(views) and all("startTime" in view.get("currentState", {}) for view in views)
