"""
What ACI refuses at a PUT, once the body could be read.

Like the service it stops at the first problem. Codes and texts of the error catalogue and of what users
quoted where there is one; ``Invalid...`` ones of ours where only the rule is known (the sizes, names and
numbers of container-instances-resource-and-quota-limits.md and container-instances-troubleshooting.md).
What the service allows and this endpoint cannot do is refused too, rather than dropped:
:func:`check_runtime` and the modules of each part say how.
"""

from __future__ import annotations

import re

from collections.abc import Container, Mapping
from typing import Any

from aciflow.local.config import Config
from aciflow.local.rest import container_rules, group_rules, network_rules, volume_rules
from aciflow.local.rest.errors import Refusal, not_local


__all__ = ["check_containers_given", "check_group", "check_runtime"]


# Microsoft says lower case, but the service took "myContainerGroup" (recorded in 2020).
_GROUP_NAME = re.compile(r"(?!.*--)[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")


def check_containers_given(properties: Mapping[str, Any]) -> None:
    """
    Refuse a group without containers.

    Raises:
        Refusal: ``ContainersNotSpecified``.
    """
    if not properties.get("containers"):
        raise Refusal(
            400,
            "ContainersNotSpecified",
            "The 'containers' property of the container group is missing or empty.",
        )


def check_group(name: str, kept: Mapping[str, Any], top: Mapping[str, Any], config: Config) -> None:
    """
    Refuse a group that ACI would not accept.

    Args:
        name: From the path.
        kept: Its normalised properties.
        top: The other members of its body, and its ``location``.
        config: Which shares there are.

    Raises:
        Refusal: The first problem.
    """
    if _GROUP_NAME.fullmatch(name) is None:
        raise Refusal(
            400,
            "InvalidContainerGroupName",
            f"The container group name '{name}' is invalid. It must have 1 to 63 lowercase letters, "
            "numbers or hyphens, and no hyphen at its start or end or beside another.",
        )
    group_rules.check_words(name, kept)
    volume_rules.check_volumes(name, kept, config)
    container_rules.check_containers(name, kept)
    container_rules.check_resources(name, kept, top["location"])
    network_rules.check_network(name, kept)
    group_rules.check_priority(name, kept, top)
    group_rules.check_sku(name, kept)
    group_rules.check_registries(name, kept, top)
    group_rules.check_rest(name, kept, top)


def check_runtime(kept: Mapping[str, Any], unsupported: Container[str]) -> None:
    """
    Refuse what ACI can do and the runtime behind this endpoint cannot.

    Args:
        kept: The normalised properties.
        unsupported: Any of ``Windows``, ``azureFile``, ``gitRepo``, ``livenessProbe``,
            ``readinessProbe``.

    Raises:
        Refusal: ``NotImplemented``, with the field's name.
    """
    if kept.get("osType", "") in unsupported:
        raise not_local(f"osType '{kept['osType']}'")
    for volume in kept.get("volumes") or ():
        for kind in volume_rules.KINDS:
            if kind in unsupported and volume.get(kind) is not None:
                raise not_local(f"{kind} volumes (volume '{volume['name']}')")
    for each in kept["containers"]:
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in unsupported and each["properties"].get(probe):
                raise not_local(f"{probe} (container '{each['name']}')")
