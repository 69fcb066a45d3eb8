"""PURE: what the engine is told about a container: names, labels, limits, mounts."""

from __future__ import annotations

import json

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import frozen

from aciflow.local.protocol import ContainerRun, Mount, PortSpec


__all__ = [
    "ATTEMPT",
    "CONTAINER",
    "ENDPOINT",
    "NETWORK",
    "PAUSE",
    "RESOURCE_ID",
    "SANDBOX",
    "UID",
    "Place",
    "Restarts",
    "Sandbox",
    "container_body",
    "container_name",
    "group_labels",
    "pause_body",
    "volume_name",
]

ENDPOINT = "aciflow.endpoint"
UID = "aciflow.uid"
RESOURCE_ID = "aciflow.resource-id"
CONTAINER = "aciflow.container"
ATTEMPT = "aciflow.attempt"
PAUSE = "aciflow.pause"
SANDBOX = "aciflow.sandbox"
"""Labels. Whatever carries the first belongs to that endpoint, and is removed with it."""

NETWORK = "bridge"
"""
The engine's default network, and Podman's name for its own.

On a network of the user's Docker sets up its DNS server in each container, which takes 100 ms.
"""

_GB = 1024**3
_LEAST_MEMORY = 6 * 1024**2  # what engines accept at least

Restarts: TypeAlias = Literal["always", "on-failure", "never"]
"""Which ends of a container are followed by another start."""


@frozen(kw_only=True)
class Place:
    """
    Where a group lives.

    Attributes:
        mode: How it is reached; ``none`` for a group without an address.
        ip: Its address: the container's own (``bridge``, known once it runs), or the one that ports are
            published on.
    """

    mode: str
    ip: str | None = None


@frozen(kw_only=True)
class Sandbox:
    """
    What all containers of a group have in common.

    Attributes:
        hostname: The group's name.
        ports: Of its address.
        restarts: As in :class:`~aciflow.local.protocol.OpenSandbox`.
        place: Where the group lives.
        probed: TCP ports that are also published since this machine, which probes them, does not reach
            containers at their own addresses.
    """

    hostname: str
    ports: tuple[PortSpec, ...] = ()
    restarts: Restarts = "never"
    place: Place
    probed: tuple[int, ...] = ()

    @property
    def published(self) -> tuple[PortSpec, ...]:
        """All ports that are reached elsewhere than at the container's own address."""
        if self.place.mode not in {"loopback", "mapped"}:
            return ()
        probed = (PortSpec(port=port) for port in self.probed)
        return tuple(dict.fromkeys((*self.ports, *probed)))

    def dump(self) -> str:
        """As a label's value: a process that adopts the group learns all it needs from it."""
        ports = [[port.port, port.protocol] for port in self.ports]
        place = self.place
        return json.dumps(
            [self.hostname, ports, self.restarts, place.mode, place.ip, list(self.probed)]
        )

    @classmethod
    def parse(cls, text: str) -> Sandbox:
        """What :meth:`dump` wrote."""
        hostname, ports, restarts, mode, ip, *more = json.loads(text)
        return cls(
            hostname=hostname,
            ports=tuple(PortSpec(port=port, protocol=kind) for port, kind in ports),
            restarts=restarts,
            place=Place(mode=mode, ip=ip),
            probed=tuple(more[0]) if more else (),
        )


def group_labels(endpoint_id: str, uid: str, resource_id: str) -> dict[str, str]:
    """Labels of everything that belongs to a group."""
    return {ENDPOINT: endpoint_id, UID: uid, RESOURCE_ID: resource_id}


def container_name(uid: str, container: str, attempt: int | None = None) -> str:
    """A container's name on the engine, unique over groups, their incarnations and attempts."""
    return "-".join(["aciflow", uid, container, *([] if attempt is None else [str(attempt)])])


def volume_name(uid: str, volume: str) -> str:
    """A volume's name on the engine."""
    return f"aciflow-{uid}-{volume}"


def pause_body(sandbox: Sandbox, image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The container that owns a group's namespaces."""
    body = {"Image": image, "Labels": {**labels, PAUSE: "1", SANDBOX: sandbox.dump()}}
    host = {"IpcMode": "shareable", "Memory": _LEAST_MEMORY, "MemorySwap": _LEAST_MEMORY}
    return _with_network(body, host, sandbox)


def container_body(
    run: ContainerRun,
    *,
    attempt: int,
    labels: Mapping[str, str],
    uid: str,
    sandbox: Sandbox,
    pause_id: str | None,
    processors: int,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    The engine's body for one container, and notes about what it cannot have in full.

    Args:
        run: What shall run.
        attempt: For the label.
        labels: Of the group.
        uid: The group's.
        sandbox: The group's.
        pause_id: Whose namespaces it joins; ``None`` if it is its group's only container.
        processors: How many the engine's machine has; an engine refuses a limit above.
    """
    notes = []
    host: dict[str, Any] = {"Privileged": run.privileged}
    if run.cpu is not None:
        cpu = min(run.cpu, float(processors))
        if cpu < run.cpu:
            notes.append(f"cpu {run.cpu:g} limited to the {processors} of this engine's machine")
        host["NanoCpus"] = round(cpu * 1e9)
    if run.memory_gb is not None:
        # Without the same limit for both, the engine would grant as much again in swap.
        host["Memory"] = host["MemorySwap"] = max(round(run.memory_gb * _GB), _LEAST_MEMORY)
    if run.mounts:
        host["Mounts"] = [_mount(uid, mount) for mount in run.mounts]
    body: dict[str, Any] = {
        "Image": run.image,
        "Env": [f"{name}={value}" for name, value in run.env.items()],
        "Labels": {
            **labels,
            CONTAINER: run.name,
            ATTEMPT: str(attempt),
            SANDBOX: sandbox.dump(),
        },
    }
    if run.command:
        body["Entrypoint"] = list(run.command)
        body["Cmd"] = []
    if run.run_as_user is not None:
        group = "" if run.run_as_group is None else f":{run.run_as_group}"
        body["User"] = f"{run.run_as_user}{group}"
    if pause_id is not None:
        host["NetworkMode"] = host["IpcMode"] = f"container:{pause_id}"
        body["HostConfig"] = host
        return body, tuple(notes)
    return _with_network(body, host, sandbox), tuple(notes)


def _mount(uid: str, mount: Mount) -> dict[str, Any]:
    common = {"Target": mount.path, "ReadOnly": mount.read_only}
    if mount.kind == "azure_file":
        return {"Type": "bind", "Source": mount.folder, **common}
    return {
        "Type": "volume",
        "Source": volume_name(uid, mount.key),
        **common,
        # A volume of ACI hides what the image has there.
        "VolumeOptions": {"NoCopy": True},
    }


def _with_network(body: dict[str, Any], host: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    body["Hostname"] = sandbox.hostname
    host["NetworkMode"] = NETWORK
    place = sandbox.place
    if sandbox.published:
        keys = [f"{port.port}/{port.protocol.lower()}" for port in sandbox.published]
        body["ExposedPorts"] = {key: {} for key in keys}
        host["PortBindings"] = {
            key: [
                {
                    "HostIp": place.ip or "",
                    # Mapped: any free one, and the pause container keeps it.
                    "HostPort": key.partition("/")[0] if place.mode == "loopback" else "",
                }
            ]
            for key in keys
        }
    body["HostConfig"] = host
    return body
