"""Providers: what they have, and whether the subscription is registered for them."""

from __future__ import annotations

from typing import Any

from aciflow.local.protocol import Reply, Request
from aciflow.local.rest import errors
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import State
from aciflow.local.rest.versions import CONTAINER_INSTANCE, RESOURCES, VERSIONS, provider_of


__all__ = ["ROUTES", "check_registered"]


_TYPES: dict[str, tuple[str, ...]] = {
    CONTAINER_INSTANCE: (
        "containerGroups",
        "containerGroupProfiles",
        "serviceAssociationLinks",
        "locations",
        "locations/capabilities",
        "locations/usages",
        "locations/operations",
        "locations/operationresults",
        "operations",
        "locations/cachedImages",
    ),
    RESOURCES: (
        "resourceGroups",
        "subscriptions",
        "subscriptions/resources",
        "subscriptions/providers",
        "subscriptions/operationresults",
        "subscriptions/locations",
        "tenants",
        "operations",
        "providers",
        "resources",
        "tags",
    ),
}

_ALWAYS = RESOURCES.lower()
"""Registered for every subscription, and for ever."""


def check_registered(state: State, request: Request) -> None:
    """
    Refuse what changes or asks a provider that the subscription is not registered for.

    Reading and deleting what is there goes on.

    Raises:
        Refusal: ``MissingSubscriptionRegistration``.
    """
    if not state.unregistered:
        return
    provider, kind = provider_of(request.path)
    if provider.lower() in state.unregistered and (
        request.method in ("PUT", "POST", "PATCH") or kind.lower().startswith("locations")
    ):
        raise errors.missing_registration(provider)


def _body(state: State, namespace: str) -> dict[str, Any]:
    registered = namespace.lower() not in state.unregistered
    return {
        "id": f"/subscriptions/{state.subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "resourceTypes": [_type(state, namespace, kind) for kind in _TYPES[namespace]],
        "registrationState": "Registered" if registered else "NotRegistered",
        "registrationPolicy": (
            "RegistrationFree" if namespace.lower() == _ALWAYS else "RegistrationRequired"
        ),
    }


def _type(state: State, namespace: str, kind: str) -> dict[str, Any]:
    is_resource = kind.startswith("containerGroup")
    body: dict[str, Any] = {
        "resourceType": kind,
        "locations": list(state.locations),
        "apiVersions": list(VERSIONS[namespace]),
        "capabilities": (
            "SystemAssignedResourceIdentity, SupportsTags, SupportsLocation"
            if is_resource
            else "None"
        ),
    }
    if is_resource:
        body["zoneMappings"] = [
            {"location": location, "zones": ["1", "2", "3"]} for location in state.locations
        ]
    return body


def _namespace(call: Call) -> str:
    given = call.params["namespace"]
    for known in _TYPES:
        if known.lower() == given.lower():
            return known
    raise errors.invalid_namespace(given)


def _get(call: Call) -> Reply:
    return Reply(status=200, body=_body(call.state, _namespace(call)))


def _list(call: Call) -> Reply:
    return Reply(status=200, body={"value": [_body(call.state, known) for known in _TYPES]})


def _types(call: Call) -> Reply:
    namespace = _namespace(call)
    return Reply(
        status=200,
        body={"value": [_type(call.state, namespace, kind) for kind in _TYPES[namespace]]},
    )


def _register(call: Call) -> Reply:
    namespace = _namespace(call)
    call.state.unregistered.discard(namespace.lower())
    call.state.generation += 1
    return Reply(status=200, body=_body(call.state, namespace))


def _unregister(call: Call) -> Reply:
    namespace = _namespace(call)
    if namespace.lower() == _ALWAYS:
        raise errors.Refusal(
            409,
            "CannotUnregisterResourceProvider",
            f"The resource provider '{namespace}' is registered for every subscription.",
        )
    if call.state.groups:
        raise errors.Refusal(
            409,
            "CannotUnregisterResourceProvider",
            f"The subscription still has resources of '{namespace}'. Delete them first.",
        )
    call.state.unregistered.add(namespace.lower())
    call.state.generation += 1
    return Reply(status=200, body=_body(call.state, namespace))


_OPERATIONS: tuple[tuple[str, str, str, str], ...] = (
    (
        "containerGroups/read",
        "Container Groups",
        "Get Container Group",
        "Get all container groups.",
    ),
    (
        "containerGroups/write",
        "Container Groups",
        "Create or Update Container Group",
        "Create or update a specific container group.",
    ),
    ("containerGroups/delete", "Container Groups", "Delete Container Group", "Delete it."),
    (
        "containerGroups/restart/action",
        "Container Groups",
        "Restart Container Group",
        "Restart it.",
    ),
    ("containerGroups/stop/action", "Container Groups", "Stop Container Group", "Stop it."),
    ("containerGroups/start/action", "Container Groups", "Start Container Group", "Start it."),
    (
        "containerGroups/containers/exec/action",
        "Container",
        "Exec",
        "Exec into a specific container.",
    ),
    (
        "containerGroups/containers/attach/action",
        "Container",
        "Attach",
        "Attach to the output stream of a container.",
    ),
    (
        "containerGroups/containers/logs/read",
        "Container",
        "Get Container Logs",
        "Get logs for a specific container.",
    ),
    ("locations/usages/read", "Location Usages", "Get Usages", "Get the usage for a region."),
    (
        "locations/capabilities/read",
        "Location Capabilities",
        "Get Capabilities",
        "Get the capabilities for a region.",
    ),
    (
        "locations/cachedImages/read",
        "Location Cached Images",
        "Get Cached Images",
        "Get the cached images for a region.",
    ),
    (
        "serviceAssociationLinks/delete",
        "Service Association Link",
        "Delete",
        "Delete the association link of a subnet.",
    ),
    ("register/action", "Subscription", "Register", "Registers the subscription."),
)


def _own_operations(_call: Call) -> Reply:
    display = {
        "provider": "Microsoft Resources",
        "resource": "Resource Group",
        "description": "",
    }
    actions = {"read": "Get", "write": "Create", "delete": "Delete"}
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "name": f"{RESOURCES}/subscriptions/resourceGroups/{action}",
                    "display": {**display, "operation": f"{word} Resource Group"},
                }
                for action, word in actions.items()
            ]
        },
    )


def _operations(_call: Call) -> Reply:
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "name": f"{CONTAINER_INSTANCE}/{name}",
                    "display": {
                        "provider": "Microsoft Container Instance",
                        "resource": resource,
                        "operation": operation,
                        "description": description,
                    },
                    "origin": "User",
                }
                for name, resource, operation, description in _OPERATIONS
            ]
        },
    )


_SUBSCRIPTION = "/subscriptions/{subscription}"
_ONE = _SUBSCRIPTION + "/providers/{namespace}"

ROUTES = [
    Route("GET", "/providers/microsoft.containerinstance/operations", _operations),
    Route("GET", "/providers/microsoft.resources/operations", _own_operations),
    Route("GET", "/providers", _list),
    Route("GET", "/providers/{namespace}", _get),
    Route("GET", _SUBSCRIPTION + "/providers", _list),
    Route("GET", _ONE, _get),
    Route("GET", _ONE + "/resourcetypes", _types),
    Route("POST", _ONE + "/register", _register),
    Route("POST", _ONE + "/unregister", _unregister),
]
