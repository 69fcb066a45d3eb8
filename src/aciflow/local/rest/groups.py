"""Container groups over ARM: PUT, GET, HEAD, list, PATCH, DELETE, start, stop, restart."""

from __future__ import annotations

import json

from typing import Any

from aciflow.local.groups.desired import desired_from
from aciflow.local.groups.machine import GroupMachine
from aciflow.local.protocol import ImageAnswer, Question, Reply, ResolveImages
from aciflow.local.rest import effects, errors
from aciflow.local.rest.dns import dns_name
from aciflow.local.rest.finding import ALL, ONE, PROVIDER, SUBSCRIPTION, TYPE, find
from aciflow.local.rest.group_rules import check_identity, identity_type
from aciflow.local.rest.locations import normal_location
from aciflow.local.rest.normalise import normalised, shown
from aciflow.local.rest.operations import begin_operation
from aciflow.local.rest.profiles import check_profiles
from aciflow.local.rest.quota import check_quota, rate_headers
from aciflow.local.rest.reading import MapOf, Object, read
from aciflow.local.rest.records import GroupRecord
from aciflow.local.rest.resource_groups import live_group
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.shapes import GROUP
from aciflow.local.rest.tag_rules import check_tags
from aciflow.local.rest.updates import check_update
from aciflow.local.rest.validation import check_containers_given, check_group, check_runtime
from aciflow.local.rest.view import Detail, group_body, times_header


__all__ = ["ROUTES"]


def _body(call: Call, record: GroupRecord, detail: Detail) -> dict[str, Any]:
    return group_body(
        record.visible,
        record.top,
        record.machine,
        record.fqdn,
        detail=detail,
        version=call.api_version,
    )


_BY_ARM = frozenset(
    (
        *("ResourceGroupNotFound", "ResourceGroupBeingDeleted", "InvalidRequestContent"),
        *("LocationNotAvailableForResourceType", "InvalidResourceLocation"),
    )
)
"""Refusals that a PUT gets before it reaches ACI."""


def _put(call: Call) -> Reply | Question:
    try:
        return _create(call)
    except errors.Refusal as refusal:
        if refusal.code not in _BY_ARM:  # recorded: what ACI itself refuses counts all the same
            refusal.headers = {
                "x-ms-ratelimit-remaining-subscription-writes": "1199",
                **rate_headers(call.state, call.now),
                **refusal.headers,
            }
        raise


def _create(call: Call) -> Reply | Question:
    home = live_group(call)
    name = call.params["name"]
    given = read(call.request.body, GROUP)
    if home.deletion is not None:
        raise errors.group_being_deleted(home.name)
    location = normal_location(given.get("location") or home.location)
    if location not in call.state.locations:
        raise errors.location_unavailable(given["location"], TYPE, call.state.locations)
    check_tags(given.get("tags"))
    check_identity(given.get("identity") or {})
    check_profiles(call.state, given["properties"])
    check_containers_given(given["properties"])
    kept = normalised(_renamed(given["properties"]))
    check_runtime(kept, call.state.unsupported)
    check_group(name, kept, {**given, "location": location}, call.state.config)
    before = call.state.groups.get((home.key, name.lower()))
    if before is not None:
        name = before.name
        if before.location != location:
            raise errors.resource_location_conflict(name, before.location, location)
        if not before.machine.settled:
            raise errors.transitioning(name)
        check_update(before, kept, given.get("zones"))
    check_quota(call.state, location, kept, instead_of=before)
    resource_id = (
        f"/subscriptions/{call.state.subscription_id}/resourceGroups/{home.name}/providers/{TYPE}"
        f"/{name}"
    )
    top = _top(call, given, resource_id, name, location)
    fqdn = dns_name(call.state, kept, top, instead_of=before)
    desired = desired_from({**top, "properties": kept}, call.state.config.azure_files)
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
        marked=effects.marked({**given, "properties": kept}),
    )
    call.state.add_group(record, call.now)
    headers = begin_operation(call.state, record.machine, location, call.request.base_url, call.now)
    headers.update(rate_headers(call.state, call.now))
    headers["x-ms-ratelimit-remaining-subscription-writes"] = "1199"
    headers.update(_marks(record))
    return Reply(
        status=201 if before is None else 200,  # 200 is the specification's; never recorded
        body=_body(call, record, "put"),
        headers=headers,
    )


def _renamed(properties: dict[str, Any]) -> dict[str, Any]:
    """With the name that the scope of a DNS label has since 2022; 2021-10-01 had another."""
    address = properties.get("ipAddress") or {}
    if "dnsNameLabelReusePolicy" not in address:
        return properties
    address = dict(address)
    scope = address.pop("dnsNameLabelReusePolicy")
    return {
        **properties,
        "ipAddress": {"autoGeneratedDomainNameLabelScope": scope, **address},
    }


def _marks(record: GroupRecord) -> dict[str, str]:
    return {effects.HEADER: ", ".join(record.marked)} if record.marked else {}


def _top(
    call: Call, given: dict[str, Any], resource_id: str, name: str, location: str
) -> dict[str, Any]:
    top: dict[str, Any] = {}
    identity = given.get("identity")
    if identity and identity_type(identity) != "None":
        top["identity"] = _identity(call, {**identity, "type": identity_type(identity)})
    top.update(id=resource_id, name=name, type=TYPE, location=location)
    if given.get("zones"):
        top["zones"] = given["zones"]
    if given.get("tags") is not None:
        top["tags"] = given["tags"]
    return top


def _identity(call: Call, identity: dict[str, Any]) -> dict[str, Any]:
    """The identity as ACI shows it, in its order."""
    body: dict[str, Any] = {}
    if identity.get("userAssignedIdentities"):
        body["userAssignedIdentities"] = {
            key: {"principalId": call.state.new_id(), "clientId": call.state.new_id()}
            for key in identity["userAssignedIdentities"]
        }
    if "SystemAssigned" in identity.get("type", ""):
        body["principalId"] = call.state.new_id()
    return {**body, "tenantId": call.state.tenant_id, "type": identity.get("type")}


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
    record = find(call)
    headers = {"x-aciflow-times": json.dumps(times_header(record.machine), separators=(",", ":"))}
    if record.machine.mapped:
        headers["x-aciflow-mapped"] = json.dumps(record.machine.mapped, separators=(",", ":"))
    if record.exposed:
        headers["x-aciflow-exposed"] = ", ".join(record.exposed)
    headers.update(_marks(record))
    return Reply(status=200, body=_body(call, record, "get"), headers=headers)


def _head(call: Call) -> Reply:
    home = call.params["resource_group"].lower()
    known = (home, call.params["name"].lower()) in call.state.groups
    return Reply(status=204 if known else 404)


def _list(call: Call) -> Reply:
    home = live_group(call).key if "resource_group" in call.params else None
    records = call.state.groups_of(home)
    return Reply(status=200, body={"value": [_body(call, record, "list") for record in records]})


_PATCH = Object(
    "ResourcePatch",
    {**dict.fromkeys(("id", "name", "type", "location"), "string"), "tags": MapOf("string")},
)
"""Tags only; the others are read-only."""


def _patch(call: Call) -> Reply:
    record = find(call)
    tags = read(call.request.body, _PATCH).get("tags") or {}
    check_tags(tags)
    record.top = {**record.top, "tags": tags}
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
    record = find(call)
    if not record.machine.settled:
        raise errors.transitioning(record.name)
    return record


def _start(call: Call) -> Reply:
    machine = _settled(call).machine
    call.state.finish_operations(machine)
    call.state.act(machine, machine.start(call.now))
    return Reply(status=204, headers={"x-ms-ratelimit-remaining-subscription-writes": "1199"})


def _stop(call: Call) -> Reply:
    machine = _settled(call).machine
    call.state.finish_operations(machine)
    call.state.act(machine, machine.stop(call.now))
    return Reply(status=204, headers={"x-ms-ratelimit-remaining-subscription-writes": "1199"})


def _restart(call: Call) -> Reply:
    record = _settled(call)
    machine = record.machine
    if machine.state == "Stopped":
        raise errors.stopped(record.name, call.params["resource_group"])
    headers = begin_operation(call.state, machine, record.location, call.request.base_url, call.now)
    call.state.act(machine, machine.restart(call.now))
    headers["x-ms-ratelimit-remaining-subscription-writes"] = "1199"
    return Reply(status=204, headers=headers)


def _outbound(call: Call) -> Reply:
    find(call)
    return Reply(status=200, body=[])


ROUTES = [
    Route("PUT", ONE, _put),
    Route("GET", ONE, _get),
    Route("HEAD", ONE, _head),
    Route("PATCH", ONE, _patch),
    Route("DELETE", ONE, _delete),
    Route("GET", ALL, _list),
    Route("GET", SUBSCRIPTION + PROVIDER, _list),
    Route("POST", ONE + "/start", _start),
    Route("POST", ONE + "/stop", _stop),
    Route("POST", ONE + "/restart", _restart),
    Route("GET", ONE + "/outboundnetworkdependenciesendpoints", _outbound),
]
