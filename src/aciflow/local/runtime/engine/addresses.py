"""
An address for each group, in one of three ways.

* ``bridge``: the container's own, on an engine network of ours. A port refuses until something listens.
* ``loopback``: one in 127.0.0.0/8, on which the very ports are published.
* ``mapped``: the engine's machine and free ports, for engines whose addresses are out of reach.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading

from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, TypeAlias

from aciflow.local.protocol import PortSpec
from aciflow.local.runtime.engine import subnets
from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import ENDPOINT, Place


__all__ = ["Addresses", "Mode"]

Mode: TypeAlias = Literal["auto", "bridge", "loopback", "mapped"]

DEFAULT_NETWORK = "bridge"


class Addresses:
    """
    Gives groups their addresses, and owns the endpoint's network. Thread-safe.

    Args:
        api: The engine.
        endpoint_id: Whose.
        wanted: ``auto`` takes bridge where this machine routes to it, else loopback, else mapped.
    """

    def __init__(self, api: EngineApi, endpoint_id: str, wanted: Mode) -> None:
        self._api = api
        self._endpoint_id = endpoint_id
        self._mode: Mode = wanted
        self._lock = threading.Lock()
        self._network: IPv4Network | None = None
        self._held: dict[str, str] = {}
        self._last = 1

    @property
    def network_name(self) -> str:
        """The engine network of this endpoint."""
        return f"aciflow-{self._endpoint_id[:8]}"

    def open(self, uid: str, ports: Sequence[PortSpec]) -> Place:
        """
        A place for a group.

        Raises:
            EngineError: The engine has no network for it.
            OSError: A port is taken on every address; the message names it.
        """
        with self._lock:
            mode = self._decide() if ports else "none"
            if mode == "bridge":
                network = self._ensure_network()
                ip = self._held.get(uid)
                if ip is None:
                    ip, self._last = subnets.host_address(network, self._held.values(), self._last)
                    self._held[uid] = ip
                return Place(mode="bridge", network=self.network_name, ip=ip)
            if mode == "loopback":
                ip = self._held.get(uid) or self._free_loopback(uid, ports)
                self._held[uid] = ip
                return Place(mode="loopback", network=DEFAULT_NETWORK, ip=ip)
            if mode == "mapped":
                # On a remote engine's own loopback nobody could reach it.
                ip = "127.0.0.1" if self._api.address.is_local else ""
                return Place(mode="mapped", network=DEFAULT_NETWORK, ip=ip)
        return Place(mode="none", network=DEFAULT_NETWORK)

    def adopt(self, uid: str, place: Place) -> None:
        """Keep what an earlier process of this endpoint gave out."""
        if place.mode in {"bridge", "loopback"} and place.ip is not None:
            with self._lock:
                self._held[uid] = place.ip

    def place_of(self, ip: str) -> Place:
        """Where a group lives of which only the address is known."""
        if ip.startswith("127.") and ip != "127.0.0.1":
            return Place(mode="loopback", network=DEFAULT_NETWORK, ip=ip)
        return Place(mode="bridge", network=self.network_name, ip=ip)

    def release(self, uid: str) -> None:
        """A group is gone."""
        with self._lock:
            self._held.pop(uid, None)

    def drop(self) -> None:
        """Remove the endpoint's network unless a group has an address in it."""
        with self._lock:
            if self._network is None or self._held:
                return
            self._network = None
            self._api.remove_network(self.network_name)

    # --- bridge ---------------------------------------------------------------------------

    def _decide(self) -> Mode:
        if self._mode == "auto":
            self._mode = self._automatic()
        return self._mode

    def _automatic(self) -> Mode:
        if sys.platform != "linux" or not self._api.address.is_local:
            return "mapped"
        if not self._is_rootless():
            network = self._ensure_network()
            if self._api.version.podman or _is_ours(str(network.network_address + 1)):
                return "bridge"
            # A virtual machine's engine (Docker Desktop): its bridges are not this machine's.
            self._network = None
            self._api.remove_network(self.network_name)
            return "mapped"
        return "loopback"

    def _is_rootless(self) -> bool:
        options = self._api.info().get("SecurityOptions") or ()
        return any("rootless" in str(option) for option in options)

    def _ensure_network(self) -> IPv4Network:
        if self._network is None:
            self._network = self._find_network() or self._make_network()
        return self._network

    def _find_network(self) -> IPv4Network | None:
        for found in self._api.networks(f"{ENDPOINT}={self._endpoint_id}"):
            for config in (found.get("IPAM") or {}).get("Config") or ():
                return IPv4Network(str(config["Subnet"]))
        return None

    def _make_network(self) -> IPv4Network:
        taken = [
            IPv4Network(str(config["Subnet"]), strict=False)
            for found in self._api.networks()
            for config in (found.get("IPAM") or {}).get("Config") or ()
            if ":" not in str(config.get("Subnet", ":"))
        ]
        with contextlib.suppress(OSError):
            taken += subnets.parse_routes(Path("/proc/net/route").read_text())
        problem: EngineError | None = None
        for network in subnets.candidates(taken, self._endpoint_id):
            body = {
                "Name": self.network_name,
                "Driver": "bridge",
                "CheckDuplicate": True,
                # With the subnet given an address may be, too, so that a restart keeps it.
                "IPAM": {"Driver": "default", "Config": [{"Subnet": str(network)}]},
                "Labels": {ENDPOINT: self._endpoint_id},
            }
            try:
                self._api.create_network(body)
            except EngineError as error:
                if "overlap" not in error.message and "already used" not in error.message:
                    raise
                problem = error
            else:
                return network
        raise problem or EngineError(0, "no private IPv4 network is free for the endpoint's bridge")

    # --- loopback -------------------------------------------------------------------------

    def _free_loopback(self, uid: str, ports: Sequence[PortSpec]) -> str:
        blocked: PortSpec | None = None
        for address in subnets.loopback_addresses(uid, set(self._held.values())):
            blocked = next((port for port in ports if not _is_free(address, port)), None)
            if blocked is None:
                return address
        text = f"port {blocked.port}/{blocked.protocol}" if blocked else "every address"
        raise OSError(
            errno.EADDRINUSE,
            f"{text} is taken on every loopback address; something listens on all addresses of this "
            "machine (0.0.0.0) there: stop it, or ask for another port",
        )


def _is_ours(address: str) -> bool:
    """Whether an address is one of this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


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
