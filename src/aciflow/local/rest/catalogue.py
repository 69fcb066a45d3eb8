"""What ARM says of itself: tenants, subscriptions, providers, a region's usages and capabilities."""

from __future__ import annotations

from typing import Any

from aciflow.local.protocol import Reply
from aciflow.local.rest import errors
from aciflow.local.rest.locations import normal_location
from aciflow.local.rest.quota import usage
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import State


__all__ = ["ROUTES"]


_API_VERSIONS = [
    "2025-09-01",
    "2024-05-01-preview",
    "2023-05-01",
    "2022-10-01-preview",
    "2022-09-01",
    "2021-10-01",
    "2021-09-01",
    "2019-12-01",
]

_PROVIDERS: dict[str, list[str]] = {
    "Microsoft.ContainerInstance": [
        "containerGroups",
        "locations/usages",
        "locations/capabilities",
    ],
    "Microsoft.Resources": ["resourceGroups", "subscriptions", "tenants"],
}


def _tenants(call: Call) -> Reply:
    tenant = call.state.tenant_id
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "id": f"/tenants/{tenant}",
                    "tenantId": tenant,
                    "displayName": "aciflow local endpoint",
                    "tenantCategory": "Home",
                }
            ]
        },
    )


def _subscription_body(state: State) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{state.subscription_id}",
        "subscriptionId": state.subscription_id,
        "tenantId": state.tenant_id,
        "displayName": "aciflow local endpoint",
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def _subscriptions(call: Call) -> Reply:
    return Reply(status=200, body={"value": [_subscription_body(call.state)]})


def _subscription(call: Call) -> Reply:
    return Reply(status=200, body=_subscription_body(call.state))


def _locations(call: Call) -> Reply:
    subscription = call.state.subscription_id
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "id": f"/subscriptions/{subscription}/locations/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": name,
                    "regionalDisplayName": name,
                }
                for name in call.state.locations
            ]
        },
    )


def _provider_body(state: State, namespace: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{state.subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": list(state.locations),
                "apiVersions": _API_VERSIONS,
            }
            for kind in _PROVIDERS[namespace]
        ],
    }


def _provider(call: Call) -> Reply:
    for namespace in _PROVIDERS:
        if namespace.lower() == call.params["namespace"].lower():
            return Reply(status=200, body=_provider_body(call.state, namespace))
    raise errors.Refusal(
        404,
        "InvalidResourceNamespace",
        f"The resource namespace '{call.params['namespace']}' is invalid.",
    )


def _providers(call: Call) -> Reply:
    bodies = [_provider_body(call.state, namespace) for namespace in _PROVIDERS]
    return Reply(status=200, body={"value": bodies})


def _location(call: Call) -> str:
    name = normal_location(call.params["location"])
    if name not in call.state.locations:
        raise errors.location_unavailable(
            call.params["location"],
            "Microsoft.ContainerInstance/locations",
            call.state.locations,
        )
    return name


_USAGES = {
    "ContainerGroups": "Container Groups",
    "StandardCores": "Standard Cores",
    "StandardSpotCores": "Standard Spot Cores",
}


def _usages(call: Call) -> Reply:
    location = _location(call)
    base = (
        f"/subscriptions/{call.state.subscription_id}/providers/Microsoft.ContainerInstance"
        f"/locations/{location}/usages"
    )
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "id": f"{base}/{name if name == 'ContainerGroups' else 's' + name[1:]}",
                    "unit": "Count",
                    "currentValue": int(used),
                    "limit": int(limit),
                    "name": {"value": name, "localizedValue": _USAGES[name]},
                }
                for name, (used, limit) in usage(call.state, location).items()
            ]
        },
    )


def _capabilities(call: Call) -> Reply:
    location = _location(call)
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "resourceType": "containerGroups",
                    "osType": "NotSpecified",
                    "location": location,
                    "ipAddressType": kind,
                    "gpu": "None",
                    "capabilities": {"maxMemoryInGB": 256.0, "maxCpu": 32.0, "maxGpuCount": 0},
                }
                for kind in ("Public", "Private")
            ]
        },
    )


def _cached_images(call: Call) -> Reply:
    _location(call)
    return Reply(status=200, body={"value": []})


_SUBSCRIPTION = "/subscriptions/{subscription}"
_PLACE = _SUBSCRIPTION + "/providers/microsoft.containerinstance/locations/{location}"

ROUTES = [
    Route("GET", "/tenants", _tenants),
    Route("GET", "/subscriptions", _subscriptions),
    Route("GET", _SUBSCRIPTION, _subscription),
    Route("GET", _SUBSCRIPTION + "/locations", _locations),
    Route("GET", _SUBSCRIPTION + "/providers", _providers),
    Route("GET", _SUBSCRIPTION + "/providers/{namespace}", _provider),
    Route("POST", _SUBSCRIPTION + "/providers/{namespace}/register", _provider),
    Route("GET", _PLACE + "/usages", _usages),
    Route("GET", _PLACE + "/capabilities", _capabilities),
    Route("GET", _PLACE + "/cachedimages", _cached_images),
]
