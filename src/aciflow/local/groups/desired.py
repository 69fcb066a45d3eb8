"""What is wanted of a group: its ARM body, as the containers that a runtime shall start."""

from __future__ import annotations

import binascii

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

from aciflow.local.protocol import (
    ContainerRun,
    Mount,
    OpenSandbox,
    PortSpec,
    PullImage,
    RegistryAuth,
)


__all__ = ["Desired", "desired_from"]


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
    """

    resource_id: str
    name: str
    restart_policy: str
    init: tuple[ContainerRun, ...] = field(repr=False)
    main: tuple[ContainerRun, ...] = field(repr=False)
    ports: tuple[PortSpec, ...] = ()
    auths: tuple[RegistryAuth, ...] = field(default=(), repr=False)

    def open(self, uid: str) -> OpenSandbox:
        """What a runtime is asked first."""
        return OpenSandbox(
            uid=uid,
            resource_id=self.resource_id,
            name=self.name,
            containers=len(self.init) + len(self.main),
            ports=self.ports,
            restarts=_RESTARTS[self.restart_policy],
        )

    def pull(self, uid: str, run: ContainerRun) -> PullImage:
        """What a runtime is asked for each container, with whatever opens its registry."""
        return PullImage(uid=uid, container=run.name, image=run.image, auths=self.auths)

    def comes_back(self, run: ContainerRun, exit_code: int | None) -> bool:
        """Whether the restart policy has a container that has ended start again."""
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


def desired_from(body: Mapping[str, Any]) -> Desired:
    """
    Read a normalised group body, secrets included, that validation has accepted.

    Args:
        body: As the endpoint keeps it, with ``id`` and ``name``.
    """
    properties = body["properties"]
    volumes = {volume["name"]: volume for volume in properties.get("volumes") or ()}
    address = properties.get("ipAddress") or {}
    return Desired(
        resource_id=body["id"],
        name=body["name"],
        restart_policy=properties.get("restartPolicy") or "Always",
        init=tuple(
            _run(container, volumes, init=True)
            for container in properties.get("initContainers") or ()
        ),
        main=tuple(_run(container, volumes, init=False) for container in properties["containers"]),
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
    )


def _run(
    container: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]], *, init: bool
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
            _mount(mount, volumes[mount["name"]]) for mount in properties.get("volumeMounts") or ()
        ),
        cpu=limits.get("cpu"),
        memory_gb=limits.get("memoryInGB"),
        init=init,
        privileged=bool(security.get("privileged")),
        run_as_user=security.get("runAsUser"),
        run_as_group=security.get("runAsGroup"),
    )


def _mount(mount: Mapping[str, Any], volume: Mapping[str, Any]) -> Mount:
    secret = volume.get("secret")
    if secret is not None:
        return Mount(
            volume=mount["name"],
            path=mount["mountPath"],
            read_only=bool(mount.get("readOnly")),
            kind="secret",
            files={name: binascii.a2b_base64(content) for name, content in secret.items()},
        )
    kind: Literal["empty_dir", "azure_file", "git_repo"] = "empty_dir"
    if volume.get("azureFile") is not None:
        kind = "azure_file"
    elif volume.get("gitRepo") is not None:
        kind = "git_repo"
    return Mount(
        volume=mount["name"],
        path=mount["mountPath"],
        read_only=bool(mount.get("readOnly")),
        kind=kind,
    )
