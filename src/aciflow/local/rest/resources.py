"""Resources of any type, as ARM lists them; each one is read and changed at its provider's path."""

from __future__ import annotations

from typing import Any

from aciflow.local.groups.times import ticks
from aciflow.local.protocol import Reply
from aciflow.local.rest import errors
from aciflow.local.rest.filters import filtered
from aciflow.local.rest.records import GroupRecord
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call, Route


__all__ = ["ROUTES"]


_EXPAND = ("createdtime", "changedtime", "provisioningstate")


def _body(record: GroupRecord, expand: set[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        key: record.top[key]
        for key in ("id", "name", "type", "location", "identity", "tags", "zones")
        if key in record.top
    }
    made = ticks(record.machine.accepted)
    if "createdtime" in expand:
        body["createdTime"] = made
    if "changedtime" in expand:
        body["changedTime"] = made
    if "provisioningstate" in expand:
        body["provisioningState"] = record.machine.provisioning_state
    return body


def _list(call: Call) -> Reply:
    text = call.request.query.get("$expand", "")
    expand = {part.strip().lower() for part in text.split(",") if part.strip()}
    if not expand <= set(_EXPAND):
        raise errors.Refusal(
            400,
            "InvalidExpandInQueryString",
            f"Invalid $expand '{text}' specified in the query string.",
        )
    home = live_group(call).key if "resource_group" in call.params else None
    bodies = [_body(record, expand) for record in call.state.groups_of(home)]
    return Reply(status=200, body={"value": filtered(call, bodies)})


def _not_here(call: Call) -> Reply:
    live_group(call)
    raise errors.not_local(call.request.path.rstrip("/").rpartition("/")[2])


_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP = _SUBSCRIPTION + "/resourcegroups/{resource_group}"

ROUTES = [
    Route("GET", _GROUP + "/resources", _list),
    Route("GET", _SUBSCRIPTION + "/resources", _list),
    # Neither templates nor another resource group to move to are what this endpoint is for.
    Route("POST", _GROUP + "/exporttemplate", _not_here),
    Route("POST", _GROUP + "/moveresources", _not_here),
    Route("POST", _GROUP + "/validatemoveresources", _not_here),
]
