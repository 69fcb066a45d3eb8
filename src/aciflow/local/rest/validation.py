"""
What ACI refuses at a PUT.

:func:`check_shape` finds what cannot be read at all, :func:`check_group` what can be read and is
not allowed. Like the service they stop at the first problem. What the service allows and a runtime
cannot do is refused too (:func:`check_runtime`), with ``NotImplemented``, rather than dropped.
Codes of the catalogue where it has one; ``Invalid...`` ones of ours where only the rule is known.
"""

from __future__ import annotations

import base64
import binascii
import re

from collections.abc import Container, Iterator, Mapping
from typing import Any

from aciflow.local.rest import errors
from aciflow.local.rest.errors import Refusal


__all__ = ["check_group", "check_runtime", "check_shape"]


_GROUP_NAME = re.compile(r"(?!.*--)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z][a-z0-9-]{3,61}[a-z0-9]")
_MAX_CPU = 32.0
_MAX_MEMORY = 256.0
_VOLUMES = ("azureFile", "emptyDir", "secret", "gitRepo")


# --- shape --------------------------------------------------------------------------------------


def check_shape(body: Mapping[str, Any]) -> None:
    """
    Refuse a body whose required parts are missing or of another type.

    Raises:
        Refusal: ``InvalidRequestContent``, with a path.
    """
    properties = _object(body, "properties", "")
    path = "properties"
    if not properties.get("containers"):
        raise Refusal(
            400,
            "ContainersNotSpecified",
            "The 'containers' property of the container group is missing or empty.",
        )
    for place, each in _objects(properties, "containers", path):
        given = _object(each, "properties", place)
        for port_place, port in _objects(given, "ports", f"{place}.properties"):
            _port(port, port_place)
        _names(given, "environmentVariables", f"{place}.properties")
        _mounts(given, f"{place}.properties")
        _command(given, place)
    for place, each in _objects(properties, "initContainers", path):
        given = _object(each, "properties", place)
        _names(given, "environmentVariables", f"{place}.properties")
        _mounts(given, f"{place}.properties")
        _command(given, place)
    _names(properties, "volumes", path)
    for place, registry in _objects(properties, "imageRegistryCredentials", path):
        if not isinstance(registry.get("server"), str):
            raise _missing("server", place)
    address = properties.get("ipAddress")
    if address is not None:
        address = _object(properties, "ipAddress", path)
        for place, port in _objects(address, "ports", f"{path}.ipAddress"):
            _port(port, place)


def _missing(name: str, path: str) -> Refusal:
    return errors.invalid_content(f"Required property '{name}' not found in JSON. Path '{path}'.")


def _object(parent: Mapping[str, Any], key: str, path: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if value is None:
        raise _missing(key, path)
    if not isinstance(value, dict):
        raise errors.invalid_content(f"An object was expected. Path '{path}.{key}'.")
    return value


def _objects(
    parent: Mapping[str, Any], key: str, path: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    value = parent.get(key)
    if value is None:
        return
    if not isinstance(value, list):
        raise errors.invalid_content(f"An array was expected. Path '{path}.{key}'.")
    for index, each in enumerate(value):
        place = f"{path}.{key}[{index}]"
        if not isinstance(each, dict):
            raise errors.invalid_content(f"An object was expected. Path '{place}'.")
        yield place, each


def _names(parent: Mapping[str, Any], key: str, path: str) -> None:
    for place, each in _objects(parent, key, path):
        if not isinstance(each.get("name"), str):
            raise _missing("name", place)


def _mounts(parent: Mapping[str, Any], path: str) -> None:
    _names(parent, "volumeMounts", path)
    for place, mount in _objects(parent, "volumeMounts", path):
        if not isinstance(mount.get("mountPath"), str):
            raise _missing("mountPath", place)


def _command(properties: Mapping[str, Any], place: str) -> None:
    command = properties.get("command")
    if command is None:
        return
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        where = f"{place}.properties.command"
        raise errors.invalid_content(f"An array of strings was expected. Path '{where}'.")


def _port(port: Mapping[str, Any], place: str) -> None:
    number = port.get("port")
    if isinstance(number, bool) or not isinstance(number, int):
        raise _missing("port", place)


# --- rules --------------------------------------------------------------------------------------


def check_group(name: str, kept: Mapping[str, Any]) -> None:
    """
    Refuse a group that ACI would not accept.

    Args:
        name: From the path.
        kept: Its normalised properties.

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
    _check_containers(name, kept)
    _check_address(name, kept)
    _check_volumes(name, kept)
    _check_priority(name, kept)


def _check_containers(name: str, kept: Mapping[str, Any]) -> None:
    containers = kept["containers"]
    inits = kept["initContainers"]
    if len(containers) > 60 or len(inits) > 59:
        raise Refusal(
            400,
            "TooManyContainers",
            f"Container group '{name}' may have at most 60 containers and 59 init containers.",
        )
    seen = set()
    volumes = {volume["name"] for volume in kept.get("volumes") or ()}
    for each in (*inits, *containers):
        label, properties = each["name"], each["properties"]
        if not isinstance(label, str) or _CONTAINER_NAME.fullmatch(label) is None:
            raise Refusal(
                400,
                "InvalidContainerName",
                f"The container name '{label}' in container group '{name}' is invalid. It must have "
                "1 to 63 lowercase letters, numbers or hyphens, and no hyphen at its start or end.",
            )
        if label in seen:
            raise Refusal(
                400,
                "DuplicateContainerName",
                f"The container name '{label}' is used twice in container group '{name}'.",
            )
        seen.add(label)
        image = properties.get("image")
        if not isinstance(image, str) or not image.strip():
            raise Refusal(
                400,
                "InvalidImageName",
                f"The image name of container '{label}' in container group '{name}' is missing.",
            )
        for mount in properties.get("volumeMounts") or ():
            if mount["name"] not in volumes:
                raise Refusal(
                    400,
                    "VolumeMountNotFound",
                    f"The volume mount '{mount['name']}' of container '{label}' in container group "
                    f"'{name}' names no volume of the group.",
                )
    _check_resources(name, containers)


def _check_resources(name: str, containers: list[dict[str, Any]]) -> None:
    totals = {"cpu": 0.0, "memoryInGB": 0.0}
    for each in containers:
        resources = each["properties"].get("resources") or {}
        requests = resources.get("requests") or {}
        for key in totals:
            value = requests.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise Refusal(
                    400,
                    "ResourceRequestsNotSpecified",
                    f"The resource requests are not specified for container '{each['name']}' in "
                    f"container group '{name}'.",
                )
            totals[key] += value
    for each in containers:
        resources = each["properties"]["resources"]
        for key, value in (resources.get("limits") or {}).items():
            if key in totals and value is not None:
                low = resources["requests"][key]
                if not low <= value <= totals[key]:
                    raise Refusal(
                        400,
                        "InvalidResourceLimits",
                        f"The limit '{key}' of container '{each['name']}' in container group "
                        f"'{name}' must be between its request '{low:g}' and the total of the group "
                        f"'{totals[key]:g}'.",
                    )
    if totals["cpu"] > _MAX_CPU or totals["memoryInGB"] > _MAX_MEMORY:
        raise Refusal(
            400,
            "InvalidResourceRequests",
            f"The resource requests of container group '{name}', {totals['cpu']:g} CPU and "
            f"{totals['memoryInGB']:g} GB, are above the limit of {_MAX_CPU:g} CPU and "
            f"{_MAX_MEMORY:g} GB.",
        )


def _check_address(name: str, kept: Mapping[str, Any]) -> None:
    ports_inside: dict[tuple[int, str], str] = {}
    for each in kept["containers"]:
        for port in each["properties"]["ports"]:
            key = (port["port"], port.get("protocol") or "TCP")
            if key in ports_inside:
                raise Refusal(
                    400,
                    "DuplicateContainerPorts",
                    f"Port '{key[0]}' is exposed by '{ports_inside[key]}' and '{each['name']}' in "
                    f"container group '{name}': containers of a group share its ports.",
                )
            ports_inside[key] = each["name"]
    address = kept.get("ipAddress")
    if not address:
        return
    ports = address["ports"]
    if address.get("type") not in ("Public", "Private"):
        raise Refusal(
            400,
            "InvalidIPAddressType",
            f"The IP address type of container group '{name}' must be one of 'Public,Private'.",
        )
    if not ports:
        raise Refusal(
            400,
            "MissingIpAddressPorts",
            f"The ports in the 'ipAddress' of container group '{name}' cannot be empty.",
        )
    if len(ports) > 5:
        raise Refusal(
            400,
            "TooManyIpAddressPorts",
            f"The 'ipAddress' of container group '{name}' may have at most 5 ports.",
        )
    for port in ports:
        if not 1 <= port["port"] <= 65535 or port.get("protocol") not in (None, "TCP", "UDP"):
            raise Refusal(
                400,
                "InvalidIpAddressPort",
                f"The port '{port['port']}/{port.get('protocol')}' in the 'ipAddress' of container "
                f"group '{name}' is invalid.",
            )
    if len({(port["port"], port.get("protocol") or "TCP") for port in ports}) != len(ports):
        raise Refusal(
            400,
            "DuplicateIpAddressPorts",
            f"The 'ipAddress' of container group '{name}' has a port twice.",
        )
    label = address.get("dnsNameLabel")
    if label and _LABEL.fullmatch(str(label)) is None:
        raise Refusal(
            400,
            "InvalidDnsNameLabel",
            f"The DNS name label '{label}' in container group '{name}' is invalid. It can contain "
            "only lowercase letters, numbers and hyphens. The first character must be a letter. The "
            "last character must be a letter or number. The value must be between 5 and 63 "
            "characters long.",
        )


def _check_volumes(name: str, kept: Mapping[str, Any]) -> None:
    volumes = kept.get("volumes") or ()
    if len(volumes) > 20:
        raise Refusal(
            400, "TooManyVolumes", f"Container group '{name}' may have at most 20 volumes."
        )
    for volume in volumes:
        kinds = [kind for kind in _VOLUMES if volume.get(kind) is not None]
        if len(kinds) != 1:
            raise Refusal(
                400,
                "InvalidVolume",
                f"Volume '{volume['name']}' in container group '{name}' must have exactly one of "
                f"'{','.join(_VOLUMES)}'.",
            )
        for key, content in (volume.get("secret") or {}).items():
            try:
                base64.b64decode(content, validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise Refusal(
                    400,
                    "InvalidSecretVolumeContent",
                    f"Secret '{key}' of volume '{volume['name']}' in container group '{name}' is not "
                    "base64.",
                ) from None


def _check_priority(name: str, kept: Mapping[str, Any]) -> None:
    if kept.get("priority") == "Spot" and kept.get("ipAddress"):
        raise Refusal(
            400,
            "SpotPriorityContainerGroupNotSupportedForInboundConnectivity",
            f"Container group '{name}' of priority 'Spot' cannot have an IP address.",
        )


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
    if kept["osType"] in unsupported:
        raise errors.not_local(f"osType '{kept['osType']}'")
    for volume in kept.get("volumes") or ():
        for kind in _VOLUMES:
            if kind in unsupported and volume.get(kind) is not None:
                raise errors.not_local(f"{kind} volumes (volume '{volume['name']}')")
    for each in kept["containers"]:
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in unsupported and each["properties"].get(probe):
                raise errors.not_local(f"{probe} (container '{each['name']}')")
