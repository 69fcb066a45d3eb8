"""What Azure calls the operation of a request: the ``operationId`` of its REST specification."""

from __future__ import annotations

from aciflow.local.protocol import Request


__all__ = ["ACTIONS", "OPERATIONS", "group_name", "operation_of"]


_ACI = "/subscriptions/{}/providers/microsoft.containerinstance"
_RG = "/subscriptions/{}/resourcegroups/{}"
_ALL = _RG + "/providers/microsoft.containerinstance/containergroups"
_ONE = _ALL + "/{}"
_PLACE = _ACI + "/locations/{}"

_TABLE = {
    ("PUT", _ONE): "ContainerGroups_CreateOrUpdate",
    ("GET", _ONE): "ContainerGroups_Get",
    ("PATCH", _ONE): "ContainerGroups_Update",
    ("DELETE", _ONE): "ContainerGroups_Delete",
    ("GET", _ALL): "ContainerGroups_ListByResourceGroup",
    ("GET", _ACI + "/containergroups"): "ContainerGroups_List",
    ("POST", _ONE + "/start"): "ContainerGroups_Start",
    ("POST", _ONE + "/stop"): "ContainerGroups_Stop",
    ("POST", _ONE + "/restart"): "ContainerGroups_Restart",
    (
        "GET",
        _ONE + "/outboundnetworkdependenciesendpoints",
    ): "ContainerGroups_GetOutboundNetworkDependenciesEndpoints",
    ("GET", _ONE + "/containers/{}/logs"): "Containers_ListLogs",
    ("POST", _ONE + "/containers/{}/exec"): "Containers_ExecuteCommand",
    ("POST", _ONE + "/containers/{}/attach"): "Containers_Attach",
    ("GET", _PLACE + "/operations/{}"): "Operations_Get",
    ("GET", _PLACE + "/usages"): "Location_ListUsage",
    ("GET", _PLACE + "/capabilities"): "Location_ListCapabilities",
    ("GET", _PLACE + "/cachedimages"): "Location_ListCachedImages",
    ("GET", "/providers/microsoft.containerinstance/operations"): "Operations_List",
    ("PUT", _RG): "ResourceGroups_CreateOrUpdate",
    ("PATCH", _RG): "ResourceGroups_Update",
    ("GET", _RG): "ResourceGroups_Get",
    ("HEAD", _RG): "ResourceGroups_CheckExistence",
    ("DELETE", _RG): "ResourceGroups_Delete",
    ("GET", "/subscriptions/{}/resourcegroups"): "ResourceGroups_List",
    ("GET", _RG + "/resources"): "Resources_ListByResourceGroup",
    ("GET", "/subscriptions/{}/resources"): "Resources_List",
    ("GET", "/subscriptions/{}/operationresults/{}"): "OperationResults_Get",
    ("GET", "/subscriptions/{}/providers/{}"): "Providers_Get",
    ("GET", "/subscriptions/{}/providers"): "Providers_List",
    ("POST", "/subscriptions/{}/providers/{}/register"): "Providers_Register",
    ("GET", "/subscriptions"): "Subscriptions_List",
    ("GET", "/subscriptions/{}"): "Subscriptions_Get",
    ("GET", "/subscriptions/{}/locations"): "Subscriptions_ListLocations",
    ("GET", "/tenants"): "Tenants_List",
}

OPERATIONS = tuple(sorted(set(_TABLE.values())))
"""All names, sorted. ``Operations_Get`` and ``OperationResults_Get`` are ours: Azure has none for them."""

ACTIONS = {"PUT": "write", "PATCH": "write", "GET": "read", "HEAD": "read", "DELETE": "delete"}
"""What a method does, as ARM's permissions name it; of ``POST`` it is the path's last word."""

_BY_LENGTH: dict[int, list[tuple[str, list[str], str]]] = {}
for (_method, _path), _name in _TABLE.items():
    _parts = _path.strip("/").split("/")
    _BY_LENGTH.setdefault(len(_parts), []).append((_method, _parts, _name))


def operation_of(request: Request) -> str:
    """The operation's name; empty for what is none of the table's."""
    given = _segments(request.path)
    for method, parts, name in _BY_LENGTH.get(len(given), ()):
        if method == request.method and all(
            part in ("{}", have) for part, have in zip(parts, given, strict=True)
        ):
            return name
    return ""


def group_name(request: Request) -> str:
    """The container group, or else the resource group, that a path names, in lower case; or empty."""
    given = _segments(request.path)
    for before in ("containergroups", "resourcegroups"):
        if before in given[:-1]:
            return given[given.index(before) + 1]
    return ""


def _segments(path: str) -> list[str]:
    return [segment for segment in path.lower().split("/") if segment]
