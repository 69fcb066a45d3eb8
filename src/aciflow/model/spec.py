"""What one asks for: a container group and the containers in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import Factory, field, frozen

from aciflow.model.parts import (
    DnsConfig,
    Extension,
    Identity,
    LogAnalytics,
    Port,
    Probe,
    Registry,
    Resources,
    SecurityContext,
    Volume,
    VolumeMount,
    as_ports,
    as_text_map,
    as_texts,
    extra_field,
    names_only,
    total,
)


OsType = Literal["Linux", "Windows"]
RestartPolicy = Literal["Always", "OnFailure", "Never"]
DnsScope = Literal["TenantReuse", "SubscriptionReuse", "ResourceGroupReuse", "Noreuse", "Unsecure"]
Priority = Literal["Regular", "Spot"]
Sku = Literal["Standard", "Dedicated", "Confidential"]


def _as_secrets(value: Mapping[str, str | None] | None) -> dict[str, str | None]:
    return dict(value or {})


def _as_volumes(value: Mapping[str, Volume] | None) -> dict[str, Volume]:
    return dict(value or {})


def _as_mounts(value: Iterable[VolumeMount]) -> tuple[VolumeMount, ...]:
    return tuple(value)


@frozen(kw_only=True)
class Container:
    """
    One container of a group.

    Attributes:
        name: Unique in the group.
        image: A reference as for ``docker pull``.
        resources: CPU and memory.
        command: Replaces the image's entrypoint and its arguments (ACI has one array for both).
        ports: That it listens on; numbers are TCP.
        env: Environment.
        secure_env: Environment that the service never tells back. A value is ``None`` only where a
            group was read from the service, which has kept it for itself.
        volume_mounts: Where the group's volumes go.
        liveness: Restarts the container when it fails.
        readiness: Takes the container out of the address's traffic while it fails.
        security: What its processes may do.
        extra: Merged into the container's ``properties``.
    """

    name: str
    image: str
    resources: Resources = field(factory=Resources)
    command: tuple[str, ...] = field(default=(), converter=as_texts)
    ports: tuple[Port, ...] = field(default=(), converter=as_ports)
    env: Mapping[str, str] = field(factory=dict, converter=as_text_map)
    secure_env: Mapping[str, str | None] = field(
        factory=dict, converter=_as_secrets, repr=names_only
    )
    volume_mounts: tuple[VolumeMount, ...] = field(default=(), converter=_as_mounts)
    liveness: Probe | None = None
    readiness: Probe | None = None
    security: SecurityContext | None = None
    extra: Mapping[str, Any] = extra_field()


@frozen(kw_only=True)
class InitContainer:
    """
    A container that runs to its end before the next one starts; it has no resources of its own.

    Attributes:
        name: Unique in the group, among both kinds.
        image: A reference as for ``docker pull``.
        command: Replaces the image's entrypoint and its arguments.
        env: Environment.
        secure_env: As for :class:`Container`.
        volume_mounts: Where the group's volumes go.
        security: What its processes may do.
        extra: Merged into the container's ``properties``.
    """

    name: str
    image: str
    command: tuple[str, ...] = field(default=(), converter=as_texts)
    env: Mapping[str, str] = field(factory=dict, converter=as_text_map)
    secure_env: Mapping[str, str | None] = field(
        factory=dict, converter=_as_secrets, repr=names_only
    )
    volume_mounts: tuple[VolumeMount, ...] = field(default=(), converter=_as_mounts)
    security: SecurityContext | None = None
    extra: Mapping[str, Any] = extra_field()


def _as_containers(value: Iterable[Container]) -> tuple[Container, ...]:
    return tuple(value)


def _as_init_containers(value: Iterable[InitContainer]) -> tuple[InitContainer, ...]:
    return tuple(value)


def _as_registries(value: Iterable[Registry]) -> tuple[Registry, ...]:
    return tuple(value)


def _as_extensions(value: Iterable[Extension]) -> tuple[Extension, ...]:
    return tuple(value)


def _every_port(spec: ContainerGroupSpec) -> tuple[Port, ...]:
    """What the containers listen on, each once; nothing for a group without an address."""
    if not (spec.public_ip or spec.private_ip):
        return ()
    found: dict[tuple[int, str], Port] = {}
    for container in spec.containers:
        for port in container.ports:
            found.setdefault((port.port, port.protocol), port)
    return tuple(found.values())


@frozen(kw_only=True)
class ContainerGroupSpec:
    """
    A container group as one asks for it. Where it goes (location, resource group) is not part of it.

    Attributes:
        name: Unique in its resource group.
        containers: Share network, volumes and life time.
        init_containers: Run before, one after the other.
        os_type: Of all containers.
        restart_policy: Of all containers.
        public_ip: An address on the internet.
        private_ip: An address in the subnet.
        ports: Open on the address; numbers are TCP. By default, with an address, every port of every
            container.
        dns_label: First label of the group's public name.
        dns_scope: Who may have that name again after the group is gone. The service's own default is
            ``Unsecure``: anybody.
        volumes: By name.
        registries: Credentials for private registries.
        identity: Managed identities.
        subnets: Resource ids; the service takes one.
        dns: Name resolution inside.
        zones: Availability zones; the service takes one.
        priority: ``Spot`` is cheaper and may be evicted.
        sku: ``Confidential`` runs in a trusted execution environment.
        diagnostics: Where logs go.
        extensions: Deployment extensions.
        confidential: The confidential computing enforcement policy, in base64.
        tags: Of the resource.
        extra: Merged into the whole body.
    """

    name: str
    containers: tuple[Container, ...] = field(converter=_as_containers)
    init_containers: tuple[InitContainer, ...] = field(default=(), converter=_as_init_containers)
    os_type: OsType = "Linux"
    restart_policy: RestartPolicy = "Always"
    public_ip: bool = False
    private_ip: bool = False
    ports: tuple[Port, ...] = field(
        default=Factory(_every_port, takes_self=True), converter=as_ports
    )
    dns_label: str | None = None
    dns_scope: DnsScope = "TenantReuse"
    volumes: Mapping[str, Volume] = field(factory=dict, converter=_as_volumes)
    registries: tuple[Registry, ...] = field(default=(), converter=_as_registries)
    identity: Identity | None = None
    subnets: tuple[str, ...] = field(default=(), converter=as_texts)
    dns: DnsConfig | None = None
    zones: tuple[str, ...] = field(default=(), converter=as_texts)
    priority: Priority = "Regular"
    sku: Sku = "Standard"
    diagnostics: LogAnalytics | None = None
    extensions: tuple[Extension, ...] = field(default=(), converter=_as_extensions)
    confidential: str | None = None
    tags: Mapping[str, str] = field(factory=dict, converter=as_text_map)
    extra: Mapping[str, Any] = extra_field()

    @property
    def cpu(self) -> float:
        """The vCPU of all containers together, which is what is paid."""
        return total(container.resources.cpu for container in self.containers)

    @property
    def memory_gb(self) -> float:
        """The GB of all containers together, which is what is paid."""
        return total(container.resources.memory_gb for container in self.containers)
