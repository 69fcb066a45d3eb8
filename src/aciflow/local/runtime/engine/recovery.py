"""Find by its labels what an endpoint left on its engine; adopt it, or remove it."""

from __future__ import annotations

import contextlib

from collections.abc import Mapping, Sequence
from typing import Any

from aciflow.local.runtime.engine.api import EngineApi, EngineError
from aciflow.local.runtime.engine.containers import (
    ATTEMPT,
    CONTAINER,
    ENDPOINT,
    PAUSE,
    SANDBOX,
    UID,
    Sandbox,
    volume_name,
)
from aciflow.local.runtime.engine.groups import Group, Member


__all__ = ["find", "remove_endpoint", "remove_group"]


def remove_group(api: EngineApi, uid: str) -> None:
    """Remove every container and volume of a group; the one that holds its namespaces last."""
    label = f"{UID}={uid}"
    _remove(api, api.containers(label), api.volumes(label))


def remove_endpoint(api: EngineApi, endpoint_id: str) -> None:
    """Remove everything of an endpoint: containers, volumes and its pause image."""
    label = f"{ENDPOINT}={endpoint_id}"
    _remove(api, api.containers(label), api.volumes(label))
    # By their ids: one whose name was taken off while something still used it is there without.
    for image in api.images(label):
        api.remove_image(str(image["Id"]))


def _remove(api: EngineApi, containers: Sequence[dict[str, Any]], volumes: Sequence[str]) -> None:
    problem: EngineError | None = None
    for container in sorted(containers, key=lambda found: PAUSE in (found.get("Labels") or {})):
        try:
            api.remove(str(container["Id"]))
        except EngineError as error:  # one that cannot be removed must not keep the others
            problem = error
    for volume in volumes:
        try:
            api.remove_volume(volume)
        except EngineError as error:
            problem = error
    if problem is not None:
        raise problem


def find(
    api: EngineApi, endpoint_id: str, groups: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Group], set[str]]:
    """
    What an endpoint's earlier process left.

    Args:
        api: The engine.
        endpoint_id: Whose.
        groups: What the endpoint knows, as in :meth:`aciflow.local.runtime.base.Runtime.recover`.

    Returns:
        The groups as they are on the engine, and the uids of those that nobody knows any more.
    """
    label = f"{ENDPOINT}={endpoint_id}"
    found = api.containers(label)
    adopted = {uid: _known(uid, known) for uid, known in groups.items()}
    strangers: set[str] = set()
    _end_the_cut_off(api, found)
    for container in sorted(found, key=lambda item: int(item["Labels"].get(ATTEMPT, "0"))):
        labels = container["Labels"]
        group = adopted.get(labels.get(UID, ""))
        if group is None:
            strangers.add(labels.get(UID, ""))
            continue
        if SANDBOX in labels:
            group.sandbox = Sandbox.parse(labels[SANDBOX])
        if PAUSE in labels:
            group.pause_id = str(container["Id"])
            if container["State"] != "running":
                with contextlib.suppress(EngineError):  # starting a container will say it
                    api.start(group.pause_id)
        elif CONTAINER in labels:
            # It was created after its volumes were filled.
            group.filled |= _volumes(group.uid, container.get("Mounts") or ())
        if CONTAINER in labels and container["State"] != "created":
            _adopt_member(group, labels[CONTAINER], labels[ATTEMPT], str(container["Id"]))
    return list(adopted.values()), strangers - {""}


def _end_the_cut_off(api: EngineApi, found: Sequence[Mapping[str, Any]]) -> None:
    """Kill what has lost its network since the container that holds it was ended by somebody."""
    running = {f"container:{each['Id']}" for each in found if each["State"] == "running"}
    for container in found:
        network = str((container.get("HostConfig") or {}).get("NetworkMode") or "")
        if network.startswith("container:") and network not in running:
            with contextlib.suppress(EngineError):  # it has ended as well, as a rule
                api.stop(str(container["Id"]), 0.0)


def _volumes(uid: str, mounts: Sequence[Mapping[str, Any]]) -> set[str]:
    """The names, in their group, of volumes that a container mounts."""
    prefix = volume_name(uid, "")
    names = (str(mount.get("Name") or "") for mount in mounts)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _known(uid: str, known: Mapping[str, Any]) -> Group:
    """A group of which nothing may be on the engine yet."""
    return Group(uid=uid, resource_id=str(known.get("resource_id", "")))


def _adopt_member(group: Group, name: str, attempt: str, container_id: str) -> None:
    """Containers come in the order of their attempts; the last one counts, the others have logs."""
    earlier = group.members.get(name)
    group.members[name] = Member(
        name=name,
        attempt=int(attempt),
        id=container_id,
        adopted=True,
        previous=(*earlier.previous, earlier.id) if earlier else (),
    )
