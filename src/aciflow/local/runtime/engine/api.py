"""As much of the Docker Engine API as the runtime needs."""

from __future__ import annotations

import base64
import contextlib
import json

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import httpx

from aciflow.local.protocol import RegistryAuth
from aciflow.local.runtime.engine.client import (
    EngineClient,
    EngineError,
    EngineVersion,
    Interrupt,
    Stream,
)
from aciflow.local.runtime.engine.hijack import Wire, upgrade


__all__ = ["EngineApi", "EngineError", "EngineVersion", "Interrupt", "Stream"]


class EngineApi(EngineClient):
    """What the runtime asks of one engine. Thread-safe."""

    # --- images ---------------------------------------------------------------------------

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """An image that is on the engine, or ``None``."""
        return self._inspect(f"/images/{reference}/json")

    def images(self, *labels: str) -> list[dict[str, Any]]:
        """The images with these labels, without those between the layers."""
        params = {"filters": _label_filter(labels)} if labels else {}
        found: list[dict[str, Any]] = self.request("GET", "/images/json", params=params).json()
        return found

    def distribution(
        self, reference: str, auth: RegistryAuth | None, timeout: float | None = None
    ) -> dict[str, Any]:
        """What a registry says of an image, without pulling it."""
        found: dict[str, Any] = self.request(
            "GET", f"/distribution/{reference}/json", headers=_auth_header(auth), timeout=timeout
        ).json()
        return found

    @contextlib.contextmanager
    def pull(
        self, name: str, tag: str | None, auth: RegistryAuth | None, interrupt: Interrupt
    ) -> Iterator[Stream]:
        """
        Pull an image; gives the engine's progress, in which an ``error`` may come.

        Raises:
            EngineError: It could not be begun, or was interrupted.
        """
        params = {"fromImage": name} | ({"tag": tag} if tag else {})
        # A connection of its own can be cut: an engine answers nothing while a registry is silent.
        own = EngineApi(self.address)
        own._version = self.version
        try:
            with own.stream(
                "POST",
                "/images/create",
                params=params,
                headers=_auth_header(auth),
                timeout=300.0,
                extensions={"trace": interrupt.trace},
            ) as progress:
                yield progress
        finally:
            own.close()

    def import_image(
        self, tar: bytes, name: str, changes: Iterable[str] = (), platform: str | None = None
    ) -> None:
        """Make an image ``name`` of a file system in a tar archive."""
        repository, _, tag = name.rpartition(":")
        params: list[tuple[str, str]] = [("fromSrc", "-"), ("repo", repository), ("tag", tag)]
        params += [("changes", change) for change in changes]
        if platform:
            params.append(("platform", platform))
        for line in self.request(
            "POST", "/images/create", params=params, content=tar
        ).text.splitlines():
            if "error" in (entry := json.loads(line)):
                raise EngineError(200, str(entry["error"]))

    def remove_image(self, name: str) -> None:
        """Remove an image, if it is there and nothing uses it."""
        self._remove(f"/images/{name}", {"force": "1"})

    # --- containers -----------------------------------------------------------------------

    def create(self, name: str | None, body: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Create a container, unless named by the engine; returns its id and the engine's warnings."""
        params = {} if name is None else {"name": name}
        reply = self.request("POST", "/containers/create", params=params, body=body).json()
        return str(reply["Id"]), tuple(reply.get("Warnings") or ())

    def start(self, container: str) -> None:
        """Start a container; one that runs already stays as it is."""
        self.request("POST", f"/containers/{container}/start")

    def stop(self, container: str, grace: float) -> None:
        """SIGTERM, then SIGKILL after ``grace`` seconds (whole ones, rounded up)."""
        seconds = -int(-grace // 1)
        self.request(
            "POST",
            f"/containers/{container}/stop",
            params={"t": str(seconds)},
            timeout=grace + 60.0,
        )

    def remove(self, container: str) -> None:
        """Remove a container now, whatever it does, with its anonymous volumes."""
        self._remove(f"/containers/{container}", {"force": "1", "v": "1"})

    def inspect(self, container: str) -> dict[str, Any] | None:
        """A container, or ``None`` if it is not there."""
        return self._inspect(f"/containers/{container}/json")

    def containers(self, *labels: str) -> list[dict[str, Any]]:
        """All containers with these labels, running or not."""
        params = {"all": "1", "filters": _label_filter(labels)}
        found: list[dict[str, Any]] = self.request("GET", "/containers/json", params=params).json()
        return found

    def put_archive(self, container: str, path: str, tar: bytes | Iterable[bytes]) -> None:
        """Unpack an archive below ``path``, also in a container that was never started."""
        self.request("PUT", f"/containers/{container}/archive", params={"path": path}, content=tar)

    def create_exec(self, container: str, body: Mapping[str, Any]) -> str:
        """Describe a process to be started in a running container; returns its id."""
        return str(self.request("POST", f"/containers/{container}/exec", body=body).json()["Id"])

    def start_exec(self, exec_id: str, body: Mapping[str, Any]) -> Wire:
        """Start such a process; returns the connection to it. What it cannot start, it says there."""
        path = f"/v{self.version.api}/exec/{exec_id}/start"
        return upgrade(self.address, path, body)

    def inspect_exec(self, exec_id: str) -> dict[str, Any] | None:
        """Such a process, or ``None`` if it, or its container, is not there any more."""
        return self._inspect(f"/exec/{exec_id}/json")

    def resize_exec(self, exec_id: str, rows: int, columns: int) -> None:
        """Give its terminal another size."""
        params = {"h": str(rows), "w": str(columns)}
        self.request("POST", f"/exec/{exec_id}/resize", params=params)

    @contextlib.contextmanager
    def logs(
        self,
        container: str,
        *,
        tail: int | None = None,
        timestamps: bool = False,
        since: str | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """The raw bytes of a container's output, framed unless it has a terminal."""
        params = {"stdout": "1", "stderr": "1", "timestamps": "1" if timestamps else "0"}
        params["tail"] = "all" if tail is None else str(tail)
        if since is not None:
            params["since"] = since
        with self._open("GET", f"/containers/{container}/logs", params=params) as response:
            try:
                yield response.iter_raw()
            except httpx.HTTPError as error:
                raise EngineError(0, str(error)) from error

    @contextlib.contextmanager
    def follow(self, container: str, since: str | None) -> Iterator[httpx.Response]:
        """
        A container's output until it ends, framed, with timestamps.

        Args:
            container: Which.
            since: Seconds since the epoch by the engine's clock, to the nanosecond; ``None``: all of it.
        """
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1"}
        if since is not None:
            params["since"] = since
        with self._open("GET", f"/containers/{container}/logs", params=params) as response:
            yield response

    # --- networks and volumes -------------------------------------------------------------

    def network(self, name: str) -> dict[str, Any] | None:
        """A network, or ``None`` if it is not there."""
        return self._inspect(f"/networks/{name}")

    def volumes(self, *labels: str) -> list[str]:
        """Names of the volumes with these labels."""
        found = self.request("GET", "/volumes", params={"filters": _label_filter(labels)}).json()
        return [str(volume["Name"]) for volume in found.get("Volumes") or ()]

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume, or leave the one of that name as it is."""
        self.request("POST", "/volumes/create", body={"Name": name, "Labels": dict(labels)})

    def remove_volume(self, name: str) -> None:
        """Remove a volume, if it is there."""
        self._remove(f"/volumes/{name}", {"force": "1"})


def _auth_header(auth: RegistryAuth | None) -> dict[str, str]:
    if auth is None:
        return {}
    fields = {
        "username": auth.username,
        "password": auth.password,
        "serveraddress": auth.server,
    }
    return {"x-registry-auth": base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}


def _label_filter(labels: Sequence[str]) -> str:
    return json.dumps({"label": list(labels)})
