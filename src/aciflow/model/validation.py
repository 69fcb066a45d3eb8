"""
What is wrong with a container group, before anybody is asked.

A rule is here only where the service would refuse the group, or would take it and do something else
than what was meant. What depends on a subscription (quota) or a moment (capacity) is not. The numbers
and their sources are in :mod:`aciflow.model.limits`.

Problems name fields as the caller wrote them, and never quote a secret's value.
"""

from __future__ import annotations

from aciflow.errors import Problem, ValidationError
from aciflow.model import spec as words
from aciflow.model.container_rules import container_problems, shared_problems, unique_problems
from aciflow.model.limits import (
    DNS_LABEL,
    GROUP_NAME,
    MAX_CONTAINERS,
    MAX_CPU,
    MAX_INIT_CONTAINERS,
    MAX_MEMORY,
    MAX_MEMORY_OTHERWISE,
    MAX_PORTS,
    MAX_TAGS,
    MAX_VOLUMES,
    MIN_GROUP_CPU,
    MIN_GROUP_MEMORY,
    SPOT_MAX_CPU,
    SPOT_MAX_MEMORY,
    TAG_FORBIDDEN,
    TAG_NAME,
    TAG_VALUE,
    VOLUME_NAME,
    Found,
    is_text,
    matches,
    one_of,
    port_problems,
)
from aciflow.model.parts import DnsConfig, Identity, LogAnalytics, Registry, Volume
from aciflow.model.spec import ContainerGroupSpec


def validate(spec: ContainerGroupSpec) -> tuple[Problem, ...]:
    """
    Everything that is wrong with a group, in the order of its fields.

    Args:
        spec: The group.

    Returns:
        One problem each; empty where the group can be sent.
    """
    return tuple(_group(spec))


def check(spec: ContainerGroupSpec) -> None:
    """
    Refuse a group that has any problem.

    Args:
        spec: The group.

    Raises:
        ValidationError: With all problems.
    """
    if problems := validate(spec):
        raise ValidationError(problems)


def _group(spec: ContainerGroupSpec) -> Found:
    if not matches(GROUP_NAME, spec.name):
        yield Problem(
            field="name",
            message=f"{spec.name!r} is not a name: 1 to 63 lower-case letters, digits and single"
            " hyphens, none of them first or last",
        )
    yield from one_of("os_type", spec.os_type, words.OsType)
    yield from one_of("restart_policy", spec.restart_policy, words.RestartPolicy)
    yield from one_of("dns_scope", spec.dns_scope, words.DnsScope)
    yield from one_of("priority", spec.priority, words.Priority)
    yield from one_of("sku", spec.sku, words.Sku)
    yield from _counts(spec)
    yield from _totals(spec)
    for index, container in enumerate(spec.containers):
        yield from container_problems(f"containers[{index}]", container, spec)
    for index, init in enumerate(spec.init_containers):
        yield from shared_problems(f"init_containers[{index}]", init, spec)
    yield from unique_problems(spec)
    yield from _address(spec)
    for name, volume in spec.volumes.items():
        yield from _volume(name, volume)
    yield from _registries(spec)
    yield from _identity(spec.identity)
    yield from _dns(spec.dns)
    yield from _spot(spec)
    yield from _diagnostics(spec.diagnostics)
    for index, extension in enumerate(spec.extensions):
        if not (extension.name and extension.type and extension.version):
            yield Problem(field=f"extensions[{index}]", message="needs a name, a type, a version")
    if spec.confidential is not None and spec.sku != "Confidential":
        yield Problem(field="confidential", message="needs sku='Confidential'")
    yield from _tags(spec)


# --- numbers ----------------------------------------------------------------------------------


def _counts(spec: ContainerGroupSpec) -> Found:
    if not spec.containers:
        yield Problem(field="containers", message="a group needs at least one container")
    for field, items, most in (
        ("containers", spec.containers, MAX_CONTAINERS),
        ("init_containers", spec.init_containers, MAX_INIT_CONTAINERS),
        ("volumes", spec.volumes, MAX_VOLUMES),
        ("zones", spec.zones, 1),
        ("subnets", spec.subnets, 1),
    ):
        if len(items) > most:
            yield Problem(field=field, message=f"{len(items)} of them; a group takes {most}")
    if spec.os_type == "Windows" and len(spec.containers) > 1:
        yield Problem(field="containers", message="a Windows group takes one container")


def _totals(spec: ContainerGroupSpec) -> Found:
    """The group's sums, which are what the service places and bills."""
    if not spec.containers:
        return
    most = MAX_MEMORY.get(spec.sku, MAX_MEMORY_OTHERWISE)
    if spec.cpu < MIN_GROUP_CPU:
        yield Problem(
            field="containers", message=f"{spec.cpu:g} vCPU together; a group has at least 1"
        )
    if spec.memory_gb < MIN_GROUP_MEMORY:
        yield Problem(
            field="containers", message=f"{spec.memory_gb:g} GB together; a group has at least 1"
        )
    if spec.cpu > MAX_CPU:
        yield Problem(
            field="containers",
            message=f"{spec.cpu:g} vCPU together; a group has at most {MAX_CPU:g}",
        )
    if spec.memory_gb > most:
        yield Problem(
            field="containers",
            message=f"{spec.memory_gb:g} GB together; a group has at most {most:g}",
        )


# --- the address ------------------------------------------------------------------------------


def _address(spec: ContainerGroupSpec) -> Found:
    has_address = spec.public_ip or spec.private_ip
    if spec.public_ip and spec.private_ip:
        yield Problem(field="private_ip", message="a group has one address: public or private")
    elif spec.public_ip and spec.subnets:
        message = "a group in a subnet cannot have a public address"
        yield Problem(field="public_ip", message=message)
    elif spec.private_ip and not spec.subnets:
        yield Problem(field="private_ip", message="needs a subnet")
    if has_address and not spec.ports:
        yield Problem(field="ports", message="an address needs at least one port")
    if spec.ports and not has_address:
        yield Problem(field="ports", message="ports are open on an address only: give it one")
    if len(spec.ports) > MAX_PORTS:
        message = f"{len(spec.ports)} ports; ACI opens at most {MAX_PORTS} on an address"
        yield Problem(field="ports", message=message)
    declared = {(port.port, port.protocol) for item in spec.containers for port in item.ports}
    seen: set[tuple[int, str]] = set()
    for index, port in enumerate(spec.ports):
        key = (port.port, port.protocol)
        yield from port_problems(f"ports[{index}]", port)
        if key in seen:
            yield Problem(field=f"ports[{index}]", message=f"{port} is there already")
        elif key not in declared:
            yield Problem(field=f"ports[{index}]", message=f"no container has the port {port}")
        seen.add(key)
    for index, subnet in enumerate(spec.subnets):
        if "/subnets/" not in subnet.lower() or not subnet.startswith("/"):
            message = f"{subnet!r} is not a subnet's resource id"
            yield Problem(field=f"subnets[{index}]", message=message)
    if spec.dns_label is not None:
        if not spec.public_ip:
            yield Problem(field="dns_label", message="needs public_ip=True")
        if not matches(DNS_LABEL, spec.dns_label):
            yield Problem(
                field="dns_label",
                message=f"{spec.dns_label!r} is not a label: 5 to 63 lower-case letters, digits and"
                " hyphens, first a letter, last no hyphen",
            )


def _dns(dns: DnsConfig | None) -> Found:
    if dns is not None and not dns.name_servers:
        yield Problem(field="dns.name_servers", message="needs at least one")


def _spot(spec: ContainerGroupSpec) -> Found:
    """What a Spot group cannot have (container-instances-spot-containers-overview.md)."""
    if spec.priority != "Spot":
        return
    for field, has, what in (
        ("public_ip", spec.public_ip, "a public address"),
        ("subnets", spec.subnets, "a subnet"),
        ("zones", spec.zones, "a zone"),
        ("sku", spec.sku == "Confidential", "the Confidential sku"),
        ("containers", spec.cpu > SPOT_MAX_CPU, f"more than {SPOT_MAX_CPU:g} vCPU together"),
        (
            "containers",
            spec.memory_gb > SPOT_MAX_MEMORY,
            f"more than {SPOT_MAX_MEMORY:g} GB together",
        ),
    ):
        if has:
            yield Problem(field=field, message=f"a Spot group cannot have {what}")


# --- the rest ---------------------------------------------------------------------------------


def _volume(name: str, volume: Volume) -> Found:
    where = f"volumes[{name!r}]"
    if not matches(VOLUME_NAME, name):
        yield Problem(
            field=where,
            message="is not a name: 5 to 63 lower-case letters, digits and single hyphens, none of"
            " them first or last",
        )
    if volume.extra:
        return  # What is missing here may be there.
    if volume.kind == "secret":
        if not volume.files:
            message = "has no files (the service does not tell secrets back)"
            yield Problem(field=f"{where}.files", message=message)
        for file in volume.files:
            if not file or "/" in file or file in {".", ".."}:
                yield Problem(field=f"{where}.files", message=f"{file!r} is not a file's name")
    elif volume.kind == "azure_file":
        for field in ("share", "account", "key"):
            if not getattr(volume, field):
                yield Problem(field=f"{where}.{field}", message="is missing")
    elif volume.kind == "git_repo":
        if not volume.url:
            yield Problem(field=f"{where}.url", message="is missing")
        if ".." in (volume.directory or "").split("/"):
            yield Problem(field=f"{where}.directory", message="must not contain '..'")
    elif volume.kind == "other":
        yield Problem(field=where, message="is of no kind: use one of Volume's class methods")


def _registries(spec: ContainerGroupSpec) -> Found:
    own = spec.identity or Identity()
    users = {resource_id.lower() for resource_id in own.user_assigned}
    seen: set[str] = set()
    for index, registry in enumerate(spec.registries):
        where = f"registries[{index}]"
        if not registry.server or "/" in registry.server:
            message = f"{registry.server!r} is not a host name without a scheme"
            yield Problem(field=f"{where}.server", message=message)
        if registry.server.lower() in seen:
            yield Problem(field=f"{where}.server", message=f"{registry.server!r} is there already")
        seen.add(registry.server.lower())
        yield from _credentials(where, registry, users)


def _credentials(where: str, registry: Registry, users: set[str]) -> Found:
    has_password = registry.username is not None or registry.password is not None
    if registry.identity is None:
        if not (registry.username and registry.password):
            message = "needs a username and a password, or a user-assigned identity"
            yield Problem(field=where, message=message)
        return
    if has_password:
        message = "has both an identity and a username or password: the service takes one"
        yield Problem(field=where, message=message)
    if "/" not in registry.identity:
        message = (
            "needs the resource id of a user-assigned identity: a system-assigned one cannot pull,"
            " since it does not exist before the group does"
        )
        yield Problem(field=f"{where}.identity", message=message)
    elif registry.identity.lower() not in users:
        message = "is not among the group's user-assigned identities"
        yield Problem(field=f"{where}.identity", message=message)


def _identity(identity: Identity | None) -> Found:
    for index, resource_id in enumerate(identity.user_assigned if identity else ()):
        kind = "/providers/microsoft.managedidentity/userassignedidentities/"
        if not resource_id.startswith("/") or kind not in resource_id.lower():
            message = f"{resource_id!r} is not a user-assigned identity's resource id"
            yield Problem(field=f"identity.user_assigned[{index}]", message=message)


def _diagnostics(logs: LogAnalytics | None) -> Found:
    if logs is None:
        return
    if not logs.workspace_id:
        yield Problem(field="diagnostics.workspace_id", message="is missing")
    if not logs.workspace_key:
        yield Problem(field="diagnostics.workspace_key", message="is missing")


def _tags(spec: ContainerGroupSpec) -> Found:
    if len(spec.tags) > MAX_TAGS:
        message = f"{len(spec.tags)} tags; a resource has at most {MAX_TAGS}"
        yield Problem(field="tags", message=message)
    for name, value in spec.tags.items():
        if not 0 < len(name) <= TAG_NAME or TAG_FORBIDDEN & set(name):
            message = f"is not a tag's name: 1 to {TAG_NAME} characters, none of < > % & \\ ? /"
            yield Problem(field=f"tags[{name!r}]", message=message)
        if not is_text(value):
            message = f"is of type {type(value).__name__}; the values of tags are strings"
            yield Problem(field=f"tags[{name!r}]", message=message)
        elif len(value) > TAG_VALUE:
            message = f"has {len(value)} characters; at most {TAG_VALUE}"
            yield Problem(field=f"tags[{name!r}]", message=message)
