"""Container groups over ARM: PUT, GET, list, PATCH, DELETE, start, stop, restart, logs."""

from __future__ import annotations

import json

from typing import Any

from aciflow.local.groups.desired import desired_from
from aciflow.local.groups.machine import GroupMachine
from aciflow.local.protocol import ImageAnswer, Question, ReadLogs, Reply, ResolveImages
from aciflow.local.rest import errors
from aciflow.local.rest.dns import dns_name
from aciflow.local.rest.locations import normal_location
from aciflow.local.rest.normalise import normalised, shown
from aciflow.local.rest.operations import begin_operation
from aciflow.local.rest.quota import check_quota, rate_headers
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.state import GroupRecord
from aciflow.local.rest.validation import check_group, check_runtime, check_shape
from aciflow.local.rest.view import Detail, group_body, times_header


__all__ = ["ROUTES"]


_TYPE = "Microsoft.ContainerInstance/containerGroups"

_LOG_LIMIT = 4 * 1024 * 1024
"""Characters of a running container's log (documented: 4 MB)."""


def _find(call: Call) -> GroupRecord:
    home = live_group(call).key
    record = call.state.groups.get((home, call.params["name"].lower()))
    if record is None:
        raise errors.resource_not_found(call.params["name"], call.params["resource_group"])
    return record


def _body(call: Call, record: GroupRecord, detail: Detail) -> dict[str, Any]:
    return group_body(
        record.visible,
        record.top,
        record.machine,
        record.fqdn,
        detail=detail,
        version=call.api_version,
    )


def _put(call: Call) -> Reply | Question:
    home = live_group(call)
    name = call.params["name"]
    given = call.json()
    if home.deletion is not None:
        raise errors.group_being_deleted(home.name)
    location = normal_location(given.get("location") or home.location)
    if location not in call.state.locations:
        raise errors.location_unavailable(given["location"], _TYPE, call.state.locations)
    check_shape(given)
    kept = normalised(given["properties"])
    check_group(name, kept)
    check_runtime(kept, call.state.unsupported)
    before = call.state.groups.get((home.key, name.lower()))
    if before is not None:
        name = before.name
        if before.location != location:
            raise errors.resource_location_conflict(name, before.location, location)
        if not before.machine.settled:
            raise errors.transitioning(name)
    check_quota(call.state, location, kept, instead_of=before)
    resource_id = (
        f"/subscriptions/{call.state.subscription_id}/resourceGroups/{home.name}/providers/{_TYPE}"
        f"/{name}"
    )
    top = _top(call, given, resource_id, name, location)
    fqdn = dns_name(call.state, kept, top, instead_of=before)
    desired = desired_from({**top, "properties": kept})
    if call.answer is None:
        images = (*desired.init, *desired.main)
        return ResolveImages(
            images=tuple(dict.fromkeys(run.image for run in images)), auths=desired.auths
        )
    _check_images(name, call.answer)
    record = GroupRecord(
        resource_group=home.key,
        key=name.lower(),
        kept=kept,
        visible=shown(kept),
        top=top,
        fqdn=fqdn,
        machine=GroupMachine(call.state.new_id(), desired, call.now),
        exposed=tuple(dict.fromkeys(port for answer in call.answer for port in answer.exposed)),
    )
    call.state.add_group(record, call.now)
    headers = begin_operation(call.state, record.machine, location, call.request.base_url, call.now)
    headers.update(rate_headers(call.state, call.now))
    headers["x-ms-ratelimit-remaining-subscription-writes"] = "1199"
    return Reply(
        status=201 if before is None else 200,  # 200 is the specification's; never recorded
        body=_body(call, record, "put"),
        headers=headers,
    )


def _top(
    call: Call, given: dict[str, Any], resource_id: str, name: str, location: str
) -> dict[str, Any]:
    top: dict[str, Any] = {}
    identity = given.get("identity")
    if identity and identity.get("type") != "None":
        top["identity"] = _identity(call, identity)
    top.update(id=resource_id, name=name, type=_TYPE, location=location)
    if given.get("zones"):
        top["zones"] = given["zones"]
    if given.get("tags") is not None:
        top["tags"] = given["tags"]
    return top


def _identity(call: Call, identity: dict[str, Any]) -> dict[str, Any]:
    body = {**identity, "tenantId": call.state.tenant_id}
    if "SystemAssigned" in identity.get("type", ""):
        body["principalId"] = call.state.new_id()
    if identity.get("userAssignedIdentities"):
        body["userAssignedIdentities"] = {
            key: {"principalId": call.state.new_id(), "clientId": call.state.new_id()}
            for key in identity["userAssignedIdentities"]
        }
    return body


def _check_images(name: str, answers: tuple[ImageAnswer, ...]) -> None:
    for answer in answers:
        if answer.problem == "inaccessible":
            raise errors.inaccessible_image(answer.image, name, answer.detail)
        if answer.problem == "platform":
            raise errors.unsupported_platform(answer.image, answer.detail)
        if answer.problem == "registry":
            raise errors.registry_error(_server(answer.image), answer.detail)


def _server(image: str) -> str:
    first, slash, _ = image.partition("/")
    return (
        first if slash and (set(first) & {".", ":"} or first == "localhost") else "index.docker.io"
    )


def _get(call: Call) -> Reply:
    record = _find(call)
    headers = {"x-aciflow-times": json.dumps(times_header(record.machine), separators=(",", ":"))}
    if record.machine.mapped:
        headers["x-aciflow-mapped"] = json.dumps(record.machine.mapped, separators=(",", ":"))
    if record.exposed:
        headers["x-aciflow-exposed"] = ", ".join(record.exposed)
    return Reply(status=200, body=_body(call, record, "get"), headers=headers)


def _list(call: Call) -> Reply:
    home = live_group(call).key if "resource_group" in call.params else None
    records = call.state.groups_of(home)
    return Reply(status=200, body={"value": [_body(call, record, "list") for record in records]})


def _patch(call: Call) -> Reply:
    record = _find(call)
    given = call.json()
    others = sorted(key for key in given if key not in ("tags", "id", "name", "type", "location"))
    if others:
        raise errors.invalid_content(f"Only tags can be updated; found: {', '.join(others)}.")
    record.top = {**record.top, "tags": given.get("tags") or {}}
    call.state.generation += 1
    headers = {"x-ms-ratelimit-remaining-subscription-writes": "1199"}
    return Reply(status=200, body=_body(call, record, "patch"), headers=headers)


def _delete(call: Call) -> Reply:
    home = live_group(call).key
    record = call.state.groups.get((home, call.params["name"].lower()))
    if record is None:
        return Reply(status=204)
    body = _body(call, record, "get")
    call.state.remove_group(home, record.key)
    headers = rate_headers(call.state, call.now)
    headers["x-ms-ratelimit-remaining-subscription-deletes"] = "14999"
    return Reply(status=200, body=body, headers=headers)


def _settled(call: Call) -> GroupRecord:
    record = _find(call)
    if not record.machine.settled:
        raise errors.transitioning(record.name)
    return record


def _start(call: Call) -> Reply:
    machine = _settled(call).machine
    call.state.act(machine, machine.start(call.now))
    return Reply(status=204, headers={"x-ms-ratelimit-remaining-subscription-writes": "1199"})


def _stop(call: Call) -> Reply:
    machine = _settled(call).machine
    call.state.act(machine, machine.stop(call.now))
    return Reply(status=204, headers={"x-ms-ratelimit-remaining-subscription-writes": "1199"})


def _restart(call: Call) -> Reply:
    record = _settled(call)
    machine = record.machine
    headers = begin_operation(call.state, machine, record.location, call.request.base_url, call.now)
    call.state.act(machine, machine.restart(call.now))
    headers["x-ms-ratelimit-remaining-subscription-writes"] = "1199"
    return Reply(status=204, headers=headers)


def _logs(call: Call) -> Reply | Question:
    record = _find(call)
    container = record.machine.find(call.params["container"].lower())
    if container is None:
        raise errors.container_not_found(call.params["container"], record.name)
    if container.attempt < 0:
        raise errors.not_ready()
    if call.answer is None:
        query = call.request.query
        tail = query.get("tail")
        if tail is not None and not tail.isdigit():
            raise errors.invalid_content(f"The value '{tail}' of 'tail' is not a number.")
        return ReadLogs(
            uid=record.machine.uid,
            container=container.run.name,
            tail=int(tail) if tail is not None else None,
            timestamps=query.get("timestamps", "").lower() == "true",
        )
    return Reply(status=200, body={"content": str(call.answer)[-_LOG_LIMIT:]})


def _not_here(call: Call) -> Reply:
    raise errors.not_local(call.request.path.rpartition("/")[2])


def _outbound(call: Call) -> Reply:
    _find(call)
    return Reply(status=200, body=[])


_PROVIDER = "/providers/microsoft.containerinstance/containergroups"
_SUBSCRIPTION = "/subscriptions/{subscription}"
_ALL = _SUBSCRIPTION + "/resourcegroups/{resource_group}" + _PROVIDER
_ONE = _ALL + "/{name}"

ROUTES = [
    Route("PUT", _ONE, _put),
    Route("GET", _ONE, _get),
    Route("PATCH", _ONE, _patch),
    Route("DELETE", _ONE, _delete),
    Route("GET", _ALL, _list),
    Route("GET", _SUBSCRIPTION + _PROVIDER, _list),
    Route("POST", _ONE + "/start", _start),
    Route("POST", _ONE + "/stop", _stop),
    Route("POST", _ONE + "/restart", _restart),
    Route("GET", _ONE + "/containers/{container}/logs", _logs),
    Route("POST", _ONE + "/containers/{container}/exec", _not_here),
    Route("POST", _ONE + "/containers/{container}/attach", _not_here),
    Route("GET", _ONE + "/outboundnetworkdependenciesendpoints", _outbound),
]
