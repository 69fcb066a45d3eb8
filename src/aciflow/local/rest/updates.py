"""
What a PUT over a group that is there may change.

Documented (container-instances-update.md): the OS type, the restart policy, the network, the zone and the
resources need another group, and one that has ended is made anew. The service's refusal was quoted by
users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aciflow.local.rest import errors
from aciflow.local.rest.records import GroupRecord


__all__ = ["check_update"]


_ENDED = ("Stopped", "Succeeded", "Failed")


def check_update(before: GroupRecord, kept: Mapping[str, Any], zones: Any) -> None:
    """
    Refuse a change that a group cannot have in place.

    Raises:
        Refusal: ``InvalidContainerGroupUpdate``.
    """
    machine = before.machine
    if machine.state in _ENDED or machine.provisioning_state == "Failed":
        return
    if _fixed(before.kept, before.top.get("zones")) != _fixed(kept, zones):
        raise errors.update_not_allowed(before.name)


def _fixed(kept: Mapping[str, Any], zones: Any) -> tuple[Any, ...]:
    return (
        kept["osType"],
        kept.get("restartPolicy") or "Always",
        kept.get("sku") or "Standard",
        kept.get("priority") or "Regular",
        [subnet["id"].lower() for subnet in kept.get("subnetIds") or ()],
        (kept.get("ipAddress") or {}).get("type"),
        list(zones or ()),
        sorted(
            (each["name"], repr(_resources(each["properties"].get("resources") or {})))
            for each in kept["containers"]
        ),
    )


def _resources(resources: Mapping[str, Any]) -> list[Any]:
    return [
        (kind, key, (resources.get(kind) or {}).get(key))
        for kind in ("requests", "limits")
        for key in ("cpu", "memoryInGB", "gpu")
    ]
