"""What the commands share: a client, and a container group by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aciflow.cli.values import UsageError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow import Client, ContainerGroup


__all__ = ["address", "client", "find", "group_document", "ours", "to_delete"]


def client(args: Namespace) -> Client:
    """The client of a command's options."""
    from aciflow import Client

    return Client(
        args.target,
        subscription_id=args.subscription,
        cloud=args.cloud,
        resource_group=args.resource_group,
    )


def find(via: Client, args: Namespace, name: str) -> ContainerGroup:
    """
    A container group by its name alone, where that is enough.

    Raises:
        UsageError: Several resource groups have one of that name.
        GroupGoneError: There is none.
    """
    from aciflow import GroupGoneError

    if args.resource_group is not None:
        return via.get(name, resource_group=args.resource_group)
    found = [group for group in via.list() if group.name.lower() == name.lower()]
    if not found:
        raise GroupGoneError(
            f"there is no container group '{name}'; 'aciflow ps' lists what there is"
        )
    if len(found) > 1:
        places = ", ".join(sorted(group.resource_group for group in found))
        raise UsageError(f"'{name}' is in {places}: say which with --resource-group")
    return via.get(found[0].name, resource_group=found[0].resource_group)


def address(group: ContainerGroup) -> str | None:
    """The URL of the first TCP port, or ``None`` for a group that has none."""
    from aciflow import GroupGoneError

    try:
        endpoint = group.endpoint()
    except GroupGoneError:
        return None
    return group.url() if endpoint.protocol == "TCP" else None


def ours(group: ContainerGroup) -> bool:
    """Whether aciflow made it, in this process or in another."""
    from aciflow import NotOursError

    try:
        group._check_ours()
    except NotOursError:
        return False
    return True


def group_document(group: ContainerGroup) -> dict[str, Any]:
    """A container group as JSON."""
    return {
        "name": group.name,
        "resource_group": group.resource_group,
        "location": group.location,
        "target": group.target,
        "id": group.id,
        "state": group.state,
        "ip": group.ip,
        "fqdn": group.fqdn,
        "url": address(group),
    }


def to_delete(args: Namespace, group: ContainerGroup) -> str:
    """The command that deletes it, wherever this one was told to look."""
    words = ["aciflow", "delete", group.name, "--resource-group", group.resource_group]
    if args.target != "auto":
        words += ["--target", args.target]
    if args.subscription is not None:
        words += ["--subscription", args.subscription]
    if args.cloud != "public":
        words += ["--cloud", args.cloud]
    return " ".join(words)
