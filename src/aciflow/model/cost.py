"""
What a container group costs.

The service bills CPU and memory as requested, by the second, from the start of the first image pull to
the end of the group. Source: Azure Retail Prices API (``prices.azure.com``), USD, as noted in each row.
Prices are published prices without any agreement of one's own, so this is an estimate; where no price
was read, there is none here.
"""

from __future__ import annotations

from typing import NamedTuple


class Price(NamedTuple):
    """
    The price of a region.

    Attributes:
        cpu: USD per vCPU and hour.
        memory: USD per GB and hour.
        read: The day it was read.
    """

    cpu: float
    memory: float
    read: str


_HOUR = 3600.0
_DAY = 86400.0

# Meters "Standard vCPU Duration" and "Standard Memory Duration".
STANDARD = {
    "eastus": Price(0.0405, 0.00445, "2026-10-09"),
    "swedencentral": Price(0.0466, 0.00511, "2026-09-06"),
}
# Meters "Standard Spot vCPU Duration" and "Standard Spot Memory Duration".
SPOT = {"eastus": Price(0.01215, 0.001335, "2026-10-09")}
# Meter "Standard Windows Software Duration", USD per vCPU and second, on top; the same everywhere.
WINDOWS = 0.000012


def cost(
    seconds: float,
    cpu: float,
    memory_gb: float,
    location: str,
    *,
    spot: bool = False,
    os_type: str = "Linux",
) -> float | None:
    """
    What a group costs in a given time.

    Args:
        seconds: How long it runs, image pulls included.
        cpu: vCPU of all its containers.
        memory_gb: GB of all its containers.
        location: A region, as ``eastus`` or as ``East US``.
        spot: Whether it has priority Spot.
        os_type: ``Linux`` or ``Windows``, which costs extra.

    Returns:
        USD, or ``None`` where the price is not known.
    """
    price = (SPOT if spot else STANDARD).get(location.replace(" ", "").lower())
    if price is None:
        return None
    licence = cpu * WINDOWS if os_type.lower() == "windows" else 0.0
    return seconds * ((cpu * price.cpu + memory_gb * price.memory) / _HOUR + licence)


def daily_cost(
    cpu: float, memory_gb: float, location: str, *, spot: bool = False, os_type: str = "Linux"
) -> float | None:
    """What a group costs in 24 hours; the arguments and the result are those of :func:`cost`."""
    return cost(_DAY, cpu, memory_gb, location, spot=spot, os_type=os_type)
