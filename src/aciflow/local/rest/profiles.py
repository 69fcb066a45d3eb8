"""
What this endpoint has none of: profiles, standby pools, ngroups, sandbox groups, and subnets' links.

Their reading says that there are none, their making is refused with the reason, and a container group that
names one gets the refusal that ACI gives for one that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aciflow.local.protocol import Reply
from aciflow.local.rest import errors
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import State


__all__ = ["ROUTES", "check_profiles"]


_PROVIDER = "Microsoft.ContainerInstance"

TYPES = {
    "containergroupprofiles": "containerGroupProfiles",
    "ngroups": "nGroups",
    "sandboxgroups": "sandboxGroups",
}


def check_profiles(state: State, properties: Mapping[str, Any]) -> None:
    """
    Refuse a group that is to be made of a profile or taken from a standby pool.

    Raises:
        Refusal: ``BadRequest`` where other properties are given too (recorded),
            ``LinkedAuthorizationFailed`` for one in another subscription (recorded), else
            ``ResourceNotFound``.
    """
    profile = properties.get("containerGroupProfile")
    pool = properties.get("standbyPoolProfile")
    if profile is None and pool is None:
        return
    if any(
        set(each["properties"]) - {"configMap"} for each in properties.get("containers") or ()
    ) or set(properties) - {"containers", "containerGroupProfile", "standbyPoolProfile"}:
        raise errors.Refusal(
            400,
            "BadRequest",
            "ContainerGroup properties other than config map are not allowed",
        )
    for reference, kind in (
        (profile, f"{_PROVIDER}/containerGroupProfiles"),
        (pool, "Microsoft.StandbyPool/standbyContainerGroupPools"),
    ):
        if reference is not None:
            _refuse_reference(state, reference["id"], kind)


def _refuse_reference(state: State, resource_id: str, kind: str) -> None:
    parts = resource_id.split("/")
    if len(parts) != 9 or parts[1].lower() != "subscriptions":
        raise errors.invalid_property_id(resource_id, "properties.containerGroupProfile.id")
    if parts[2].lower() != state.subscription_id.lower():
        raise errors.linked_authorization(f"{kind}/read", resource_id, state.tenant_id, parts[2])
    raise errors.resource_not_found(parts[8], parts[4], kind)


def _list(call: Call) -> Reply:
    if "resource_group" in call.params:
        live_group(call)
    return Reply(status=200, body={"value": []})


def _missing(call: Call) -> Reply:
    live_group(call)
    raise errors.resource_not_found(
        call.params["name"],
        call.params["resource_group"],
        f"{_PROVIDER}/{_type(call)}",
    )


def _type(call: Call) -> str:
    segments = [segment.lower() for segment in call.request.path.split("/") if segment]
    return next(TYPES[segment] for segment in segments if segment in TYPES)


def _make(call: Call) -> Reply:
    live_group(call)
    raise errors.not_local(f"{_PROVIDER}/{_type(call)}")


def _gone(call: Call) -> Reply:
    live_group(call)
    return Reply(status=204)


def _subnet_link(_call: Call) -> Reply:
    # On Azure it frees a subnet of which ACI has not let go. No subnet is ever taken here, so there is
    # nothing to free: 204, what the service answers when there is no such link.
    return Reply(status=204)


_SUBSCRIPTION = "/subscriptions/{subscription}"
_HOME = _SUBSCRIPTION + "/resourcegroups/{resource_group}"

ROUTES = [
    Route(
        "DELETE",
        _HOME + "/providers/microsoft.network/virtualnetworks/{network}/subnets/{subnet}"
        "/providers/microsoft.containerinstance/serviceassociationlinks/default",
        _subnet_link,
    ),
]
for _kind in TYPES:
    _ALL = f"/providers/microsoft.containerinstance/{_kind}"
    _ONE = _HOME + _ALL + "/{name}"
    ROUTES += [
        Route("GET", _SUBSCRIPTION + _ALL, _list),
        Route("GET", _HOME + _ALL, _list),
        Route("GET", _ONE, _missing),
        Route("PUT", _ONE, _make),
        Route("PATCH", _ONE, _missing),
        Route("DELETE", _ONE, _gone),
        *(
            Route("POST", f"{_ONE}/{action}", _missing)
            for action in ("start", "stop", "restart", "connect")
        ),
        Route("GET", _ONE + "/revisions", _missing),
        Route("GET", _ONE + "/revisions/{revision}", _missing),
    ]
