"""``aciflow ps``, ``logs`` and ``delete``: what has been launched."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from aciflow.cli.common import client, find, group_document, ours
from aciflow.cli.values import UsageError


if TYPE_CHECKING:
    from argparse import Namespace

    from aciflow import Client, ContainerGroup
    from aciflow.cli.output import Output


__all__ = ["delete", "logs", "ps"]


def ps(args: Namespace, output: Output) -> int:
    """List container groups."""
    with closing(client(args)) as via:
        found = _listed(via, args.resource_group, every=args.all)
        documents = [group_document(group) for group in found]
    columns = ("name", "resource_group", "location", "state", "url")
    if documents:
        text = table(columns, [[str(one[column] or "") for column in columns] for one in documents])
    else:
        text = "nothing is there"
    output.result(documents, text)
    return 0


def logs(args: Namespace, output: Output) -> int:
    """Print a container's log."""
    with closing(client(args)) as via:
        group = find(via, args, args.name)
        if not args.follow:
            text = group.logs(container=args.container, tail=args.tail)
            output.result({"name": group.name, "logs": text}, text.removesuffix("\n"))
            return 0
        if args.json:
            raise UsageError("--follow has no end that JSON could wait for: use one of the two")
        for line in group.stream_logs(container=args.container):
            output.line(str(line))
    return 0


def delete(args: Namespace, output: Output) -> int:
    """Delete container groups, each confirmed."""
    if bool(args.names) == args.all:
        raise UsageError("name what to delete, or --all")
    from aciflow import NotFoundError

    with closing(client(args)) as via:
        found: tuple[ContainerGroup, ...]
        if args.all:
            try:
                found = _listed(via, args.resource_group, every=False)
            except NotFoundError:  # the resource group is gone, and so is all that was in it
                found = ()
        else:
            found = tuple(find(via, args, name) for name in args.names)
        documents = []
        for group in found:
            group.delete()
            documents.append(
                {"name": group.name, "resource_group": group.resource_group, "id": group.id}
            )
            output.line(f"deleted {group.name} in {group.resource_group}")
        places = {group.resource_group.lower(): group.resource_group for group in found}
        if args.all and args.resource_group is not None:
            places.setdefault(args.resource_group.lower(), args.resource_group)
        gone = {group.resource_group for group in found if group._emptied}
        emptied = [name for name in places.values() if name in gone or _drop_made(via, name)]
        for name in emptied:
            output.line(f"deleted the resource group {name}, which was made for it")
    if args.json:
        output.result({"deleted": documents, "resource_groups": emptied}, "")
    elif not (found or emptied):
        output.note("nothing is there to delete")
    return 0


def _drop_made(via: Client, name: str) -> bool:
    """
    Delete a resource group that a launch of this user made, on this machine, and that is empty now.

    Returns:
        Whether there was one to delete.
    """
    from functools import partial

    from aciflow.core import CLIENT_TAG
    from aciflow.flow.groups import drop_made
    from aciflow.flow.launch import OWNER_TAG

    core = via._core
    return core.sync_driver().run(
        partial(
            drop_made,
            ref=core.group_ref(name),
            pace=core.pace,
            wait=core.group_wait,
            marks={CLIENT_TAG: None, OWNER_TAG: core.owner},
        )
    )


def _listed(via: Client, resource_group: str | None, *, every: bool) -> tuple[ContainerGroup, ...]:
    found = via.list(resource_group=resource_group)
    return found if every else tuple(group for group in found if ours(group))


def table(heads: tuple[str, ...], rows: list[list[Any]]) -> str:
    """Columns as wide as what is in them."""
    lines = [[head.replace("_", " ").upper() for head in heads], *rows]
    widths = [max(len(line[number]) for line in lines) for number in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
