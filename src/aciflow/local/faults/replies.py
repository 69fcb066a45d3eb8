"""The replies of faults, as ARM would have given them."""

from __future__ import annotations

import math

from collections import defaultdict
from uuid import NAMESPACE_URL, uuid5

from aciflow.local.faults.catalogue import CATALOGUE, STATUSES
from aciflow.local.faults.kinds import Refuse, ServerError
from aciflow.local.faults.operations import ACTIONS
from aciflow.local.protocol import Reply, Request


__all__ = ["refused", "server_error", "throttled"]


def throttled(retry_after: float, request: Request, operation: str) -> Reply:
    """
    ARM's 429; the text is real traffic's, of another resource provider (ACI's own is not known).

    ``Retry-After`` is in whole seconds; for less, ``retry-after-ms`` says it too, which Azure's clients
    prefer.
    """
    seconds = max(math.ceil(retry_after), 1)
    headers = {"Retry-After": str(seconds)}
    if seconds != retry_after:
        headers["retry-after-ms"] = str(max(round(retry_after * 1000), 1))
    resource = "resourceGroups" if operation.startswith("Resource") else "containerGroups"
    namespace = (
        "Microsoft.Resources" if resource == "resourceGroups" else "Microsoft.ContainerInstance"
    )
    message = (
        f"Number of requests for action '{namespace}/{resource}/{_action(request)}' exceeded the limit of "
        f"'50' for time interval '00:05:00'. Please try again after '{seconds}' seconds."
    )
    return _error(429, "ResourceRequestsThrottled", message, headers)


def server_error(fault: ServerError, request: Request) -> Reply:
    """A 5xx."""
    code, message = STATUSES.get(fault.status, ("InternalServerError", STATUSES[500][1]))
    return _error(
        fault.status, fault.code or code, fault.message or _filled(message, request, ""), {}
    )


def refused(fault: Refuse, request: Request, location: str) -> Reply:
    """An error by its code."""
    entry = CATALOGUE.get(fault.code)
    status = fault.status or (entry.status if entry is not None else 400)
    message = fault.message or (entry.message if entry is not None else fault.code)
    headers = {"Retry-After": "6"} if status == 429 else {}
    return _error(status, fault.code, _filled(message, request, location), headers)


def _error(status: int, code: str, message: str, headers: dict[str, str]) -> Reply:
    return Reply(status=status, body={"error": {"code": code, "message": message}}, headers=headers)


def _action(request: Request) -> str:
    verb = ACTIONS.get(request.method)
    return verb if verb is not None else f"{request.path.rstrip('/').rpartition('/')[2]}/action"


def _filled(message: str, request: Request, location: str) -> str:
    parts = [part for part in request.path.split("/") if part]
    named = {part.lower(): value for part, value in zip(parts[:-1:2], parts[1::2], strict=False)}
    # The provider's name is a value of its own, so what comes after is in step again.
    places: defaultdict[str, str] = defaultdict(str)
    places.update(
        subscription=named.get("subscriptions", ""),
        resource_group=named.get("resourcegroups", ""),
        name=named.get("containergroups", named.get("resourcegroups", "")),
        location=location or named.get("locations", ""),
        action=_action(request),
        scope=request.path,
        client="00000000-0000-0000-0000-000000000000",
        id=str(uuid5(NAMESPACE_URL, f"{request.method} {request.path}")),
    )
    filled = message
    for name, value in places.items():
        filled = filled.replace("{" + name + "}", value)
    return filled
