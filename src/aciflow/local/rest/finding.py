"""Where container groups are, and the one that a path names."""

from __future__ import annotations

from aciflow.local.rest import errors
from aciflow.local.rest.records import GroupRecord
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call


__all__ = ["ALL", "ONE", "PROVIDER", "SUBSCRIPTION", "TYPE", "find"]


TYPE = "Microsoft.ContainerInstance/containerGroups"

SUBSCRIPTION = "/subscriptions/{subscription}"
PROVIDER = "/providers/microsoft.containerinstance/containergroups"
ALL = SUBSCRIPTION + "/resourcegroups/{resource_group}" + PROVIDER
ONE = ALL + "/{name}"


def find(call: Call) -> GroupRecord:
    """
    The group that a path names.

    Raises:
        Refusal: It does not exist.
    """
    home = live_group(call).key
    record = call.state.groups.get((home, call.params["name"].lower()))
    if record is None:
        raise errors.resource_not_found(call.params["name"], call.params["resource_group"])
    return record
