"""Operation resources: always 200 for one that is known, also when what it did has failed."""

from __future__ import annotations

from aciflow.local.groups.machine import GroupMachine
from aciflow.local.protocol import Reply
from aciflow.local.rest import errors
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import State


__all__ = ["ROUTES", "begin_operation"]


def begin_operation(
    state: State, machine: GroupMachine, location: str, base_url: str, now: float
) -> dict[str, str]:
    """
    Make an operation resource, and the header that names it.

    The version in its URL is 2018-06-01 whatever the request's was (recorded), and there is no
    ``Retry-After``.
    """
    operation = state.add_operation(machine, now)
    return {
        "Azure-AsyncOperation": (
            f"{base_url}/subscriptions/{state.subscription_id}/providers"
            f"/Microsoft.ContainerInstance/locations/{location}/operations/{operation.id}"
            "?api-version=2018-06-01"
        )
    }


def _get(call: Call) -> Reply:
    operation = call.state.operations.get(call.params["operation"].lower())
    if operation is None:
        raise errors.no_such_path(call.request.path)
    if operation.final is not None:
        return Reply(status=200, body=operation.final)
    return Reply(status=200, body=operation.body(call.state.machines[operation.uid]))


ROUTES = [
    Route(
        "GET",
        "/subscriptions/{subscription}/providers/microsoft.containerinstance/locations/{location}"
        "/operations/{operation}",
        _get,
    ),
]
