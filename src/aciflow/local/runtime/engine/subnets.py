"""PURE: which private network is free, and which addresses in it."""

from __future__ import annotations

import hashlib

from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv4Network


__all__ = ["candidates", "host_address", "loopback_addresses", "parse_routes"]

_POOLS = (
    # Engines give out 172.17-31/16 and 192.168/20 by themselves, so those come last.
    (IPv4Network("10.64.0.0/10"), 22),
    (IPv4Network("198.18.0.0/15"), 22),
    (IPv4Network("172.16.0.0/12"), 22),
    (IPv4Network("192.168.0.0/16"), 24),
)
_TRIES = 64


def candidates(taken: Collection[IPv4Network], seed: str) -> Iterator[IPv4Network]:
    """
    Free private networks, in an order that depends on ``seed``, so that two endpoints rarely compete.

    Args:
        taken: Networks that this machine routes to or that the engine has given out.
        seed: The endpoint's id.
    """
    for pool, length in _POOLS:
        count = 1 << (length - pool.prefixlen)
        first = _hash(seed) % count
        found = 0
        for step in range(count):
            start = int(pool.network_address) + ((first + step) % count << (32 - length))
            network = IPv4Network((start, length))
            if not any(network.overlaps(other) for other in taken):
                yield network
                found += 1
                if found == _TRIES:
                    break


def parse_routes(table: str) -> list[IPv4Network]:
    """
    The destinations in Linux's ``/proc/net/route``, without the default route.

    Addresses there are hexadecimal in the machine's order, which is little-endian wherever engines run.
    """
    found = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 8:
            continue
        destination, mask = (IPv4Address(bytes.fromhex(columns[column])[::-1]) for column in (1, 7))
        if int(mask):
            found.append(IPv4Network(f"{destination}/{mask}", strict=False))
    return found


def host_address(network: IPv4Network, used: Collection[str], after: int) -> tuple[str, int]:
    """
    The next free address behind the gateway, which has the first.

    Going round instead of always taking the lowest keeps what still talks to a group that is gone from
    reaching the next one.

    Args:
        network: The network.
        used: Addresses in use.
        after: The number that was given out last.

    Returns:
        The address and its number.

    Raises:
        LookupError: All are in use.
    """
    count = network.num_addresses - 3
    for step in range(count):
        number = 2 + (after - 1 + step) % count
        address = str(network.network_address + number)
        if address not in used:
            return address, number
    raise LookupError(f"every address of {network} is in use")


def loopback_addresses(uid: str, used: Collection[str]) -> Iterator[str]:
    """Addresses in 127.64.0.0/10 for a group, none of which is 127.0.0.1 or in use by us."""
    first = _hash(uid)
    base = int(IPv4Address("127.64.0.0"))
    for step in range(16):
        number = (first + step * 7919) % (1 << 22)
        if number & 0xFF in {0, 255}:
            number ^= 1
        address = str(IPv4Address(base + number))
        if address not in used:
            yield address


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
