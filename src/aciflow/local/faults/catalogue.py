"""
Errors that can be asked for by their code, where the endpoint itself has no reason to give them.

Status and text are those of real traffic, of Microsoft's pages or of what users quoted; the reference of
the local endpoint says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


__all__ = ["CATALOGUE", "STATUSES", "Entry"]

_TYPE = "Microsoft.ContainerInstance/containerGroups"


class Entry(NamedTuple):
    """A status, and a message with places for what the request names."""

    status: int
    message: str


CATALOGUE: Mapping[str, Entry] = {
    "AuthorizationFailed": Entry(
        403,
        "The client '{client}' with object id '{client}' does not have authorization to perform action "
        f"'{_TYPE}/{{action}}' over scope '{{scope}}' or the scope is invalid. If access was recently "
        "granted, please refresh your credentials.",
    ),
    "ContainerGroupDeploymentNotReady": Entry(409, "The container group is not ready"),
    "ContainerGroupNotFound": Entry(404, "The container group '{name}' does not exist."),
    "ContainerGroupQuotaReached": Entry(
        400,
        f"Resource type '{_TYPE}' container group quota 'StandardCores' exceeded in region '{{location}}'. "
        "Limit: '10', Usage: '10' Requested: '1'.",
    ),
    "ContainerGroupTransitioning": Entry(
        409, "The container group '{name}' is still transitioning, please retry later."
    ),
    "GatewayTimeout": Entry(
        504,
        "The gateway did not receive a response from 'Microsoft.ContainerInstance' within the specified "
        "time period.",
    ),
    "InaccessibleImage": Entry(
        400,
        "The image '{image}' in container group '{name}' is not accessible. Please check the image and "
        "registry credential.",
    ),
    "InternalServerError": Entry(
        500,
        "Encountered an internal server error. The tracking activity id is '{id}', correlation id is "
        "'{id}'.",
    ),
    "MissingSubscriptionRegistration": Entry(
        409,
        "The subscription is not registered to use namespace 'Microsoft.ContainerInstance'. See "
        "https://aka.ms/rps-not-found for how to register subscriptions.",
    ),
    "OsVersionNotSupported": Entry(400, "The OS version of image '{image}' is not supported."),
    "RegistryErrorResponse": Entry(
        409,
        "An error response is received from the docker registry 'index.docker.io'. Please retry later.",
    ),
    "RequestDisallowedByPolicy": Entry(
        403, "Resource '{name}' was disallowed by policy. Reasons: 'a fault of the local endpoint'."
    ),
    "ResourceNotFound": Entry(
        404,
        f"The Resource '{_TYPE}/{{name}}' under resource group '{{resource_group}}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    ),
    "ScopeLocked": Entry(
        409,
        "The scope '{scope}' cannot perform {action} operation because following scope(s) are locked: "
        "'{scope}'. Please remove the lock and try again.",
    ),
    "ServiceUnavailable": Entry(
        409,
        "The requested resource is not available in the location '{location}' at this moment. Please retry "
        "with a different resource request or in another location. Resource requested: '1' CPU '1.5' GB "
        "memory 'Linux' OS.",
    ),
    "SubscriptionRequestsThrottled": Entry(
        429,
        "Number of requests for subscription '{subscription}' and operation '{action}' exceeded the "
        "backend storage limit. Please try again after '6' seconds.",
    ),
}

STATUSES: Mapping[int, tuple[str, str]] = {
    500: ("InternalServerError", CATALOGUE["InternalServerError"].message),
    502: ("BadGateway", "The gateway received an invalid response."),
    503: ("ServerTimeout", "The request timed out. Diagnostic information: timestamp '{id}'."),
    504: ("GatewayTimeout", CATALOGUE["GatewayTimeout"].message),
}
"""What a 5xx says."""
