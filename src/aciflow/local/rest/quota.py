"""What a region allows, what is used, and the rate headers of creates and deletes."""

from __future__ import annotations

from typing import Any

from aciflow.local.rest import errors
from aciflow.local.rest.state import GroupRecord, State


__all__ = ["check_quota", "rate_headers", "usage"]


GROUPS_LIMIT = 100
"""Container groups in one region (documented default)."""

CORES_LIMIT = 100.0
"""vCPU of the Standard SKU in one region (documented default); Spot has as many."""

_PER_5_MINUTES = 900
_PER_HOUR = 1800


def _is_spot(kept: dict[str, Any]) -> bool:
    return kept.get("priority") == "Spot"


def _cores(kept: dict[str, Any]) -> float:
    return float(
        sum(
            container["properties"]["resources"]["requests"]["cpu"]
            for container in kept["containers"]
        )
    )


def usage(
    state: State, location: str, *, instead_of: GroupRecord | None = None
) -> dict[str, tuple[float, float]]:
    """
    Used and allowed in a region, by the names of ACI's usages.

    Args:
        instead_of: A group that is about to be replaced and so does not count.
    """
    groups = [
        record
        for record in state.groups.values()
        if record.location == location and record is not instead_of
    ]
    cores = sum(_cores(record.kept) for record in groups if not _is_spot(record.kept))
    spot = sum(_cores(record.kept) for record in groups if _is_spot(record.kept))
    return {
        "ContainerGroups": (len(groups), GROUPS_LIMIT),
        "StandardCores": (cores, CORES_LIMIT),
        "StandardSpotCores": (spot, CORES_LIMIT),
    }


def check_quota(
    state: State, location: str, kept: dict[str, Any], *, instead_of: GroupRecord | None
) -> None:
    """
    Refuse what the region's quota does not allow.

    Raises:
        Refusal: ``ContainerGroupQuotaReached``.
    """
    used = usage(state, location, instead_of=instead_of)
    cores = "StandardSpotCores" if _is_spot(kept) else "StandardCores"
    for name, wanted in (("ContainerGroups", 1.0), (cores, _cores(kept))):
        have, limit = used[name]
        if have + wanted > limit:
            raise errors.quota_reached(name, location, limit, have, wanted)


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
