"""``Microsoft.Resources/tags``: the tags of a resource group or container group, apart from the rest."""

from __future__ import annotations

from typing import Any

from aciflow.local.protocol import Reply
from aciflow.local.rest.errors import Refusal
from aciflow.local.rest.finding import ONE, find
from aciflow.local.rest.reading import MapOf, Object, read
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.tag_rules import check_tags


__all__ = ["ROUTES"]


_BODY = Object(
    "Tags",
    {
        "id": "string",
        "name": "string",
        "type": "string",
        "operation": "string",
        "properties": Object("TagsProperties", {"tags": MapOf("string")}),
    },
    ("properties",),
)


def _tags(call: Call) -> dict[str, str]:
    if "name" in call.params:
        return dict(find(call).top.get("tags") or {})
    return dict(live_group(call).tags or {})


def _set(call: Call, tags: dict[str, str]) -> Reply:
    check_tags(tags)
    if "name" in call.params:
        record = find(call)
        record.top = {**record.top, "tags": tags}
    else:
        live_group(call).tags = tags
    call.state.generation += 1
    return _get(call)


def _get(call: Call) -> Reply:
    if "name" in call.params:
        scope = find(call).top["id"]
    else:
        scope = (
            f"/subscriptions/{call.state.subscription_id}/resourceGroups/{live_group(call).name}"
        )
    body: dict[str, Any] = {
        "id": f"{scope}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": _tags(call)},
    }
    return Reply(status=200, body=body)


def _put(call: Call) -> Reply:
    given = read(call.request.body, _BODY)
    return _set(call, given["properties"].get("tags") or {})


def _patch(call: Call) -> Reply:
    given = read(call.request.body, _BODY)
    change = given["properties"].get("tags") or {}
    tags = _tags(call)
    operation = (given.get("operation") or "").lower()
    if operation == "replace":
        tags = change
    elif operation == "merge":
        tags = {**tags, **change}
    elif operation == "delete":
        tags = {key: value for key, value in tags.items() if change.get(key) != value}
    else:
        raise Refusal(
            400,
            "InvalidTagsOperation",
            "The 'operation' must be one of 'Replace,Merge,Delete'.",
        )
    return _set(call, tags)


def _delete(call: Call) -> Reply:
    _set(call, {})
    return Reply(status=200)


def _names(call: Call) -> Reply:
    """What tags there are, and how often."""
    holders = [
        *(home.tags or {} for home in call.state.resource_groups.values()),
        *(record.top.get("tags") or {} for record in call.state.groups.values()),
    ]
    base = f"/subscriptions/{call.state.subscription_id}/tagNames"
    used: dict[str, dict[str, int]] = {}
    for tags in holders:
        for name, value in tags.items():
            values = used.setdefault(name, {})
            values[value] = values.get(value, 0) + 1
    return Reply(
        status=200,
        body={
            "value": [
                {
                    "id": f"{base}/{name}",
                    "tagName": name,
                    "count": {"type": "Total", "value": sum(values.values())},
                    "values": [
                        {
                            "id": f"{base}/{name}/tagValues/{value}",
                            "tagValue": value,
                            "count": {"type": "Total", "value": count},
                        }
                        for value, count in values.items()
                    ],
                }
                for name, values in used.items()
            ]
        },
    )


_HOME = "/subscriptions/{subscription}/resourcegroups/{resource_group}"

ROUTES = [
    Route("GET", "/subscriptions/{subscription}/tagnames", _names),
] + [
    route
    for scope in (_HOME, ONE)
    for path in (scope + "/providers/microsoft.resources/tags/default",)
    for route in (
        Route("GET", path, _get),
        Route("PUT", path, _put),
        Route("PATCH", path, _patch),
        Route("DELETE", path, _delete),
    )
]
