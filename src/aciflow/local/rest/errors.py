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


def invalid_api_version(version: str, known: Sequence[str]) -> Refusal:
    """400 for a version that ARM itself does not have."""
    return Refusal(
        400,
        "InvalidApiVersionParameter",
        f"The api-version '{version}' is invalid. The supported versions are '{','.join(known)}'.",
    )


def no_registered_provider(
    kind: str, version: str, known: Sequence[str], locations: Sequence[str]
) -> Refusal:
    """400 for a version that a provider does not have; the location is not always known, as on Azure."""
    return Refusal(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '' and API version '{version}' for type "
        f"'{kind}'. The supported api-versions are '{', '.join(known)}'. The supported locations are "
        f"'{', '.join(locations)}'.",
    )


def missing_registration(namespace: str) -> Refusal:
    """409 until the subscription is registered; the SDKs then do that on their own."""
    return Refusal(
        409,
        "MissingSubscriptionRegistration",
        f"The subscription is not registered to use namespace '{namespace}'. See "
        "https://aka.ms/rps-not-found for how to register subscriptions.",
    )


def invalid_namespace(namespace: str) -> Refusal:
    """404 for a provider that is not here."""
    return Refusal(
        404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid."
    )


def no_such_provider(namespace: str) -> Refusal:
    """501 for a provider that Azure may well have and this endpoint has not."""
    return not_local(
        f"the resource namespace '{namespace}', only Microsoft.ContainerInstance and Microsoft.Resources"
    )


def invalid_filter(text: str) -> Refusal:
    """400 for a ``$filter`` that cannot be read, or asks for what is not known here."""
    return Refusal(
        400,
        "InvalidFilterInQueryString",
        f"Invalid $filter '{text}' specified in the query string.",
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


def resource_not_found(
    name: str, resource_group: str, kind: str = "Microsoft.ContainerInstance/containerGroups"
) -> Refusal:
    """404 for a resource (recorded)."""
    return Refusal(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{resource_group}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def invalid_property_id(resource_id: str, path: str) -> Refusal:
    """400 for a reference that is no resource id."""
    return Refusal(
        400,
        "LinkedInvalidPropertyId",
        f"Property id '{resource_id}' at path '{path}' is invalid. Expect fully qualified resource Id "
        "that start with '/subscriptions/{subscriptionId}' or "
        "'/providers/{resourceProviderNamespace}/'.",
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


def update_not_allowed(name: str) -> Refusal:
    """400 for a PUT that changes what only another group can have (quoted by users)."""
    return Refusal(
        400,
        "InvalidContainerGroupUpdate",
        f"The updates on container group '{name}' are invalid. If you are going to update the os type, "
        "restart policy, network profile, CPU, memory or GPU resources for a container group, you must "
        "delete it first and then create a new one.",
    )


def stopped(name: str, resource_group: str) -> Refusal:
    """409 for what a stopped group cannot do (the text was quoted, code and status were not)."""
    return Refusal(
        409,
        "ContainerGroupStopped",
        f"Container Group '{name}' in resource group '{resource_group}' is stopped.",
    )


def not_running(container: str, name: str) -> Refusal:
    """409 for exec or attach in a container that has ended (ours; what Azure says is not known)."""
    return Refusal(
        409,
        "ContainerNotRunning",
        f"The container '{container}' in container group '{name}' is not running.",
    )


def unavailable(location: str, cpu: float, memory: float, os_type: str, *, vnet: bool) -> Refusal:
    """409 for more than a region has; what is beyond the largest size gets the same (documented)."""
    return Refusal(
        409,
        "ServiceUnavailable",
        f"The requested resource is not available in the location '{location}' at this moment. Please "
        "retry with a different resource request or in another location. Resource requested: "
        f"'{cpu:g}' CPU '{memory:g}' GB memory '{os_type}' OS{' virtual network' if vnet else ''}.",
    )


def linked_authorization(action: str, scope: str, tenant: str, subscription: str) -> Refusal:
    """403 for a reference into a subscription that is not this one (recorded)."""
    return Refusal(
        403,
        "LinkedAuthorizationFailed",
        f"The client has permission to perform action '{action}' on scope '{scope}', however the "
        f"current tenant '{tenant}' is not authorized to access linked subscription "
        f"'{subscription}'.",
        {"x-ms-failure-cause": "gateway"},
    )


def container_not_found(container: str, name: str) -> Refusal:
    """404 for a container of a group."""
    return Refusal(
        404,
        "ContainerNotFound",
        f"The container '{container}' is not found in container group '{name}'.",
    )


def blocked(location: str) -> Refusal:
    """409 where not one container group is allowed (documented, its status is not)."""
    refusal = quota_reached("ContainerGroups", location, 0, 0, 1)
    return Refusal(409, "ServiceUnavailable", refusal.message)


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
