"""
What each :class:`~aciflow.flow.effects.ArmCall` is on the wire.

Pure. The gateways let the azure SDKs build their requests; the simulator, which has no SDK under
it, and the tests, which compare the two, use this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import frozen

from aciflow.flow.effects import ArmCall


__all__ = [
    "API_VERSION",
    "NAMESPACE",
    "RESOURCES_API_VERSION",
    "WireRequest",
    "describe",
    "label",
    "request_for",
    "require",
    "same_origin",
]

#: Of Microsoft.ContainerInstance: the newest stable one that a stable SDK speaks.
API_VERSION = "2023-05-01"
#: Of Microsoft.Resources; each azure-mgmt-resource has its own, and the endpoints take any.
RESOURCES_API_VERSION = "2025-04-01"
NAMESPACE = "Microsoft.ContainerInstance"

WireRequest: TypeAlias = tuple[str, str, dict[str, str], Any]


@frozen
class _Route:
    """Method and path of an operation; ``says`` is how an error names what was tried."""

    method: str
    path: str
    says: str
    needs: tuple[str, ...] = ()
    resources: bool = False


_GROUP = "/subscriptions/{subscription}/resourceGroups/{resource_group}"
_CONTAINERS = f"{_GROUP}/providers/{NAMESPACE}/containerGroups/{{name}}"
_LOCATION = f"/subscriptions/{{subscription}}/providers/{NAMESPACE}/locations/{{location}}"
_PROVIDER = f"/subscriptions/{{subscription}}/providers/{NAMESPACE}"
_RG = "/subscriptions/{subscription}/resourcegroups/{resource_group}"
_NAMED = ("resource_group", "name")
_IN_RG = ("resource_group",)
_AT = ("location",)

_ROUTES: Mapping[str, _Route] = {
    "group.put": _Route("PUT", _CONTAINERS, "create container group {name!r}", _NAMED),
    "group.get": _Route("GET", _CONTAINERS, "read container group {name!r}", _NAMED),
    "group.delete": _Route("DELETE", _CONTAINERS, "delete container group {name!r}", _NAMED),
    "group.patch": _Route("PATCH", _CONTAINERS, "tag container group {name!r}", _NAMED),
    "group.list": _Route(
        "GET",
        f"{_GROUP}/providers/{NAMESPACE}/containerGroups",
        "list the container groups of {resource_group!r}",
        _IN_RG,
    ),
    "group.list_all": _Route(
        "GET",
        f"/subscriptions/{{subscription}}/providers/{NAMESPACE}/containerGroups",
        "list the container groups of the subscription",
    ),
    "group.start": _Route("POST", f"{_CONTAINERS}/start", "start container group {name!r}", _NAMED),
    "group.stop": _Route("POST", f"{_CONTAINERS}/stop", "stop container group {name!r}", _NAMED),
    "group.restart": _Route(
        "POST", f"{_CONTAINERS}/restart", "restart container group {name!r}", _NAMED
    ),
    "group.logs": _Route(
        "GET",
        f"{_CONTAINERS}/containers/{{container}}/logs",
        "read the logs of container {container!r} in {name!r}",
        (*_NAMED, "container"),
    ),
    "container.exec": _Route(
        "POST",
        f"{_CONTAINERS}/containers/{{container}}/exec",
        "run a command in container {container!r} of {name!r}",
        (*_NAMED, "container", "body"),
    ),
    "container.attach": _Route(
        "POST",
        f"{_CONTAINERS}/containers/{{container}}/attach",
        "attach to container {container!r} of {name!r}",
        (*_NAMED, "container"),
    ),
    "operation.get": _Route("GET", "", "follow the operation", ("url",)),
    "rg.put": _Route("PUT", _RG, "create resource group {resource_group!r}", _IN_RG, True),
    "rg.get": _Route("GET", _RG, "read resource group {resource_group!r}", _IN_RG, True),
    "rg.delete": _Route("DELETE", _RG, "delete resource group {resource_group!r}", _IN_RG, True),
    "rg.resources": _Route(
        "GET",
        f"{_GROUP}/resources",
        "list the resources of {resource_group!r}",
        _IN_RG,
        True,
    ),
    "provider.get": _Route("GET", _PROVIDER, f"read provider {NAMESPACE}", (), True),
    "provider.register": _Route(
        "POST", f"{_PROVIDER}/register", f"register provider {NAMESPACE}", (), True
    ),
    "location.usages": _Route("GET", f"{_LOCATION}/usages", "read the usage in {location!r}", _AT),
    "location.capabilities": _Route(
        "GET", f"{_LOCATION}/capabilities", "read the capabilities of {location!r}", _AT
    ),
}


def require(call: ArmCall) -> None:
    """
    Check that a call has what its operation needs.

    Raises:
        ValueError: A field that the operation needs is missing or empty.
    """
    for needed in _ROUTES[call.operation].needs:
        if not getattr(call, needed):
            raise ValueError(f"{call.operation} needs {needed}")


def describe(call: ArmCall) -> str:
    """What a call tries to do, for error messages: ``create container group 'web'``."""
    return _ROUTES[call.operation].says.format(
        name=call.name,
        resource_group=call.resource_group,
        container=call.container,
        location=call.location,
    )


def request_for(call: ArmCall, subscription_id: str, api_version: str = API_VERSION) -> WireRequest:
    """
    The request that a call becomes.

    Args:
        call: What is asked.
        subscription_id: Of the target.
        api_version: Of Microsoft.ContainerInstance; other providers have their own.

    Returns:
        Method, decoded path, query, and the JSON body or ``None``.

    Raises:
        ValueError: A field that the operation needs is missing.
    """
    require(call)
    if call.operation == "operation.get":
        parts = urlsplit(call.url or "")
        return "GET", unquote(parts.path), dict(parse_qsl(parts.query)), None
    route = _ROUTES[call.operation]
    path = route.path.format(
        subscription=subscription_id,
        resource_group=call.resource_group,
        name=call.name,
        container=call.container,
        location=call.location,
    )
    query = {"api-version": RESOURCES_API_VERSION if route.resources else api_version}
    if call.operation == "group.logs":
        if call.tail is not None:
            query["tail"] = str(call.tail)
        if call.timestamps:
            query["timestamps"] = "true"
    sends = route.method in ("PUT", "PATCH") or "body" in route.needs
    return route.method, path, query, call.body if sends else None


_PORTS = {"https": 443, "http": 80}


def same_origin(url: str, base_url: str) -> bool:
    """
    Whether a URL that a reply named is on the host that sent the reply.

    A bearer token goes nowhere else: scheme, host and port must be the same, and no user name may be
    in it.
    """
    try:
        there, here = urlsplit(url), urlsplit(base_url)
        origins = [
            (part.scheme, (part.hostname or "").lower(), part.port or _PORTS.get(part.scheme))
            for part in (there, here)
        ]
    except ValueError:  # a port that is no number, brackets that do not close
        return False
    return origins[0] == origins[1] and bool(there.hostname) and "@" not in there.netloc


def label(url: str) -> str:
    """A URL's host (and port) for messages: without user, password, path or query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "?"
    return host if port is None else f"{host}:{port}"
