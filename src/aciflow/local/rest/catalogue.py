"""What ARM says of itself: tenants, subscriptions and their locations."""

from __future__ import annotations

from typing import Any

from aciflow.local.protocol import Reply
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import State


__all__ = ["ROUTES"]


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
                    "defaultDomain": "aciflow.local",
                    "domains": ["aciflow.local"],
                    "tenantType": "AAD",
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
                    "metadata": {
                        "regionType": "Physical",
                        "regionCategory": "Recommended",
                        "geography": "local",
                        "geographyGroup": "local",
                        "physicalLocation": "this machine",
                        "latitude": "0",
                        "longitude": "0",
                        "pairedRegion": [],
                    },
                }
                for name in call.state.locations
            ]
        },
    )


_SUBSCRIPTION = "/subscriptions/{subscription}"

ROUTES = [
    Route("GET", "/tenants", _tenants),
    Route("GET", "/subscriptions", _subscriptions),
    Route("GET", _SUBSCRIPTION, _subscription),
    Route("GET", _SUBSCRIPTION + "/locations", _locations),
]
