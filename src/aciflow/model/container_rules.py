"""The rules for one container, and for the containers of a group among each other."""

from __future__ import annotations

import math

from collections.abc import Iterable

from aciflow.errors import Problem
from aciflow.model.images import parse_image
from aciflow.model.limits import (
    CONTAINER_NAME,
    ENV_NAME,
    MIN_CPU,
    MIN_MEMORY,
    Found,
    is_port,
    is_text,
    matches,
    port_problems,
)
from aciflow.model.parts import Probe, Resources, SecurityContext, VolumeMount
from aciflow.model.spec import Container, ContainerGroupSpec, InitContainer


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


def container_problems(where: str, container: Container, spec: ContainerGroupSpec) -> Found:
    """Everything about one container."""
    yield from shared_problems(where, container, spec)
    yield from _resources(f"{where}.resources", container.resources, spec)
    # Once is enough: a port that is open on the address is judged there.
    public = {(port.port, port.protocol) for port in spec.ports}
    for index, port in enumerate(container.ports):
        if (port.port, port.protocol) not in public:
            yield from port_problems(f"{where}.ports[{index}]", port)
    yield from _probe(f"{where}.liveness", container.liveness)
    yield from _probe(f"{where}.readiness", container.readiness)


def shared_problems(
    where: str, container: Container | InitContainer, spec: ContainerGroupSpec
) -> Found:
    """What containers and init containers have in common."""
    if not matches(CONTAINER_NAME, container.name):
        yield Problem(
            field=f"{where}.name",
            message=f"{container.name!r} is not a name: 1 to 63 lower-case letters, digits and"
            " hyphens, no hyphen first or last",
        )
    try:
        parse_image(container.image)
    except ValueError as error:
        yield Problem(field=f"{where}.image", message=f"{container.image!r}: {error}")
    for index, word in enumerate(container.command):
        if not is_text(word):
            message = f"is of type {type(word).__name__}; arguments are strings"
            yield Problem(field=f"{where}.command[{index}]", message=message)
    yield from _env(where, container)
    yield from _mounts(where, container.volume_mounts, spec)
    yield from _security(f"{where}.security", container.security, spec)


def _env(where: str, container: Container | InitContainer) -> Found:
    for field, values in (("env", container.env), ("secure_env", container.secure_env)):
        for name, value in values.items():
            at = f"{where}.{field}[{name!r}]"
            if not matches(ENV_NAME, name):
                yield Problem(
                    field=at,
                    message="is not a name: 1 to 63 letters, digits and underscores, no underscore"
                    " first or last",
                )
            if field == "secure_env" and name in container.env:
                yield Problem(field=at, message="is in env too")
            if value is None and field == "secure_env":
                message = "has no value (the service does not tell secrets back)"
                yield Problem(field=at, message=message)
            elif not is_text(value):
                message = f"is of type {type(value).__name__}; environment values are strings"
                yield Problem(field=at, message=message)


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
    if http and not is_port(probe.http_port):
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


def unique_problems(spec: ContainerGroupSpec) -> Found:
    """Names and ports that two containers claim."""
    seen: set[str] = set()
    named = [(f"containers[{index}]", item.name) for index, item in enumerate(spec.containers)]
    named += [
        (f"init_containers[{index}]", item.name) for index, item in enumerate(spec.init_containers)
    ]
    for where, name in named:
        if name in seen:
            message = f"{name!r} is the name of another container of the group"
            yield Problem(field=f"{where}.name", message=message)
        seen.add(name)
    # One network namespace: two containers cannot listen on one port.
    taken: dict[tuple[int, str], str] = {}
    for index, container in enumerate(spec.containers):
        for position, port in enumerate(container.ports):
            where = f"containers[{index}].ports[{position}]"
            first = taken.setdefault((port.port, port.protocol), where)
            if first != where:
                yield Problem(field=where, message=f"{port} is {first} already")
