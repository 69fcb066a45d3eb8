"""What ACI refuses of a group as a whole: words, priority, SKU, registries, identities, zones, profiles."""

from __future__ import annotations

import base64
import binascii
import re

from collections.abc import Mapping
from typing import Any

from aciflow.local.rest.errors import Refusal


__all__ = [
    "check_identity",
    "check_priority",
    "check_registries",
    "check_rest",
    "check_sku",
    "check_words",
    "identity_type",
]


SKUS = ("Standard", "Dedicated", "Confidential")
GPUS = ("K80", "P100", "V100")
IDENTITIES = ("SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned", "None")

_IDENTITY = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.managedidentity"
    r"/userassignedidentities/[^/]+",
    re.IGNORECASE,
)


def check_words(name: str, kept: Mapping[str, Any]) -> None:
    """
    OS type, restart policy, SKU.

    Raises:
        Refusal: The first problem.
    """
    if kept.get("osType") not in ("Linux", "Windows"):
        raise Refusal(
            400,
            "InvalidOsType",
            "The 'osType' for container group '<null>' is invalid. The value must be one of "
            "'Windows,Linux'.",
        )
    if kept.get("restartPolicy") not in (None, "Always", "OnFailure", "Never"):
        raise Refusal(
            400,
            "InvalidRestartPolicy",
            f"The restart policy '{kept['restartPolicy']}' of container group '{name}' is invalid. "
            "The value must be one of 'Always,OnFailure,Never'.",
        )
    if kept.get("sku") not in (None, *SKUS):
        raise Refusal(
            400,
            "InvalidSku",
            f"The 'sku' of container group '{name}' must be one of '{','.join(SKUS)}'.",
        )


def check_priority(name: str, kept: Mapping[str, Any], top: Mapping[str, Any]) -> None:
    """
    What a Spot group may not have.

    Raises:
        Refusal: The first problem.
    """
    if kept.get("priority") not in (None, "Regular", "Spot"):
        raise Refusal(
            400,
            "PriorityNotSpecified",
            f"The 'Priority' must be one of 'Regular,Spot' for container group '{name}'.",
        )
    if kept.get("priority") != "Spot":
        return
    if kept.get("sku", "Standard") != "Standard":
        raise Refusal(
            400,
            "SpotPriorityContainerGroupNotSupportedInSku",
            f"Spot Priority Container Group is not supported in '{kept['sku']}' Sku.",
        )
    if any(_gpu(each) for each in kept["containers"]):
        raise Refusal(
            400,
            "SpotPriorityContainerGroupWithGPUResourcesNotSupported",
            "Spot Priority Container Groups that include containers requesting GPU resources are not "
            "supported.",
        )
    if kept.get("ipAddress") or kept.get("subnetIds"):
        raise Refusal(
            400,
            "SpotPriorityContainerGroupNotSupportedForInboundConnectivity",
            "Spot Priority is not supported for container groups with inbound connectivity.",
        )
    if top.get("zones"):
        raise Refusal(
            400,
            "SpotPriorityContainerGroupNotSupportedInZone",
            f"Spot Priority is not supported for container group '{name}' with availability zones.",
        )


def _gpu(container: Mapping[str, Any]) -> Mapping[str, Any] | None:
    resources = container["properties"].get("resources") or {}
    for kind in ("requests", "limits"):
        found: Mapping[str, Any] | None = (resources.get(kind) or {}).get("gpu")
        if found is not None:
            return found
    return None


def check_sku(name: str, kept: Mapping[str, Any]) -> None:
    """
    GPUs by name, and what only a confidential group has.

    Raises:
        Refusal: The first problem.
    """
    for each in kept["containers"]:
        gpu = _gpu(each)
        if gpu is not None and (gpu["sku"] not in GPUS or not 1 <= gpu["count"] <= 4):
            raise Refusal(
                400,
                "InvalidGpuResource",
                f"The GPU of container '{each['name']}' in container group '{name}' is invalid: 1 to 4 of "
                f"'{','.join(GPUS)}'.",
            )
    policy = (kept.get("confidentialComputeProperties") or {}).get("ccePolicy")
    if kept.get("confidentialComputeProperties") is not None and kept.get("sku") != "Confidential":
        raise Refusal(
            400,
            "ConfidentialComputePropertiesNotSupportedInSku",
            f"The 'confidentialComputeProperties' of container group '{name}' need the sku "
            "'Confidential'.",
        )
    if policy is not None:
        try:
            base64.b64decode(policy, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(
                400,
                "InvalidCcePolicy",
                f"The 'ccePolicy' of container group '{name}' is not base64.",
            ) from None


def check_registries(name: str, kept: Mapping[str, Any], top: Mapping[str, Any]) -> None:
    """
    One way to log in to each registry, and identities that the group has.

    Raises:
        Refusal: The first problem.
    """
    mine = {key.lower() for key in (top.get("identity") or {}).get("userAssignedIdentities") or ()}
    seen = set()
    for registry in kept.get("imageRegistryCredentials") or ():
        server = registry["server"].lower()
        if not server or "/" in server or not server.isprintable() or " " in server:
            raise Refusal(
                400,
                "InvalidImageRegistryServer",
                f"The server '{registry['server']}' in the 'imageRegistryCredentials' of container group "
                f"'{name}' is invalid: a host name, without scheme and path.",
            )
        if server in seen:
            raise Refusal(
                400,
                "DuplicateImageRegistryServer",
                f"The server '{registry['server']}' is twice in the 'imageRegistryCredentials' of "
                f"container group '{name}'.",
            )
        seen.add(server)
        _check_login(name, kept, registry, mine)


def _check_login(
    name: str, kept: Mapping[str, Any], registry: Mapping[str, Any], mine: set[str]
) -> None:
    identity, username = registry.get("identity"), registry.get("username")
    if bool(identity) == bool(username):
        raise Refusal(
            400,
            "AmbiguousImageResitryCredentialType",  # as the service spells it
            "The registry credential type in the 'imageRegistryCredentials' of container group "
            f"'{name}' cannot be detected. Please set exactly one of username or identity",
        )
    if username:
        if registry.get("passwordReference") is not None:
            raise Refusal(
                501,
                "NotImplemented",
                "The local endpoint does not support passwordReference (imageRegistryCredentials).",
            )
        if not registry.get("password"):
            raise Refusal(
                400,
                "ImageRegistryPasswordNotSpecified",
                f"The 'password' in the 'imageRegistryCredentials' of container group '{name}' is "
                "missing.",
            )
        return
    if kept["osType"] == "Windows" or not registry["server"].lower().endswith(".azurecr.io"):
        raise Refusal(
            400,
            "InvalidImageRegistryCredentialType",
            f"Identity in 'imageRegistryCredentials' of container group '{name}' is not supported.",
        )
    if str(identity).lower() not in mine:
        raise Refusal(
            400,
            "InvalidImageRegistryIdentity",
            f"The identity in the 'imageRegistryCredentials' of container group '{name}' not found in "
            "container group identity list.",
        )


def check_rest(name: str, kept: Mapping[str, Any], top: Mapping[str, Any]) -> None:
    """
    Zones, time-out and what later versions added and this endpoint does not have.

    Raises:
        Refusal: The first problem.
    """
    zones = top.get("zones") or ()
    if len(zones) > 1 or any(zone not in ("1", "2", "3") for zone in zones):
        raise Refusal(
            400,
            "InvalidAvailabilityZone",
            f"The zones of container group '{name}' are invalid: one of '1,2,3'.",
        )
    timeout = kept.get("provisioningTimeoutInSeconds")
    if timeout is not None and not 1 <= timeout <= 1800:
        raise Refusal(
            400,
            "InvalidProvisioningTimeout",
            f"The 'provisioningTimeoutInSeconds' of container group '{name}' must be between 1 and 1800.",
        )
    for key in ("secretReferences", "identityAcls"):
        if kept.get(key):
            raise Refusal(
                501, "NotImplemented", f"The local endpoint does not support properties.{key}."
            )


def identity_type(identity: Mapping[str, Any]) -> str:
    """The type as Azure writes it."""
    kind = ", ".join(part.strip() for part in (identity.get("type") or "None").split(","))
    return next((known for known in IDENTITIES if known.lower() == kind.lower()), kind)


def check_identity(identity: Mapping[str, Any]) -> None:
    """
    Refuse an identity that ARM would not take.

    Raises:
        Refusal: ``InvalidIdentityType``, ``InvalidIdentityResourceId``, ``MissingIdentityIds``.
    """
    kind = identity_type(identity)
    if kind not in IDENTITIES:
        raise Refusal(
            400,
            "InvalidIdentityType",
            f"The identity type '{kind}' is invalid. The supported types are "
            "'SystemAssigned, UserAssigned, None'.",
        )
    given = identity.get("userAssignedIdentities") or {}
    if "UserAssigned" in kind and not given:
        raise Refusal(
            400,
            "MissingIdentityIds",
            "The identity ids must not be null or empty for 'UserAssigned' identity type.",
        )
    for key in given:
        if _IDENTITY.fullmatch(key) is None:
            raise Refusal(
                400,
                "InvalidIdentityResourceId",
                f"The resource id '{key}' of a user assigned identity is invalid.",
            )
