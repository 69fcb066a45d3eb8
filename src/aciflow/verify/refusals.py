"""Mistakes that users make: what the service calls them, and that they leave nothing."""

from __future__ import annotations

import copy

from typing import Any

from aciflow.verify.stage import Stage


__all__ = ["images", "limits", "requests"]


def _with(body: dict[str, Any], **properties: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    changed["properties"].update(properties)
    return changed


def _in_container(body: dict[str, Any], **properties: Any) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    changed["properties"]["containers"][0]["properties"].update(properties)
    return changed


def requests(stage: Stage) -> None:
    """Bodies that are wrong in one place."""
    good = stage.group(stage.container("one"))
    bare = copy.deepcopy(good)
    del bare["properties"]["osType"]
    stage.refused("no osType", bare, ["InvalidOsType"])
    bare = copy.deepcopy(good)
    del bare["properties"]["containers"][0]["properties"]["resources"]
    stage.refused(
        "no resource requests", bare, ["ResourceRequestsNotSpecified", "InvalidRequestContent"]
    )
    nowhere = {**good, "location": "atlantis"}
    stage.refused("an unknown region", nowhere, ["LocationNotAvailableForResourceType"])
    stage.refused("no containers", _with(good, containers=[]))
    stage.refused("an unknown restart policy", _with(good, restartPolicy="Sometimes"))
    registry = [{"username": "u", "password": "p-17"}]
    stage.arm.secrets.add("p-17")
    stage.refused(
        "a registry without a server",
        _with(good, imageRegistryCredentials=registry),
        ["InvalidRequestContent"],
    )
    stage.refused("a name with two hyphens", good, name="bad--name")
    _capitals(stage, good)
    twins = stage.group(stage.container("one", cpu=0.5), stage.container("one", cpu=0.5))
    stage.refused("two containers of a name", twins)
    ports = [{"port": 8000 + number, "protocol": "TCP"} for number in range(6)]
    stage.refused("six ports", _with(good, ipAddress={"type": "Public", "ports": ports}))
    both = [{"port": 80, "protocol": "TCP"}]
    stage.refused(
        "one port twice",
        stage.group(
            stage.container("one", cpu=0.5, ports=both), stage.container("two", cpu=0.5, ports=both)
        ),
    )
    label = {"type": "Public", "ports": both, "dnsNameLabel": "a_b"}
    stage.refused("a DNS label that is none", _with(good, ipAddress=label))
    stage.refused(
        "a mount of no volume",
        _in_container(good, volumeMounts=[{"name": "nothing", "mountPath": "/x"}]),
    )
    volume = [{"name": "content", "secret": {"word": "no base64!"}}]
    stage.refused("a secret that is not base64", _with(good, volumes=volume))
    stage.refused(
        "Spot with an address",
        _with(good, priority="Spot", ipAddress={"type": "Public", "ports": both}),
        ["SpotPriorityContainerGroupNotSupportedForInboundConnectivity"],
    )
    both_probes = {"exec": {"command": ["true"]}, "httpGet": {"port": 80, "scheme": "http"}}
    stage.refused("a probe of two kinds", _in_container(good, livenessProbe=both_probes))
    _names_of_volumes(stage, good)
    _versions(stage, good)


def _capitals(stage: Stage, good: dict[str, Any]) -> None:
    name = stage.name("Big")
    seen = stage.put(name, good, step="a name with capitals")
    stage.answer("group-names", f"{seen.status} {seen.code or 'taken'}")
    stage.check("a name with capitals is taken or refused", seen.status < 500, seen.status)
    if name in stage.made:
        stage.delete(name, step="a name with capitals, deleted")


def _names_of_volumes(stage: Stage, good: dict[str, Any]) -> None:
    body = _with(good, volumes=[{"name": "tmp", "emptyDir": {}}])
    name = stage.name("volume-name")
    seen = stage.put(name, body, step="a volume name of three characters")
    stage.answer("volume-names", f"{seen.status} {seen.code or 'taken'}")
    stage.check("a short volume name is taken or refused", seen.status < 500, seen.status)
    if name in stage.made:
        stage.delete(name)


def _versions(stage: Stage, good: dict[str, Any]) -> None:
    stage.refused("an unknown version", good, version="1999-01-01")
    other = stage.get(stage.name("nobody"), step="a group that is not there")
    stage.check("a group that is not there", other.code == "ResourceNotFound", other.code)
    gone = f"{stage.home}-nowhere/providers/Microsoft.ContainerInstance/containerGroups/x"
    nowhere = stage.send("GET", gone, step="a resource group that is not there")
    stage.check("no resource group", nowhere.code == "ResourceGroupNotFound", nowhere.code)


def limits(stage: Stage) -> None:
    """Where sizes end. What is taken is deleted at once."""
    for cpu, memory in ((0.5, 0.5), (31, 240), (32, 256)):
        name = stage.name("size")
        body = stage.group(stage.container("one", cpu=cpu, memory=memory))
        what = f"{cpu:g} vCPU and {memory:g} GB"
        seen = stage.put(name, body, step=what)
        question = "small-group" if cpu < 1 else "size-limit"
        stage.answer(question, f"{what}: {seen.status} {seen.code or 'taken'}: {seen.message}")
        stage.check(f"{what} is taken or refused", seen.status < 500, seen.status)
        if name in stage.made:
            stage.delete(name)
    stage.refused("64 vCPU", stage.group(stage.container("one", cpu=64, memory=64)))
    stage.refused("four times the memory", stage.group(stage.container("one", cpu=1, memory=1000)))


def images(stage: Stage) -> None:
    """Images that are not there, private, or behind a wrong password."""
    missing = stage.group(stage.container("one"))
    container = missing["properties"]["containers"][0]["properties"]
    container["image"] = "mcr.microsoft.com/aciflow/not-there:none"
    stage.refused(
        "an image that is not there", missing, ["InaccessibleImage", "RegistryErrorResponse"]
    )
    container["image"] = "aciflow-not-there.azurecr.io/private:none"
    credentials = [
        {"server": "aciflow-not-there.azurecr.io", "username": "somebody", "password": "wrong-23"}
    ]
    stage.arm.secrets.add("wrong-23")
    stage.refused(
        "a registry that is not there", _with(missing, imageRegistryCredentials=credentials)
    )
    container["image"] = "not an image"
    stage.refused("a name that no image has", missing)
