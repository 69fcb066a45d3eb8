"""
An address for each group, in one of three ways.

* ``bridge``: the container's own, on the engine's default network. A port refuses until something
  listens.
* ``loopback``: one in 127.0.0.0/8, on which the very ports are published.
* ``mapped``: the engine's machine and free ports, for engines whose addresses are out of reach.
"""

from __future__ import annotations

import errno
import hashlib
import socket
import sys
import threading

from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal, TypeAlias

from aciflow.local.protocol import PortSpec
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import NETWORK, Place


__all__ = ["Addresses", "Mode", "direct_routes", "loopback_addresses"]

Mode: TypeAlias = Literal["auto", "bridge", "loopback", "mapped"]


class Addresses:
    """
    Gives groups their addresses. Thread-safe.

    Args:
        api: The engine.
        wanted: ``auto`` takes bridge where this machine routes to it, else loopback, else mapped.
    """

    def __init__(self, api: EngineApi, wanted: Mode) -> None:
        self._api = api
        self._mode: Mode = wanted
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._reached: bool | None = None

    def open(self, uid: str, ports: Sequence[PortSpec], probed: Sequence[PortSpec] = ()) -> Place:
        """
        A place for a group.

        Args:
            uid: The group.
            ports: Of its address.
            probed: Ports that this machine has to reach besides.

        Raises:
            EngineError: The engine has no network for it.
            OSError: A port is taken on every address; the message names it.
        """
        with self._lock:
            published = [*ports, *([] if not probed or self._direct() else probed)]
            mode = self._decide() if published else "none"
            if mode == "loopback":
                ip = self._held.get(uid) or self._free_loopback(uid, published)
                self._held[uid] = ip
                return Place(mode="loopback", ip=ip)
            if mode == "mapped":
                # On a remote engine's own loopback nobody could reach it.
                return Place(mode="mapped", ip="127.0.0.1" if self._api.address.is_local else "")
        return Place(mode=mode)

    def adopt(self, uid: str, place: Place) -> None:
        """Keep what an earlier process of this endpoint gave out."""
        if place.mode == "loopback" and place.ip is not None:
            with self._lock:
                self._held[uid] = place.ip

    def release(self, uid: str) -> None:
        """A group is gone."""
        with self._lock:
            self._held.pop(uid, None)

    @property
    def direct(self) -> bool:
        """Whether this machine reaches containers at their own addresses."""
        with self._lock:
            return self._direct()

    # --- which way ------------------------------------------------------------------------

    def _decide(self) -> Mode:
        if self._mode == "auto":
            self._mode = self._automatic()
        return self._mode

    def _direct(self) -> bool:
        mode = self._decide()
        if mode == "loopback" and self._reached is None:
            self._reached = self._automatic() == "bridge"
        return mode == "bridge" or bool(self._reached)

    def _automatic(self) -> Mode:
        info = self._api.info()
        if (
            sys.platform != "linux"
            or not self._api.address.is_local
            or "Docker Desktop" in str(info.get("OperatingSystem"))  # in a virtual machine
        ):
            return "mapped"
        if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
            return "loopback"
        if self._api.version.podman:  # whose bridge is there as long as a container is on it
            return "bridge"
        return "bridge" if self._routes_to_bridge() else "mapped"

    def _routes_to_bridge(self) -> bool:
        found = self._api.network(NETWORK)
        if found is None:
            raise EngineError(
                404,
                f"the engine has no default network ('{NETWORK}'), and without it a container has "
                "neither an address nor published ports: start dockerd without --bridge=none",
            )
        subnets = [
            IPv4Network(str(config["Subnet"]), strict=False)
            for config in (found.get("IPAM") or {}).get("Config") or ()
            if ":" not in str(config.get("Subnet", ":"))
        ]
        routes = direct_routes(Path("/proc/net/route").read_text())
        return any(subnet.subnet_of(route) for subnet in subnets for route in routes)

    # --- loopback -------------------------------------------------------------------------

    def _free_loopback(self, uid: str, ports: Sequence[PortSpec]) -> str:
        blocked: PortSpec | None = None
        for address in loopback_addresses(uid, set(self._held.values())):
            blocked = next((port for port in ports if not _is_free(address, port)), None)
            if blocked is None:
                return address
        text = f"port {blocked.port}/{blocked.protocol}" if blocked else "every address"
        raise OSError(
            errno.EADDRINUSE,
            f"{text} is taken on every loopback address; something listens on all addresses of this "
            "machine (0.0.0.0) there: stop it, or ask for another port",
        )


def direct_routes(table: str) -> list[IPv4Network]:
    """
    The networks in Linux's ``/proc/net/route`` that this machine, or container, is on itself.

    Addresses there are hexadecimal in the machine's order, which is little-endian wherever engines run.
    """
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 8:
            continue
        destination, gateway, mask = (
            IPv4Address(bytes.fromhex(columns[column])[::-1]) for column in (1, 2, 7)
        )
        if int(mask) and not int(gateway):
            found.append(IPv4Network(f"{destination}/{mask}", strict=False))
    return found


def loopback_addresses(uid: str, used: Collection[str]) -> Iterator[str]:
    """Addresses in 127.64.0.0/10 for a group, none of which is 127.0.0.1 or in use by us."""
    first = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:8], "big")
    base = int(IPv4Address("127.64.0.0"))
    for step in range(16):
        number = (first + step * 7919) % (1 << 22)
        if number & 0xFF in {0, 255}:
            number ^= 1
        address = str(IPv4Address(base + number))
        if address not in used:
            yield address


def _is_free(address: str, port: PortSpec) -> bool:
    kind = socket.SOCK_STREAM if port.protocol == "TCP" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port.port))
        except OSError as error:
            # Without the right to bind it, nothing is known, and the engine will tell.
            return error.errno != errno.EADDRINUSE
    return True
