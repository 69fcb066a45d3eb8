"""Which containers, sizes and probes ACI refuses."""

from __future__ import annotations

import json
import re

from collections.abc import Iterator, Mapping
from typing import Any

from aciflow.local.rest import errors
from aciflow.local.rest.errors import Refusal


__all__ = ["check_containers", "check_resources"]


MAX_CONTAINERS = 60
MAX_INIT_CONTAINERS = 59
MIN_GROUP = {"cpu": 1.0, "memoryInGB": 1.0}
LARGEST = {
    "Standard": {"cpu": 32.0, "memoryInGB": 256.0},
    "Dedicated": {"cpu": 32.0, "memoryInGB": 256.0},
    "Confidential": {"cpu": 32.0, "memoryInGB": 192.0},
}
"""Documented: 31 vCPU and 240 GB, or 180; the capabilities say 32 and 256, the FAQ 192."""

SPOT_LARGEST = {"cpu": 4.0, "memoryInGB": 16.0}

_CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"cpu": "Cpu", "memoryInGB": "MemoryInGB"}


def check_containers(name: str, kept: Mapping[str, Any]) -> None:
    """
    Names, images, environment, mounts, ports and probes of all containers.

    Raises:
        Refusal: The first problem.
    """
    containers, inits = kept["containers"], kept["initContainers"]
    if len(containers) > MAX_CONTAINERS or len(inits) > MAX_INIT_CONTAINERS:
        raise Refusal(
            400,
            "TooManyContainers",
            f"Container group '{name}' may have at most {MAX_CONTAINERS} containers and "
            f"{MAX_INIT_CONTAINERS} init containers.",
        )
    if kept["osType"] == "Windows" and (len(containers) > 1 or inits):
        raise Refusal(
            400,
            "MultipleContainersNotSupportedOnWindows",
            f"Container group '{name}' of OS type 'Windows' must have exactly one container and no init "
            "container.",
        )
    seen: set[str] = set()
    volumes = {volume["name"] for volume in kept.get("volumes") or ()}
    for each in (*inits, *containers):
        _check_container(name, each, seen, volumes)
    for each in containers:
        for kind in ("livenessProbe", "readinessProbe"):
            if each["properties"].get(kind) is not None:
                _check_probe(name, each["name"], kind, each["properties"][kind])
    for each in (*inits, *containers):
        _check_security(name, kept, each)


def _check_container(
    name: str, container: Mapping[str, Any], seen: set[str], volumes: set[str]
) -> None:
    label, properties = container["name"], container["properties"]
    if _CONTAINER_NAME.fullmatch(label) is None:
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
    if not image or not image.isprintable() or any(mark.isspace() for mark in image):
        raise Refusal(
            400,
            "InvalidImageName",
            f"The image name of container '{label}' in container group '{name}' is missing or invalid.",
        )
    _check_words(name, label, properties)
    _check_environment(name, label, properties)
    paths = set()
    for mount in properties.get("volumeMounts") or ():
        if mount["name"] not in volumes:
            raise Refusal(
                400,
                "VolumeMountNotFound",
                f"The volume mount '{mount['name']}' of container '{label}' in container group "
                f"'{name}' names no volume of the group.",
            )
        path = mount["mountPath"]
        if not path or ":" in path or "\0" in path or path in paths:
            raise Refusal(
                400,
                "InvalidVolumeMountPath",
                f"The mount path '{path}' of container '{label}' in container group '{name}' is empty, "
                "has a ':', or is used twice.",
            )
        paths.add(path)


def _check_words(name: str, label: str, properties: Mapping[str, Any]) -> None:
    # A process's arguments and environment cannot hold it, on Azure or here.
    words = list(properties.get("command") or ())
    words += [
        variable.get("value") or "" for variable in properties.get("environmentVariables") or ()
    ]
    words += [
        variable.get("secureValue") or ""
        for variable in properties.get("environmentVariables") or ()
    ]
    if any("\0" in word for word in words):
        raise Refusal(
            400,
            "InvalidContainerCommand",
            f"The command or an environment variable of container '{label}' in container group "
            f"'{name}' has a NUL character.",
        )


def _check_environment(name: str, label: str, properties: Mapping[str, Any]) -> None:
    seen = set()
    for variable in properties.get("environmentVariables") or ():
        key = variable["name"]
        if _VARIABLE_NAME.fullmatch(key) is None:
            raise Refusal(
                400,
                "InvalidEnvironmentVariableName",
                f"The environment variable name in container '{label}' of container group '{name}' is "
                "invalid. A valid environment variable name must start with alphabetic character or "
                "'_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or "
                "'MY_NAME',  or 'MyName').",
            )
        if key in seen:
            raise Refusal(
                400,
                "DuplicateEnvironmentVariableName",
                f"The environment variable '{key}' is there twice in container '{label}' of container "
                f"group '{name}'.",
            )
        seen.add(key)
        if variable.get("secureValueReference") is not None:
            raise errors.not_local(f"secureValueReference (container '{label}', variable '{key}')")
        if "value" in variable and "secureValue" in variable:
            raise Refusal(
                400,
                "InvalidEnvironmentVariable",
                f"The environment variable '{key}' in container '{label}' of container group '{name}' "
                "may have a 'value' or a 'secureValue', not both.",
            )


def _check_probe(name: str, label: str, kind: str, probe: Mapping[str, Any]) -> None:
    def wrong(what: str) -> Refusal:
        return Refusal(
            400,
            "InvalidContainerProbe",
            f"The '{kind}' of container '{label}' in container group '{name}' is invalid. {what}",
        )

    command = probe.get("exec")
    http = probe.get("httpGet")
    if (command is None) == (http is None):
        raise wrong("Exactly one of 'exec' and 'httpGet' must be set.")
    if command is not None and not command.get("command"):
        raise wrong("The 'command' of 'exec' must not be empty.")
    if http is not None:
        if not 1 <= http["port"] <= 65535:
            raise wrong("The 'port' of 'httpGet' must be between 1 and 65535.")
        if http.get("scheme") not in (None, "http", "https"):
            raise wrong("The 'scheme' of 'httpGet' must be one of 'http,https'.")
        path = http.get("path")
        if path is not None and (any(ord(mark) < 33 or ord(mark) == 127 for mark in path)):
            raise wrong("The 'path' of 'httpGet' has a space or a control character.")
        for header in http.get("httpHeaders") or ():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header.get("name") or ""):
                raise wrong("A name in 'httpHeaders' is not one of HTTP's.")
            if any(ord(mark) < 32 and mark != "\t" for mark in header.get("value") or ""):
                raise wrong("A value in 'httpHeaders' has a control character.")
    for key, least in _LEAST.items():
        if probe.get(key) is not None and probe[key] < least:
            raise wrong(f"'{key}' must be at least {least}.")
    if kind == "livenessProbe" and probe.get("successThreshold") not in (None, 1):
        raise wrong("The 'successThreshold' of a liveness probe must be 1.")


_LEAST = {
    "initialDelaySeconds": 0,
    "periodSeconds": 1,
    "failureThreshold": 1,
    "successThreshold": 1,
    "timeoutSeconds": 1,
}


def _check_security(name: str, kept: Mapping[str, Any], container: Mapping[str, Any]) -> None:
    security = container["properties"].get("securityContext") or {}
    if security.get("privileged") and kept.get("sku") != "Confidential":
        raise Refusal(
            400,
            "PrivilegedContainerNotSupported",
            f"The container '{container['name']}' in container group '{name}' is privileged, which only "
            "container groups of sku 'Confidential' may have.",
        )
    for key in ("runAsUser", "runAsGroup"):
        if security.get(key) is not None and security[key] < 0:
            raise Refusal(
                400,
                "InvalidSecurityContext",
                f"The '{key}' of container '{container['name']}' in container group '{name}' must not be "
                "negative.",
            )


# --- sizes --------------------------------------------------------------------------------------


def check_resources(name: str, kept: Mapping[str, Any], location: str) -> None:
    """
    Requests and limits of the containers, and the whole group's size.

    Raises:
        Refusal: The first problem.
    """
    totals = {"cpu": 0.0, "memoryInGB": 0.0}
    for each in kept["containers"]:
        for key, value in _requests(name, each):
            totals[key] += value
    for each in kept["containers"]:
        _check_limits(name, each, totals)
    for key, least in MIN_GROUP.items():
        if round(totals[key], 6) < least:
            raise Refusal(
                400,
                "InvalidResourceRequests",
                f"The total '{_WORDS[key]}' request '{totals[key]:g}' of container group '{name}' is "
                f"less than the minimum of '{least:g}'.",
            )
    most = LARGEST[kept.get("sku") or "Standard"]
    if kept.get("priority") == "Spot":
        most = SPOT_LARGEST
    if any(round(totals[key], 6) > most[key] for key in totals):
        raise errors.unavailable(
            location,
            totals["cpu"],
            totals["memoryInGB"],
            kept["osType"],
            vnet=bool(kept.get("subnetIds")),
        )


def _requests(name: str, container: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    label = container["name"]
    requests = (container["properties"].get("resources") or {}).get("requests") or {}
    given = [key for key in _WORDS if requests.get(key) is not None]
    if not given:
        raise Refusal(
            400,
            "ResourceRequestsNotSpecified",
            f"The resource requests are not specified in container '{label}' of contain group "
            f"'{name}'. Both memory and CPU requests are required since API version "
            "'2017-07-01-preview'.",
        )
    for key, word in _WORDS.items():
        if key not in given:
            raise Refusal(
                400,
                "ResourceSomeRequestsNotSpecified",
                f"The '{word}' request is not specified in "
                "'Microsoft.Azure.CloudConsole.Providers.Common.Entities.ComputeResources' in "
                f"container '{label}' of contain group '{name}'. It is required since API version "
                "'2017-07-01-preview'.",
            )
        if requests[key] <= 0:
            raise Refusal(
                400,
                "InvalidResourceRequests",
                f"The '{word}' request '{requests[key]:g}' in container '{label}' of container group "
                f"'{name}' must be greater than 0.",
            )
        yield key, float(requests[key])


def _check_limits(name: str, container: Mapping[str, Any], totals: Mapping[str, float]) -> None:
    label, resources = container["name"], container["properties"]["resources"]
    limits = resources.get("limits") or {}
    for key, word in _WORDS.items():
        if limits.get(key) is None:
            continue
        if limits[key] < resources["requests"][key]:
            shown = json.dumps(
                {"requests": resources["requests"], "limits": limits}, separators=(",", ":")
            )
            raise Refusal(
                400,
                "ResourceLimitsLessThanRequests",
                f"The resource requirement '{shown}' in container '{label}' of contain group '{name}' is "
                f"invalid. The '{word}' limit value must be greater than or equal to the request value.",
            )
        if round(limits[key] - totals[key], 6) > 0:
            raise Refusal(
                400,
                "ContainerLimitGreaterThanContainerGroupTotalRequest",
                f"The '{word}' limit '{limits[key]:g}' in container '{label}' is greater than the total "
                f"request '{totals[key]:g}' of container group '{name}'.",
            )
