"""
What is wrong with a container group, before anybody is asked.

Sources: the limits and names of Microsoft's container-instances-resource-and-quota-limits.md and
container-instances-troubleshooting.md, the FAQ (reserved ports), and the service's own messages. A rule
is here only where the service would refuse the group, or would take it and do something else than what
was meant. What depends on a subscription (quota) or a moment (capacity) is not.

Problems name fields as the caller wrote them, and never quote a secret's value.
"""

from __future__ import annotations

import math
import re

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from aciflow.errors import Problem, ValidationError
from aciflow.model import spec as words
from aciflow.model.images import parse_image
from aciflow.model.parts import (
    DnsConfig,
    Identity,
    LogAnalytics,
    Port,
    Probe,
    Protocol,
    Registry,
    Resources,
    SecurityContext,
    Volume,
    VolumeMount,
)
from aciflow.model.spec import Container, ContainerGroupSpec, InitContainer


MAX_CONTAINERS = 60
MAX_INIT_CONTAINERS = 59
MAX_VOLUMES = 20
MAX_PORTS = 5
# The documented safe limits are 31 vCPU and 240 GB (confidential: 180); the capabilities API says 32 and
# 256 (192), and only what is beyond those is sure to be refused.
MAX_CPU = 32.0
MAX_MEMORY = {"Confidential": 192.0}
MAX_MEMORY_OTHERWISE = 256.0
SPOT_MAX_CPU = 4.0
SPOT_MAX_MEMORY = 16.0
MIN_GROUP_CPU = 1.0
MIN_GROUP_MEMORY = 1.0
MIN_CPU = 0.01
MIN_MEMORY = 0.1

RESERVED_PORTS = (
    *(range(port, port + 1) for port in (22, 9999, 19000, 19080, 19100, 19390)),
    range(1025, 1028),
    range(3389, 3400),
    range(20000, 30001),
    range(49152, 65535),
)

_GROUP_NAME = re.compile(r"(?!.*--)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VOLUME_NAME = re.compile(r"(?!.*--)[a-z0-9][-a-z0-9]{3,61}[a-z0-9]")
_DNS_LABEL = re.compile(r"[a-z][a-z0-9-]{3,61}[a-z0-9]")
_ENV_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_]{0,61}[A-Za-z0-9])?")

# ARM's limits for tags (tag-resources.md).
_MAX_TAGS, _TAG_NAME, _TAG_VALUE = 50, 512, 256
_TAG_FORBIDDEN = set("<>%&\\?/")

Found = Iterator[Problem]


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
    if not _matches(_GROUP_NAME, spec.name):
        yield Problem(
            field="name",
            message=f"{spec.name!r} is not a name: 1 to 63 lower-case letters, digits and single"
            " hyphens, none of them first or last",
        )
    yield from _one_of("os_type", spec.os_type, words.OsType)
    yield from _one_of("restart_policy", spec.restart_policy, words.RestartPolicy)
    yield from _one_of("dns_scope", spec.dns_scope, words.DnsScope)
    yield from _one_of("priority", spec.priority, words.Priority)
    yield from _one_of("sku", spec.sku, words.Sku)
    yield from _counts(spec)
    yield from _totals(spec)
    for index, container in enumerate(spec.containers):
        yield from _container(f"containers[{index}]", container, spec)
    for index, init in enumerate(spec.init_containers):
        yield from _any_container(f"init_containers[{index}]", init, spec)
    yield from _unique_names(spec)
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


def _resources(where: str, asked: Resources, spec: ContainerGroupSpec) -> Found:
    for field, value, unit, least, total in (
        ("cpu", asked.cpu, "vCPU", MIN_CPU, spec.cpu),
        ("memory_gb", asked.memory_gb, "GB", MIN_MEMORY, spec.memory_gb),
    ):
        if not (math.isfinite(value) and value >= least):
            yield Problem(field=f"{where}.{field}", message=f"{value:g} {unit}; at least {least:g}")
        name = "cpu_limit" if field == "cpu" else "memory_limit_gb"
        limit = getattr(asked, name)
        if limit is None:
            continue
        if not limit >= value:
            yield Problem(
                field=f"{where}.{name}",
                message=f"{limit:g} {unit} is below the {value:g} {unit} requested",
            )
        elif limit > total:
            yield Problem(
                field=f"{where}.{name}",
                message=f"{limit:g} {unit} is above the group's total of {total:g} {unit}",
            )
    if asked.gpu is not None or asked.gpu_sku is not None:
        yield Problem(field=f"{where}.gpu", message="Azure retired GPUs in ACI on 2025-07-14")


# --- containers -------------------------------------------------------------------------------


def _container(where: str, container: Container, spec: ContainerGroupSpec) -> Found:
    yield from _any_container(where, container, spec)
    yield from _resources(f"{where}.resources", container.resources, spec)
    # Once is enough: a port that is open on the address is judged there.
    public = {(port.port, port.protocol) for port in spec.ports}
    for index, port in enumerate(container.ports):
        if (port.port, port.protocol) not in public:
            yield from _port(f"{where}.ports[{index}]", port)
    yield from _probe(f"{where}.liveness", container.liveness)
    yield from _probe(f"{where}.readiness", container.readiness)


def _any_container(
    where: str, container: Container | InitContainer, spec: ContainerGroupSpec
) -> Found:
    if not _matches(_CONTAINER_NAME, container.name):
        yield Problem(
            field=f"{where}.name",
            message=f"{container.name!r} is not a name: 1 to 63 lower-case letters, digits and"
            " hyphens, no hyphen first or last",
        )
    try:
        parse_image(container.image)
    except ValueError as error:
        yield Problem(field=f"{where}.image", message=f"{container.image!r}: {error}")
    yield from _env(where, container)
    yield from _mounts(where, container.volume_mounts, spec)
    yield from _security(f"{where}.security", container.security, spec)


def _env(where: str, container: Container | InitContainer) -> Found:
    for field, names in (("env", container.env), ("secure_env", container.secure_env)):
        for name in names:
            if not _matches(_ENV_NAME, name):
                yield Problem(
                    field=f"{where}.{field}[{name!r}]",
                    message="is not a name: 1 to 63 letters, digits and underscores, no underscore"
                    " first or last",
                )
    for name, value in container.secure_env.items():
        at = f"{where}.secure_env[{name!r}]"
        if name in container.env:
            yield Problem(field=at, message="is in env too")
        if value is None:
            yield Problem(field=at, message="has no value: the service does not tell secrets back")


def _mounts(where: str, mounts: Iterable[VolumeMount], spec: ContainerGroupSpec) -> Found:
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        at = f"{where}.volume_mounts[{index}]"
        if mount.name not in spec.volumes:
            known = ", ".join(spec.volumes) or "none"
            message = f"{mount.name!r} is not one of the group's volumes ({known})"
            yield Problem(field=f"{at}.name", message=message)
        path = mount.mount_path
        if spec.os_type != "Windows":
            if not path.startswith("/") or ":" in path:
                message = f"{path!r} is not an absolute path without a colon"
                yield Problem(field=f"{at}.mount_path", message=message)
            elif not path.strip("/"):
                message = f"{path!r} would hide everything that the image has"
                yield Problem(field=f"{at}.mount_path", message=message)
        if path.rstrip("/") in seen:
            yield Problem(field=f"{at}.mount_path", message=f"{path!r} is mounted already")
        seen.add(path.rstrip("/"))


def _security(where: str, security: SecurityContext | None, spec: ContainerGroupSpec) -> Found:
    if security is not None and security.privileged and spec.sku != "Confidential":
        yield Problem(field=f"{where}.privileged", message="needs sku='Confidential'")


def _probe(where: str, probe: Probe | None) -> Found:
    if probe is None:
        return
    http = probe.http_port is not None or probe.http_path is not None
    if http == bool(probe.command) and not probe.extra:
        yield Problem(field=where, message="needs a command or an HTTP request, and only one")
    if http and not _is_port(probe.http_port):
        yield Problem(field=f"{where}.http_port", message="must be 1 to 65535")
    if probe.http_scheme not in {None, "http", "https"}:
        yield Problem(field=f"{where}.http_scheme", message="must be http or https")
    for field, value, least in (
        ("initial_delay", probe.initial_delay, 0),
        ("period", probe.period, 1),
        ("failure_threshold", probe.failure_threshold, 1),
        ("success_threshold", probe.success_threshold, 1),
        ("timeout", probe.timeout, 1),
    ):
        if value is not None and value < least:
            yield Problem(field=f"{where}.{field}", message=f"{value}; at least {least}")


def _unique_names(spec: ContainerGroupSpec) -> Found:
    seen: set[str] = set()
    for kind, items in (
        ("containers", spec.containers),
        ("init_containers", spec.init_containers),
    ):
        for index, item in enumerate(items):
            if item.name in seen:
                message = f"{item.name!r} is the name of another container of the group"
                yield Problem(field=f"{kind}[{index}].name", message=message)
            seen.add(item.name)
    # One network namespace: two containers cannot listen on one port.
    taken: dict[tuple[int, str], str] = {}
    for index, container in enumerate(spec.containers):
        for position, port in enumerate(container.ports):
            where = f"containers[{index}].ports[{position}]"
            first = taken.setdefault((port.port, port.protocol), where)
            if first != where:
                yield Problem(field=where, message=f"{port} is {first} already")


# --- the address ------------------------------------------------------------------------------


def _port(where: str, port: Port) -> Found:
    if not _is_port(port.port):
        yield Problem(field=where, message=f"{port.port!r} is not a port: 1 to 65535")
    elif any(port.port in reserved for reserved in RESERVED_PORTS):
        yield Problem(field=where, message=f"{port.port} is one of the ports that ACI keeps")
    yield from _one_of(f"{where}.protocol", port.protocol, Protocol)


def _address(spec: ContainerGroupSpec) -> Found:
    has_address = spec.public_ip or spec.private_ip
    if spec.public_ip and spec.private_ip:
        yield Problem(field="private_ip", message="a group has one address: public or private")
    if spec.public_ip and spec.subnets:
        message = "a group in a subnet cannot have a public address"
        yield Problem(field="public_ip", message=message)
    if spec.private_ip and not spec.subnets:
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
        yield from _port(f"ports[{index}]", port)
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
        if not _matches(_DNS_LABEL, spec.dns_label):
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
    if not _matches(_VOLUME_NAME, name):
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
    if len(spec.tags) > _MAX_TAGS:
        message = f"{len(spec.tags)} tags; a resource has at most {_MAX_TAGS}"
        yield Problem(field="tags", message=message)
    for name, value in spec.tags.items():
        if not 0 < len(name) <= _TAG_NAME or _TAG_FORBIDDEN & set(name):
            message = f"is not a tag's name: 1 to {_TAG_NAME} characters, none of < > % & \\ ? /"
            yield Problem(field=f"tags[{name!r}]", message=message)
        if len(value) > _TAG_VALUE:
            message = f"has {len(value)} characters; at most {_TAG_VALUE}"
            yield Problem(field=f"tags[{name!r}]", message=message)


def _one_of(field: str, value: Any, options: Any) -> Found:
    if value not in get_args(options):
        message = f"{value!r} is not one of {', '.join(get_args(options))}"
        yield Problem(field=field, message=message)


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536  # noqa: PLR2004


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
