"""
Container groups as ARM JSON, both ways without loss.

Source of the members: the 2023-05-01 API (azure-mgmt-containerinstance 10.1.0) and recorded traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from aciflow.errors import Problem, ValidationError
from aciflow.model import spec
from aciflow.model.piece_shapes import (
    DNS,
    EXTENSION,
    IDENTITY,
    LOGS,
    MOUNT,
    PORT,
    PROBE,
    REGISTRY,
    RESOURCES,
    SECURITY,
    VOLUME,
)
from aciflow.model.shape import (
    Found,
    Member,
    Problems,
    Shape,
    choice,
    entries,
    many,
    mapping,
    member,
    merge,
    one,
    text,
    text_map,
    texts,
)
from aciflow.model.spec import Container, ContainerGroupSpec, InitContainer


def to_arm(
    group: ContainerGroupSpec, *, location: str, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """
    The body of the PUT that makes a group.

    Args:
        group: What is wanted. Its name is not in the body but in the URL.
        location: The region.
        tags: Added to the group's own; they win, also over ``extra``.

    Returns:
        JSON. It holds the group's secrets.
    """
    body: dict[str, Any] = {"location": location}
    if every := {**group.tags, **(tags or {})}:
        body["tags"] = every
    merged = merge({**GROUP.plain(group), **body}, group.extra)
    if tags:  # what marks a group as ours is not for `extra` to change
        merged["tags"] = {**merged["tags"], **tags}
    return merged


def from_arm(body: Mapping[str, Any], *, name: str | None = None) -> ContainerGroupSpec:
    """
    What a PUT body asks for, or what a GET body was asked for.

    What only the service writes (states, addresses, ids) and the location are left out; members that
    this module does not know are kept in ``extra``. The service does not tell secrets: in a GET body
    their values are missing, and :func:`~aciflow.model.validate` says so.

    Args:
        body: A container group as ARM has it.
        name: The group's name, for a PUT body, where it is in the URL.

    Raises:
        ValidationError: The body is not one of a container group; each problem has its JSON path.
    """
    problems: Problems = []
    group = GROUP.decode(body, "", problems)
    if problems:
        raise ValidationError(problems)
    own = body.get("name") or str(body.get("id") or "").rpartition("/")[2]
    return group(name or own)  # type: ignore[no-any-return]


def _join_volumes(group: ContainerGroupSpec) -> list[dict[str, Any]] | None:
    return [
        {"name": name, **VOLUME.encode(volume)} for name, volume in group.volumes.items()
    ] or None


def _split_volumes(item: Any, where: str, problems: Problems) -> Found:
    found: dict[str, Any] = {}
    for index, entry in enumerate(entries(item, where, problems)):
        at = f"{where}[{index}]"
        volume = VOLUME.decode(entry, at, problems)
        if volume is None:
            continue
        name = text(entry.get("name"), f"{at}.name", problems)
        if name in found:
            problems.append(Problem(field=f"{at}.name", message="is there already"))
        found[name] = volume
    return {"volumes": found}, None


# --- containers -------------------------------------------------------------------------------


def _join_env(container: Container | InitContainer) -> list[dict[str, str]] | None:
    plain = [{"name": name, "value": value} for name, value in container.env.items()]
    secure = [
        {"name": name} if value is None else {"name": name, "secureValue": value}
        for name, value in container.secure_env.items()
    ]
    return plain + secure or None


def _split_env(item: Any, where: str, problems: Problems) -> Found:
    """What has another form than a name and one value (or comes twice) is kept as it is."""
    env: dict[str, str] = {}
    secure: dict[str, str | None] = {}
    rest: list[Any] = []
    for index, raw in enumerate(entries(item, where, problems)):
        at = f"{where}[{index}]"
        entry = {k: v for k, v in mapping(raw, at, problems).items() if v is not None}
        name = text(entry.get("name"), f"{at}.name", problems)
        if name in env or name in secure:
            rest.append(entry)
        elif entry.keys() == {"name", "value"}:
            env[name] = text(entry["value"], f"{at}.value", problems)
        elif entry.keys() == {"name", "secureValue"}:
            secure[name] = text(entry["secureValue"], f"{at}.secureValue", problems)
        elif entry.keys() == {"name"}:
            secure[name] = None
        else:
            rest.append(entry)
    return {"env": env, "secure_env": secure}, rest or None


_SHARED = (
    member("command", "properties.command", texts, list),
    Member(("properties", "environmentVariables"), _join_env, _split_env),
    many("volume_mounts", "properties.volumeMounts", MOUNT),
    one("security", "properties.securityContext", SECURITY),
)
_NAME = member("name", "name", text, required=True)
_IMAGE = member("image", "properties.image", text, required=True)

CONTAINER = Shape(
    Container,
    _NAME,
    _IMAGE,
    Member(
        ("properties", "resources"),
        lambda value: RESOURCES.encode(value.resources),
        lambda item, at, problems: ({"resources": RESOURCES.decode(item, at, problems)}, None),
        required=True,
    ),
    many("ports", "properties.ports", PORT),
    *_SHARED,
    one("liveness", "properties.livenessProbe", PROBE),
    one("readiness", "properties.readinessProbe", PROBE),
    read_only=("properties.instanceView",),
    inside="properties",
)
INIT_CONTAINER = Shape(
    InitContainer,
    _NAME,
    _IMAGE,
    *_SHARED,
    read_only=("properties.instanceView",),
    inside="properties",
)


# --- the group --------------------------------------------------------------------------------


def _join_address_type(group: ContainerGroupSpec) -> str | None:
    if group.public_ip:
        return "Public"
    return "Private" if group.private_ip else None


def _split_address_type(item: Any, where: str, problems: Problems) -> Found:
    kind = text(item, where, problems).lower()
    if kind not in {"public", "private"}:
        problems.append(Problem(field=where, message="is neither Public nor Private"))
    return {"public_ip": kind == "public", "private_ip": kind == "private"}, None


def _join_scope(group: ContainerGroupSpec) -> str | None:
    """Sent with a label, since the service's own default lets anybody take the name over."""
    default = group.dns_scope == "TenantReuse"
    return None if default and group.dns_label is None else group.dns_scope


def _split_scope(item: Any, where: str, problems: Problems) -> Found:
    return {"dns_scope": choice(*get_args(spec.DnsScope))(item, where, problems)}, None


def _split_subnets(item: Any, where: str, problems: Problems) -> Found:
    ids, rest = [], []
    for index, entry in enumerate(entries(item, where, problems)):
        subnet = mapping(entry, f"{where}[{index}]", problems)
        if subnet.keys() == {"id"}:
            ids.append(text(subnet["id"], f"{where}[{index}].id", problems))
        else:
            rest.append(subnet)
    return {"subnets": tuple(ids)}, rest or None


def _group(**arguments: Any) -> Any:
    """A group that still lacks its name, which may be in the URL alone."""
    # No ports in the body means none, not "those of the containers".
    arguments.setdefault("ports", ())
    if "dns_label" in arguments:
        arguments.setdefault("dns_scope", "Unsecure")
    extra = arguments["extra"]
    props = extra.get("properties", {})
    if props.pop("isCustomProvisioningTimeout", None) is False:
        props.pop("provisioningTimeoutInSeconds", None)
    if props == {}:
        extra.pop("properties", None)
    return lambda name: ContainerGroupSpec(name=name, **arguments)


def _unless(default: str) -> Callable[[str], str | None]:
    """Members that older APIs do not know are sent only where they say something."""
    return lambda value: None if value == default else value


GROUP = Shape(
    _group,
    one("identity", "identity", IDENTITY),
    member("zones", "zones", texts, list),
    member("tags", "tags", text_map, dict),
    member("sku", "properties.sku", choice(*get_args(spec.Sku)), _unless("Standard")),
    many("containers", "properties.containers", CONTAINER, required=True),
    many("init_containers", "properties.initContainers", INIT_CONTAINER),
    many("registries", "properties.imageRegistryCredentials", REGISTRY),
    member("restart_policy", "properties.restartPolicy", choice(*get_args(spec.RestartPolicy))),
    Member(("properties", "ipAddress", "type"), _join_address_type, _split_address_type),
    many("ports", "properties.ipAddress.ports", PORT),
    member("dns_label", "properties.ipAddress.dnsNameLabel", text),
    Member(
        ("properties", "ipAddress", "autoGeneratedDomainNameLabelScope"), _join_scope, _split_scope
    ),
    # The name of the same in 2021-10-01, and to this day in Microsoft's how-to.
    Member(("properties", "ipAddress", "dnsNameLabelReusePolicy"), lambda _: None, _split_scope),
    member("os_type", "properties.osType", choice(*get_args(spec.OsType)), required=True),
    Member(("properties", "volumes"), _join_volumes, _split_volumes),
    Member(
        ("properties", "subnetIds"),
        lambda group: [{"id": subnet} for subnet in group.subnets] or None,
        _split_subnets,
    ),
    one("dns", "properties.dnsConfig", DNS),
    member("priority", "properties.priority", choice(*get_args(spec.Priority)), _unless("Regular")),
    one("diagnostics", "properties.diagnostics.logAnalytics", LOGS),
    many("extensions", "properties.extensions", EXTENSION),
    member("confidential", "properties.confidentialComputeProperties.ccePolicy", text),
    read_only=(
        "id",
        "name",
        "type",
        "location",
        "systemData",
        "apiVersion",
        "properties.provisioningState",
        "properties.state",  # the instance view of 2017
        "properties.instanceView",
        "properties.isCreatedFromStandbyPool",
        "properties.ipAddress.ip",
        "properties.ipAddress.fqdn",
    ),
)
