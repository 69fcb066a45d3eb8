"""
ARM's and ACI's refusals, word for word where a recording or a document has them.

Sources are those of the error catalogue: real traffic where there is some, else Microsoft's
troubleshooting pages and bodies that users quoted. The refusals of images carry
the runtime's reason at the end, which Azure does not give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aciflow.local.protocol import Reply


__all__ = ["Refusal"]


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault
    """Raised by a handler; becomes ``{"error": {"code", "message"}}``."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def reply(self) -> Reply:
        """The reply that says so."""
        return Reply(
            status=self.status,
            body={"error": {"code": self.code, "message": self.message}},
            headers=dict(self.headers),
        )


# --- ARM itself ---------------------------------------------------------------------------------


def unauthenticated(tenant_id: str, *, missing: bool) -> Refusal:
    """401 for a request without a token of this endpoint's."""
    if missing:
        message = "Authentication failed. The 'Authorization' header is missing."
        code = "AuthenticationFailed"
    else:
        message = "The access token is invalid: this endpoint did not issue it, or it has expired."
        code = "InvalidAuthenticationToken"
    challenge = (
        f'Bearer authorization_uri="https://login.windows.net/{tenant_id}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return Refusal(401, code, message, {"WWW-Authenticate": challenge})


def missing_api_version() -> Refusal:
    """400 for a request without ``api-version``."""
    return Refusal(
        400,
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def no_such_path(path: str) -> Refusal:
    """404 for a path that this endpoint does not know."""
    return Refusal(
        404, "InvalidResourceType", f"The resource type could not be found for path '{path}'."
    )


def method_not_allowed(method: str) -> Refusal:
    """405 for a path that is known with other methods."""
    return Refusal(
        405, "MethodNotAllowed", f"The HTTP method '{method}' is not supported at this path."
    )


def not_local(what: str) -> Refusal:
    """501 for what ACI has and the local endpoint does not."""
    return Refusal(501, "NotImplemented", f"The local endpoint does not support {what}.")


def subscription_not_found(subscription: str) -> Refusal:
    """404 for a subscription that is not this endpoint's."""
    return Refusal(
        404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found."
    )


def group_not_found(resource_group: str) -> Refusal:
    """404 for a resource group."""
    return Refusal(
        404, "ResourceGroupNotFound", f"Resource group '{resource_group}' could not be found."
    )


def group_being_deleted(resource_group: str) -> Refusal:
    """409 for a write into a resource group that is being deleted."""
    return Refusal(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{resource_group}' is in deprovisioning state and cannot perform "
        "this operation.",
    )


def resource_not_found(name: str, resource_group: str) -> Refusal:
    """404 for a container group (recorded)."""
    return Refusal(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.ContainerInstance/containerGroups/{name}' under resource group "
        f"'{resource_group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def location_required() -> Refusal:
    """400 for a resource without a location."""
    return Refusal(
        400, "LocationRequired", "The location property is required for this definition."
    )


def location_unavailable(location: str, resource_type: str, locations: Sequence[str]) -> Refusal:
    """400 for a region that the resource type does not have."""
    return Refusal(
        400,
        "LocationNotAvailableForResourceType",
        f"The provided location '{location}' is not available for resource type '{resource_type}'. "
        f"List of available regions for the resource type is '{','.join(locations)}'.",
    )


def group_location_conflict(old: str, new: str) -> Refusal:
    """409 for a resource group that exists elsewhere."""
    return Refusal(
        409,
        "InvalidResourceGroupLocation",
        f"Invalid resource group location '{new}'. The Resource group already exists in location "
        f"'{old}'.",
    )


def resource_location_conflict(name: str, old: str, new: str) -> Refusal:
    """409 for a container group that exists elsewhere."""
    return Refusal(
        409,
        "InvalidResourceLocation",
        f"The resource '{name}' already exists in location '{old}' in resource group. A resource "
        f"with the same name cannot be created in location '{new}'. Please select a new resource "
        "name.",
    )


def invalid_content(message: str) -> Refusal:
    """400 for JSON that ARM cannot read."""
    return Refusal(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{message}'.",
    )


# --- ACI ----------------------------------------------------------------------------------------


def transitioning(name: str) -> Refusal:
    """409 while an operation is under way."""
    return Refusal(
        409,
        "ContainerGroupTransitioning",
        f"The container group '{name}' is still transitioning, please retry later.",
    )


def not_ready() -> Refusal:
    """409 for logs of a group that is not up (the code was quoted by users, the status was not)."""
    return Refusal(409, "ContainerGroupDeploymentNotReady", "The container group is not ready")


def container_not_found(container: str, name: str) -> Refusal:
    """404 for a container of a group."""
    return Refusal(
        404,
        "ContainerNotFound",
        f"The container '{container}' is not found in container group '{name}'.",
    )


def quota_reached(name: str, location: str, limit: float, usage: float, wanted: float) -> Refusal:
    """400 for more than the region's quota."""
    return Refusal(
        400,
        "ContainerGroupQuotaReached",
        "Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota "
        f"'{name}' exceeded in region '{location}'. Limit: '{limit:g}', Usage: '{usage:g}' "
        f"Requested: '{wanted:g}'.",
    )


def label_taken(label: str, name: str) -> Refusal:
    """400 for a DNS label that another group has."""
    return Refusal(
        400,
        "DnsNameLabelAlreadyTaken",
        f"The DNS name label '{label}' in container group '{name}' is not available. Try using a "
        "different label.",
    )


def inaccessible_image(image: str, name: str, detail: str) -> Refusal:
    """400 for an image that is not there or private."""
    return Refusal(
        400,
        "InaccessibleImage",
        f"The image '{image}' in container group '{name}' is not accessible. Please check the "
        f"image and registry credential.{' ' + detail if detail else ''}",
    )


def registry_error(server: str, detail: str) -> Refusal:
    """409 for a registry that does not answer as it should."""
    return Refusal(
        409,
        "RegistryErrorResponse",
        f"An error response is received from the docker registry '{server}'. Please retry later."
        f"{' ' + detail if detail else ''}",
    )


def unsupported_platform(image: str, detail: str) -> Refusal:
    """400 for an image of another platform."""
    return Refusal(
        400,
        "OsVersionNotSupported",
        f"The OS version of image '{image}' is not supported.{' ' + detail if detail else ''}",
    )
