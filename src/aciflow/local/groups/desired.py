"""What is wanted of a group: its ARM body, as the containers that a runtime shall start."""

from __future__ import annotations

import binascii

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

from aciflow.local.groups.probing import probes_from
from aciflow.local.protocol import (
    ContainerRun,
    Mount,
    OpenSandbox,
    PortSpec,
    PullImage,
    RegistryAuth,
)


__all__ = ["PROVISIONING_TIMEOUT", "Desired", "desired_from", "share_key"]


PROVISIONING_TIMEOUT = 1800.0
"""Seconds; ACI's ``provisioningTimeoutInSeconds``."""


@frozen(kw_only=True)
class Desired:
    """
    A group as its controller needs it.

    Attributes:
        resource_id: ARM id.
        name: The group's name.
        restart_policy: ``Always``, ``OnFailure`` or ``Never``.
        init: Init containers, in order.
        main: The other containers.
        ports: The ports of its address; empty for a group without one.
        auths: Registry credentials with a password.
        provisioning_timeout: Seconds until provisioning has failed.
    """

    resource_id: str
    name: str
    restart_policy: str
    init: tuple[ContainerRun, ...] = field(repr=False)
    main: tuple[ContainerRun, ...] = field(repr=False)
    ports: tuple[PortSpec, ...] = ()
    auths: tuple[RegistryAuth, ...] = field(default=(), repr=False)
    provisioning_timeout: float = PROVISIONING_TIMEOUT

    def open(self, uid: str) -> OpenSandbox:
        """What a runtime is asked first."""
        return OpenSandbox(
            uid=uid,
            resource_id=self.resource_id,
            name=self.name,
            containers=len(self.init) + len(self.main),
            ports=self.ports,
            restarts=_RESTARTS[self.restart_policy],
            probe_ports=tuple(sorted({port for run in self.main for port in _probed(run)})),
        )

    def pull(self, uid: str, run: ContainerRun) -> PullImage:
        """What a runtime is asked for each container, with whatever opens its registry."""
        return PullImage(uid=uid, container=run.name, image=run.image, auths=self.auths)

    def comes_back(
        self, run: ContainerRun, exit_code: int | None, *, unhealthy: bool = False
    ) -> bool:
        """
        Whether the restart policy has a container that has ended start again.

        Args:
            run: Which one.
            exit_code: Its end.
            unhealthy: It was killed since its liveness probe failed: that is a failure whatever the exit
                code says. Under ``Never`` it stays ended (container-instances-liveness-probe.md:
                restart policies supersede the restarts of liveness probes).
        """
        if unhealthy:
            return self.restart_policy != "Never"
        if run.init:  # one that has succeeded has done all that it is for
            return exit_code != 0 and self.restart_policy != "Never"
        return self.restart_policy == "Always" or (
            self.restart_policy == "OnFailure" and exit_code != 0
        )


_RESTARTS: dict[str, Literal["always", "on-failure", "never"]] = {
    "Always": "always",
    "OnFailure": "on-failure",
    "Never": "never",
}


def _probed(run: ContainerRun) -> list[int]:
    return [probe.port for probe in run.probes.values() if probe.port is not None]


def share_key(account: str, share: str) -> str:
    """How ``azure_files`` names a share: ``account/share``; Azure's names know no case."""
    return f"{account}/{share}".lower()


def desired_from(body: Mapping[str, Any], shares: Mapping[str, str]) -> Desired:
    """
    Read a normalised group body, secrets included, that validation has accepted.

    Args:
        body: As the endpoint keeps it, with ``id`` and ``name``.
        shares: Local folders that stand for Azure file shares, by ``account/share``; a volume of another
            one gets no folder.
    """
    folders = {key.lower(): folder for key, folder in shares.items()}
    properties = body["properties"]
    volumes = {volume["name"]: volume for volume in properties.get("volumes") or ()}
    address = properties.get("ipAddress") or {}
    return Desired(
        resource_id=body["id"],
        name=body["name"],
        restart_policy=properties.get("restartPolicy") or "Always",
        init=tuple(
            _run(container, volumes, folders, init=True)
            for container in properties.get("initContainers") or ()
        ),
        main=tuple(
            _run(container, volumes, folders, init=False) for container in properties["containers"]
        ),
        ports=tuple(
            PortSpec(port=port["port"], protocol="UDP" if port.get("protocol") == "UDP" else "TCP")
            for port in address.get("ports") or ()
        ),
        auths=tuple(
            RegistryAuth(
                server=registry["server"],
                username=registry.get("username") or "",
                password=registry.get("password") or "",
            )
            for registry in properties.get("imageRegistryCredentials") or ()
            if registry.get("username")
        ),
        provisioning_timeout=float(
            properties.get("provisioningTimeoutInSeconds") or PROVISIONING_TIMEOUT
        ),
    )


def _run(
    container: Mapping[str, Any],
    volumes: Mapping[str, Mapping[str, Any]],
    folders: Mapping[str, str],
    *,
    init: bool,
) -> ContainerRun:
    properties = container["properties"]
    resources = properties.get("resources") or {}
    limits = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    security = properties.get("securityContext") or {}
    return ContainerRun(
        name=container["name"],
        image=properties["image"],
        command=tuple(properties.get("command") or ()),
        env={
            variable["name"]: str(variable.get("secureValue", variable.get("value")) or "")
            for variable in properties.get("environmentVariables") or ()
        },
        mounts=tuple(
            _mount(mount, volumes[mount["name"]], folders)
            for mount in properties.get("volumeMounts") or ()
        ),
        cpu=limits.get("cpu"),
        memory_gb=limits.get("memoryInGB"),
        init=init,
        privileged=bool(security.get("privileged")),
        run_as_user=security.get("runAsUser"),
        run_as_group=security.get("runAsGroup"),
        probes={} if init else probes_from(properties),
    )


def _mount(
    mount: Mapping[str, Any], volume: Mapping[str, Any], folders: Mapping[str, str]
) -> Mount:
    name, path, read_only = mount["name"], mount["mountPath"], bool(mount.get("readOnly"))
    secret = volume.get("secret")
    share = volume.get("azureFile")
    git = volume.get("gitRepo")
    if secret is not None:
        return Mount(
            volume=name,
            path=path,
            read_only=read_only,
            kind="secret",
            files={key: binascii.a2b_base64(content) for key, content in secret.items()},
        )
    if share is not None:
        return Mount(
            volume=name,
            path=path,
            read_only=read_only or bool(share.get("readOnly")),
            kind="azure_file",
            folder=folders.get(share_key(share["storageAccountName"], share["shareName"]), ""),
        )
    if git is not None:
        return Mount(
            volume=name,
            path=path,
            read_only=read_only,
            kind="git_repo",
            repository=git["repository"],
            directory=git.get("directory") or "",
            revision=git.get("revision") or "",
        )
    return Mount(volume=name, path=path, read_only=read_only)
