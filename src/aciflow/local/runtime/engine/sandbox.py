"""Open a group's sandbox, and create and start containers in it."""

from __future__ import annotations

import contextlib
import time

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from aciflow.local.protocol import ContainerRun, OpenSandbox, PortSpec
from aciflow.local.runtime.engine.addresses import Addresses
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import (
    Sandbox,
    container_body,
    container_name,
    group_labels,
    pause_body,
)
from aciflow.local.runtime.engine.groups import Group, Member
from aciflow.local.runtime.engine.ownimage import OwnImage
from aciflow.local.runtime.engine.volumes import Volumes


__all__ = ["Sandboxes"]

_PATIENCE = 3.0
"""Seconds for which an address or a port that was just given back may still be held."""

_PASSED_OVER = 8
"""How many free addresses below its own a group may have when its container ends and comes back."""

_KEPT = 1
"""How many earlier attempts of a container stay for their logs."""


class Sandboxes:
    """
    What an endpoint makes on its engine, one group at a time.

    Args:
        api: The engine.
        endpoint_id: For labels and names.
        addresses: Where groups can live.
        image: What pause containers are made of.
    """

    def __init__(
        self, api: EngineApi, endpoint_id: str, addresses: Addresses, image: OwnImage
    ) -> None:
        self._api = api
        self._endpoint_id = endpoint_id
        self._addresses = addresses
        self._image = image
        self._volumes = Volumes(api, endpoint_id, lambda name, body: self._create(name, body)[0])

    def open(self, group: Group, action: OpenSandbox) -> dict[int, tuple[str, int]]:
        """
        Give a group its place; returns where its ports are, if they are elsewhere.

        Raises:
            EngineError, OSError, LookupError, ValueError: It cannot be had; the message says why.
        """
        if group.sandbox is None:
            probed = [PortSpec(port=port) for port in action.probe_ports]
            group.sandbox = Sandbox(
                hostname=action.name,
                ports=action.ports,
                restarts=action.restarts,
                place=self._addresses.open(group.uid, action.ports, probed),
                probed=action.probe_ports if probed and not self._addresses.direct else (),
            )
        # What engines map ports to is known once something runs, and must outlive restarts.
        mapped = group.sandbox.place.mode == "mapped"
        if group.pause_id is None and (action.containers > 1 or mapped):
            group.pause_id = self._pause(group, group.sandbox)
        return self._mapped_ports(group, group.sandbox)

    def _mapped_ports(self, group: Group, sandbox: Sandbox) -> dict[int, tuple[str, int]]:
        if sandbox.place.mode != "mapped" or group.pause_id is None:
            return {}
        wanted = {port.port for port in sandbox.ports}
        found = self._mapped(group.pause_id)
        return {port: where for port, where in found.items() if port in wanted}

    def hold(self, group: Group, ended: Member) -> None:
        """
        Take the place of a group's only container until it comes back, and for all that comes after.

        An engine gives its lowest free address: the one that was given back just now, unless somebody
        else was quicker, or one below is free again, which is passed over.

        Raises:
            EngineError, ValueError: There can be no pause container.
        """
        sandbox = group.sandbox
        if sandbox is None:
            return
        self._api.inspect(ended.id)  # is answered when the engine is done with the container
        below: list[str] = []
        try:
            made = self._pause(group, sandbox)
            while len(below) < _PASSED_OVER and self._is_below(made, sandbox.place.ip):
                below.append(made)
                made = self._pause(group, sandbox, len(below))
            group.pause_id = made
        finally:
            for spare in below:
                with contextlib.suppress(EngineError):  # the group's end tries again
                    self._api.remove(spare)

    def renew(self, group: Group) -> dict[int, tuple[str, int]] | None:
        """
        Start a group's pause container again, or another one, if it has ended, whoever ended it.

        What runs without it has no network any more: it is killed, as the kubelet does it.

        Returns:
            Where its ports are, if they are elsewhere; ``None`` where there was nothing to do.

        Raises:
            EngineError, ValueError: There can be no pause container.
        """
        sandbox, held = group.sandbox, group.pause_id
        if sandbox is None or held is None or self._runs(held):
            return None
        for member in list(group.members.values()):
            if member.id:
                with contextlib.suppress(EngineError):  # it may have ended, too
                    self._api.stop(member.id, 0.0)
        try:
            self._start(held)
        except EngineError:
            with contextlib.suppress(EngineError):  # most likely it is what is not there
                self._api.remove(held)
            group.pause_id = self._pause(group, sandbox)
        return self._mapped_ports(group, sandbox)

    def _runs(self, container: str) -> bool:
        state = (self._api.inspect(container) or {}).get("State") or {}
        return bool(state.get("Running"))

    def _is_below(self, container: str, wanted: str | None) -> bool:
        found = self.address_of(container)
        return found is not None and wanted is not None and IPv4Address(found) < IPv4Address(wanted)

    def _pause(self, group: Group, sandbox: Sandbox, number: int | None = None) -> str:
        self._image.ensure()
        labels = group_labels(self._endpoint_id, group.uid, group.resource_id)
        body = pause_body(sandbox, self._image.name, labels)
        made, _ = self._create(container_name(group.uid, "pause", number), body)
        try:
            self._start(made)
        except EngineError:
            with contextlib.suppress(EngineError):  # the group's end tries again
                self._api.remove(made)
            raise
        return made

    def reach(self, group: Group, member: Member, port: int) -> tuple[str, int]:
        """
        Where this machine reaches a TCP port of a container.

        Raises:
            LookupError: It has no address now.
            EngineError: The engine does not say.
        """
        holder = group.pause_id or member.id
        sandbox = group.sandbox
        if sandbox is not None and port in sandbox.probed:
            host, reached = self._mapped(holder).get(port, ("", 0))
            if not host:
                raise LookupError(f"port {port} is not published")
            return (sandbox.place.ip or host) if sandbox.place.mode == "loopback" else host, reached
        ip = self.address_of(holder)
        if ip is None:
            raise LookupError("the container has no address")
        return ip, port

    def address_of(self, container: str) -> str | None:
        """A container's address on the engine's network; ``None`` unless it runs."""
        found = self._api.inspect(container) or {}
        networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
        return next((str(one["IPAddress"]) for one in networks.values() if one["IPAddress"]), None)

    def create(self, group: Group, member: Member, run: ContainerRun) -> tuple[str, ...]:
        """
        Create a container and give ``member`` its id; returns notes about what it cannot have in full.

        Raises:
            EngineError: It could not be created, or a volume of it cannot be had.
        """
        sandbox = group.sandbox
        if sandbox is None:
            raise EngineError(0, "the group has no sandbox")
        self._volumes.ensure(group, run)
        processors = 1024
        if run.cpu is not None and run.cpu > 1:
            processors = int(self._api.info().get("NCPU") or processors)
        body, notes = container_body(
            run,
            attempt=member.attempt,
            labels=group_labels(self._endpoint_id, group.uid, group.resource_id),
            uid=group.uid,
            sandbox=sandbox,
            pause_id=group.pause_id,
            processors=processors,
        )
        for earlier in member.previous[-_KEPT:]:
            with contextlib.suppress(
                EngineError
            ):  # somebody else may have started it again, or removed it
                self._api.stop(earlier, 0.0)
        while len(member.previous) > _KEPT:
            self._api.remove(member.previous[0])
            member.previous = member.previous[1:]
        name = container_name(group.uid, run.name, member.attempt)
        try:
            member.id, _ = self._create(name, body)
        except EngineError as error:
            image = self._image_of(member) if error.status == 404 else None
            if image is None:
                raise
            # Its name was taken away; what ran, and now comes back, is still here.
            member.id, _ = self._create(name, {**body, "Image": image})
        return notes

    def _image_of(self, member: Member) -> str | None:
        """The id of the image that the container ran before."""
        found = self._api.inspect(member.previous[-1]) if member.previous else None
        return str(found["Image"]) if found and found.get("Image") else None

    def start(self, group: Group, member: Member) -> None:
        """
        Start a container that was created.

        Raises:
            EngineError: It could not be started.
        """
        try:
            self._start(member.id)
        except EngineError as error:
            # The engine was restarted, and the group's namespaces are gone with the pause container.
            if group.pause_id is None or "running container" not in error.message:
                raise
            self._start(group.pause_id)
            self._start(member.id)

    def _create(self, name: str, body: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        try:
            return self._api.create(name, body)
        except EngineError as error:
            if error.status != 409:
                raise
        # The name holds the group's uid, so it is ours: left by a process that was killed half-way.
        self._api.remove(name)
        return self._api.create(name, body)

    def _start(self, container: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._api.start(container)
            except EngineError as error:
                if not _is_transient(error.message) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _mapped(self, container: str) -> dict[int, tuple[str, int]]:
        found = self._api.inspect(container) or {}
        ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
        return {
            int(key.partition("/")[0]): (self._api.address.host, int(bindings[0]["HostPort"]))
            for key, bindings in ports.items()
            if bindings
        }


def _is_transient(message: str) -> bool:
    lowered = message.lower()
    return any(
        words in lowered
        for words in ("already allocated", "address already in use", "address is in use")
    )
