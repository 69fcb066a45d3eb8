"""From an image and a few words to a whole container group."""

from __future__ import annotations

import re

from collections.abc import Callable, Iterable, Mapping, Sequence

from aciflow.model.images import parse_image
from aciflow.model.parts import Identity, Port, Registry, Resources, Volume, VolumeMount
from aciflow.model.spec import (
    Container,
    ContainerGroupSpec,
    DnsScope,
    OsType,
    RestartPolicy,
)


_LONGEST_NAME = 63
_SYSTEM = {"system", "[system]", "systemassigned"}


def spec_from_image(
    image: str,
    *,
    public_ip: bool = False,
    ports: Iterable[int | Port] | None = None,
    name: str | None = None,
    cpu: float = 1.0,
    memory_gb: float = 1.5,
    command: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    secure_env: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    volumes: Mapping[str, Volume] | None = None,
    dns_label: str | None = None,
    dns_scope: DnsScope = "TenantReuse",
    restart_policy: RestartPolicy = "Always",
    os_type: OsType = "Linux",
    registry: Registry | Sequence[Registry] | None = None,
    identity: str | Sequence[str] | None = None,
    subnet: str | None = None,
    zone: str | int | None = None,
    spot: bool = False,
    tags: Mapping[str, str] | None = None,
    new_name: Callable[[], str],
) -> ContainerGroupSpec:
    """
    A group of one container.

    Nothing is checked here; give the result to :func:`aciflow.model.check`.

    Args:
        image: A reference as for ``docker pull``.
        public_ip: An address on the internet.
        ports: Open on the address; numbers are TCP. ``(80,)`` by default with a public address.
        name: The group's name; by default the image's name and what ``new_name`` gives.
        cpu: vCPU.
        memory_gb: GB.
        command: Replaces the image's entrypoint and its arguments.
        env: Environment.
        secure_env: Environment that the service never tells back.
        files: Absolute path to content. They are secret volumes, one a directory, so each such
            directory shows these files and nothing of what the image has there.
        volumes: Mount path to volume.
        dns_label: First label of the group's public name.
        dns_scope: Who may have that name again.
        restart_policy: What happens when the container ends.
        os_type: Of the image.
        registry: Credentials for private registries. An identity named there becomes one of the
            group's.
        identity: Resource ids of managed identities; ``"system"`` is one of the group's own.
        subnet: A subnet's resource id. With ``ports``, the group gets an address in it.
        zone: An availability zone.
        spot: Cheaper, and may be evicted.
        tags: Of the resource.
        new_name: Gives a random suffix of letters and digits, called once at most.
    """
    base = _base_name(image)
    if ports is None:
        ports = (80,) if public_ip else ()
    opened = tuple(port if isinstance(port, Port) else Port(port) for port in ports)
    registries = (registry,) if isinstance(registry, Registry) else tuple(registry or ())
    made, mounts = _volumes(files or {}, volumes or {})
    private_ip = subnet is not None and not public_ip and bool(opened)
    return ContainerGroupSpec(
        name=_with_suffix(base, new_name()) if name is None else name,
        containers=(
            Container(
                name=base,
                image=image,
                resources=Resources(cpu=cpu, memory_gb=memory_gb),
                command=() if command is None else command,
                ports=opened,
                env=env or {},
                secure_env=secure_env or {},
                volume_mounts=mounts,
            ),
        ),
        os_type=os_type,
        restart_policy=restart_policy,
        public_ip=public_ip,
        private_ip=private_ip,
        ports=opened if public_ip or private_ip else (),
        dns_label=dns_label,
        dns_scope=dns_scope,
        volumes=made,
        registries=registries,
        identity=_identity(identity, registries),
        subnets=() if subnet is None else (subnet,),
        zones=() if zone is None else (str(zone),),
        priority="Spot" if spot else "Regular",
        tags=tags or {},
    )


def _base_name(image: str) -> str:
    """A container's name from an image; something valid even where the image is not."""
    try:
        word = parse_image(image).short_name
    except ValueError:
        word = ""
    return re.sub(r"[^a-z0-9]+", "-", word)[:_LONGEST_NAME].strip("-") or "app"


def _with_suffix(base: str, suffix: str) -> str:
    return f"{base[: _LONGEST_NAME - 1 - len(suffix)].rstrip('-')}-{suffix}"


def _volumes(
    files: Mapping[str, bytes], volumes: Mapping[str, Volume]
) -> tuple[dict[str, Volume], tuple[VolumeMount, ...]]:
    """The volumes by name, and where each goes."""
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        folder, slash, file = path.rpartition("/")
        folders.setdefault(folder or slash, {})[file] = content
    made: dict[str, Volume] = {}
    mounts: list[VolumeMount] = []
    for number, (folder, contents) in enumerate(folders.items(), start=1):
        made[f"files-{number}"] = Volume.secret(contents)
        mounts.append(VolumeMount(name=f"files-{number}", mount_path=folder))
    for number, (path, volume) in enumerate(volumes.items(), start=1):
        made[f"volume-{number}"] = volume
        mounts.append(VolumeMount(name=f"volume-{number}", mount_path=path))
    return made, tuple(mounts)


def _identity(asked: str | Sequence[str] | None, registries: Iterable[Registry]) -> Identity | None:
    """What was asked for, and what the registries need, each once."""
    named = (asked,) if isinstance(asked, str) else tuple(asked or ())
    system = any(word.lower() in _SYSTEM for word in named)
    users = {word.lower(): word for word in named if word.lower() not in _SYSTEM}
    for registry in registries:
        if registry.identity is not None and registry.identity.lower() not in _SYSTEM:
            users.setdefault(registry.identity.lower(), registry.identity)
    if not system and not users:
        return None
    return Identity(system_assigned=system, user_assigned=tuple(users.values()))
