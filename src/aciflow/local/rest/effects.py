"""
Which fields of a group are taken and shown again, and do nothing here.

A reply to a PUT or GET of the group names them in a header, so that nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


__all__ = ["HEADER", "MARKED", "marked"]


HEADER = "x-aciflow-without-effect"

_CONTAINER = ("containers", "initContainers")

MARKED = (
    "identity",
    "zones",
    "plan",
    "sku",
    "kind",
    "managedBy",
    "extendedLocation",
    "properties.sku",
    "properties.priority",
    "properties.subnetIds",
    "properties.dnsConfig",
    "properties.diagnostics",
    "properties.encryptionProperties",
    "properties.extensions",
    "properties.confidentialComputeProperties",
    "properties.imageRegistryCredentials[].identity",
    "properties.imageRegistryCredentials[].identityUrl",
    "properties.volumes[].azureFile.storageAccountKey",
    "properties.containers[].properties.configMap.keyValuePairs",
    "properties.containers[].properties.resources.requests.gpu",
    "properties.containers[].properties.resources.limits.gpu",
    *(
        f"properties.{kind}[].properties.securityContext.{key}"
        for kind in _CONTAINER
        for key in ("allowPrivilegeEscalation", "capabilities", "seccompProfile")
    ),
)
"""Paths; ``[]`` is any place in an array."""

_USUAL = {"properties.sku": "Standard", "properties.priority": "Regular"}


def marked(body: Mapping[str, Any]) -> tuple[str, ...]:
    """
    The paths of the fields of a group that have no effect.

    Args:
        body: As it was read, in Azure's spelling.
    """
    return tuple(
        path
        for pattern in MARKED
        for path, value in _find(body, pattern.split("."), "")
        if value not in (None, [], {}, "", _USUAL.get(pattern, "Standard"))
        and not (pattern == "identity" and value.get("type") == "None")
    )


def _find(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
        return
    name, array, _ = steps[0].partition("[]")
    inner = value.get(name) if isinstance(value, Mapping) else None
    if inner is None:
        return
    here = f"{path}.{name}" if path else name
    if not array:
        yield from _find(inner, steps[1:], here)
        return
    for place, each in enumerate(inner):
        yield from _find(each, steps[1:], f"{here}[{place}]")
