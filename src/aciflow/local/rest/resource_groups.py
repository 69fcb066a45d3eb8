"""Resource groups: create, get, exists, list, tags, resources, and deletion with everything inside."""

from __future__ import annotations

import re

from typing import Any

from aciflow.local.protocol import Reply
from aciflow.local.rest import errors
from aciflow.local.rest.filters import filtered
from aciflow.local.rest.locations import normal_location
from aciflow.local.rest.reading import MapOf, Object, read
from aciflow.local.rest.records import ResourceGroupRecord
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.tag_rules import check_tags


__all__ = ["ROUTES", "live_group"]


RETRY_AFTER = "15"
"""Seconds, recorded with the 202 of a resource group's deletion."""


_NAME = re.compile(r"[-\w().]{1,90}(?<!\.)")

_BODY = Object(
    "ResourceGroup",
    {
        **dict.fromkeys(("id", "name", "type", "location", "managedBy"), "string"),
        "tags": MapOf("string"),
        "properties": "any",
    },
)


def check_name(name: str) -> None:
    """
    Refuse a name that a resource group cannot have.

    Raises:
        Refusal: ``InvalidResourceGroup``.
    """
    if _NAME.fullmatch(name) is None:
        raise errors.Refusal(
            400,
            "InvalidResourceGroup",
            f"The provided resource group name '{name[:100]}' is invalid. It can only have letters, "
            "digits, '-', '.', '(', ')' or '_', at most 90 of them, and must not end with '.'.",
        )


def live_group(call: Call) -> ResourceGroupRecord:
    """
    The resource group that a path names.

    Raises:
        Refusal: It does not exist.
    """
    record = call.state.resource_groups.get(call.params["resource_group"].lower())
    if record is None:
        raise errors.group_not_found(call.params["resource_group"])
    return record


def _body(call: Call, record: ResourceGroupRecord) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": f"/subscriptions/{call.state.subscription_id}/resourceGroups/{record.name}",
        "name": record.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": record.location,
    }
    if record.managed_by is not None:
        body["managedBy"] = record.managed_by
    if record.tags is not None:
        body["tags"] = record.tags
    state = "Deleting" if record.deletion is not None else "Succeeded"
    return {**body, "properties": {"provisioningState": state}}


def _put(call: Call) -> Reply:
    given = read(call.request.body, _BODY)
    name = call.params["resource_group"]
    check_name(name)
    check_tags(given.get("tags"))
    if not given.get("location"):
        raise errors.location_required()
    location = normal_location(given["location"])
    if location not in call.state.locations:
        raise errors.location_unavailable(
            given["location"], "Microsoft.Resources/resourceGroups", call.state.locations
        )
    record = call.state.resource_groups.get(name.lower())
    if record is None:
        status = 201
        record = ResourceGroupRecord(key=name.lower(), name=name, location=location)
        call.state.resource_groups[record.key] = record
    elif record.deletion is not None:
        raise errors.group_being_deleted(name)
    elif record.location != location:
        raise errors.group_location_conflict(record.location, location)
    else:
        status = 200
    record.tags = given.get("tags")
    record.managed_by = given.get("managedBy")
    call.state.generation += 1
    headers = {"x-ms-ratelimit-remaining-subscription-writes": "1199"}
    return Reply(status=status, body=_body(call, record), headers=headers)


def _patch(call: Call) -> Reply:
    record = live_group(call)
    given = read(call.request.body, _BODY)
    check_tags(given.get("tags"))
    if record.deletion is not None:
        raise errors.group_being_deleted(record.name)
    if "tags" in given:
        record.tags = given["tags"]
    call.state.generation += 1
    return Reply(status=200, body=_body(call, record))


def _get(call: Call) -> Reply:
    return Reply(status=200, body=_body(call, live_group(call)))


def _head(call: Call) -> Reply:
    known = call.params["resource_group"].lower() in call.state.resource_groups
    return Reply(status=204 if known else 404)


def _list(call: Call) -> Reply:
    bodies = [_body(call, record) for record in call.state.resource_groups.values()]
    return Reply(
        status=200,
        body={"value": filtered(call, bodies, ("name", "location", "tagname", "tagvalue"))},
    )


def _delete(call: Call) -> Reply:
    state = call.state
    record = live_group(call)
    if record.deletion is None:
        record.deletion = state.new_id()
        state.deletions[record.deletion] = record.key
        for group in list(state.groups_of(record.key)):
            state.remove_group(record.key, group.key)
        state.generation += 1
    deletion = record.deletion
    state.sweep(record.key)
    headers = _location(call, deletion)
    headers["x-ms-ratelimit-remaining-subscription-deletes"] = "14999"
    return Reply(status=202, headers=headers)


def _deletion(call: Call) -> Reply:
    operation = call.params["operation"].lower()
    if operation not in call.state.deletions:
        raise errors.no_such_path(call.request.path)
    if call.state.deletions[operation] is None:
        return Reply(status=200)
    return Reply(status=202, headers=_location(call, operation))


def _location(call: Call, operation: str) -> dict[str, str]:
    return {
        "Location": (
            f"{call.request.base_url}/subscriptions/{call.state.subscription_id}"
            f"/operationresults/{operation}?api-version={call.api_version}"
        ),
        "Retry-After": RETRY_AFTER,
    }


_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = _SUBSCRIPTION + "/resourcegroups/{resource_group}"

ROUTES = [
    Route("PUT", _GROUP, _put),
    Route("PATCH", _GROUP, _patch),
    Route("GET", _GROUP, _get),
    Route("HEAD", _GROUP, _head),
    Route("DELETE", _GROUP, _delete),
    Route("GET", _SUBSCRIPTION + "/resourcegroups", _list),
    Route("GET", _SUBSCRIPTION + "/operationresults/{operation}", _deletion),
]
