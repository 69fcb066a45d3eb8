"""What a region allows, what is used, and the rate headers of creates and deletes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aciflow.local.config import QUOTAS
from aciflow.local.rest import errors
from aciflow.local.rest.records import GroupRecord
from aciflow.local.rest.state import State


__all__ = ["check_quota", "rate_headers", "usage"]


_PER_5_MINUTES = 900
_PER_HOUR = 1800


def _needs(kept: Mapping[str, Any]) -> dict[str, float]:
    """What a group takes of each quota."""
    needs: dict[str, float] = {}

    def add(name: str, much: float) -> None:
        needs[name] = _sum(needs.get(name, 0), much)

    sku = kept.get("sku") or "Standard"
    spot = kept.get("priority") == "Spot"
    add("ContainerGroups" if sku == "Standard" else f"{sku}ContainerGroups", 1)
    for container in kept["containers"]:
        requests = container["properties"]["resources"]["requests"]
        add("StandardSpotCores" if spot else f"{sku}Cores", requests["cpu"])
        gpu = requests.get("gpu") or (container["properties"]["resources"].get("limits") or {}).get(
            "gpu"
        )
        if gpu:
            add(f"Standard{gpu['sku']}Cores", gpu["count"])
    return needs


def _sum(one: float, other: float) -> float:
    """Of cores, without the crumbs of binary fractions: three times 1.1 is 3.3."""
    return round(one + other, 6)


def usage(
    state: State, location: str, *, instead_of: GroupRecord | None = None
) -> dict[str, tuple[float, float]]:
    """
    Used and allowed in a region, by the names of ACI's usages.

    Args:
        instead_of: A group that is about to be replaced and so does not count.
    """
    used = dict.fromkeys(QUOTAS, 0.0)
    for record in state.groups.values():
        if record.location == location and record is not instead_of:
            for name, much in _needs(record.kept).items():
                used[name] = _sum(used[name], much)
    limits = {**QUOTAS, **state.config.quotas}
    return {name: (used[name], limits[name]) for name in QUOTAS}


def check_quota(
    state: State, location: str, kept: Mapping[str, Any], *, instead_of: GroupRecord | None
) -> None:
    """
    Refuse what the region's quota does not allow.

    Raises:
        Refusal: ``ContainerGroupQuotaReached``.
    """
    used = usage(state, location, instead_of=instead_of)
    for name, wanted in _needs(kept).items():
        have, limit = used[name]
        if _sum(have, wanted) > limit:
            if name == "ContainerGroups" and limit == 0:
                raise errors.blocked(location)  # documented: a subscription held for fraud
            said = name.removeprefix("Standard") if name in _GPUS else name
            raise errors.quota_reached(said, location, limit, have, wanted)


_GPUS = ("StandardK80Cores", "StandardP100Cores", "StandardV100Cores")
"""Whose quota the service names without ``Standard`` when it refuses (quoted)."""


def rate_headers(state: State, now: float) -> dict[str, str]:
    """
    Count a create or delete, and say how many are left; bucket sizes as in the recording of 2023-05.

    They only tell: nothing is throttled here.
    """
    recent = [at for at in state.recent_creates if at > now - 3600]
    recent.append(now)
    del recent[:-_PER_HOUR]
    state.recent_creates = recent
    last = sum(at > now - 300 for at in recent)
    prefix = "x-ms-ratelimit-remaining-subscription-resource-requests"
    return {
        f"{prefix}-pt1h": str(_PER_HOUR - len(recent)),
        f"{prefix}-pt5m": str(max(_PER_5_MINUTES - last, 0)),
    }
