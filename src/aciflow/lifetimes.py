"""
What is deleted when the interpreter ends.

Clients are registered here while they have something to delete. The function that does it is moved to the
end of ``atexit``'s list by each registration, so that it runs before the local endpoint closes itself.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref

from typing import TYPE_CHECKING, Protocol


if TYPE_CHECKING:
    from aciflow.core import Core


__all__ = ["follow", "forget", "remember"]


class Closable(Protocol):
    """Something with clean-up of its own."""

    def close_at_exit(self) -> None:
        """Delete what has to be deleted; raises what could not be."""


_open: dict[int, tuple[Closable, int]] = {}


def follow(client: Closable, core: Core) -> None:
    """
    Keep a client, and have it closed when the interpreter ends, while its books hold something to delete.

    One that holds nothing is let go: when nobody has it any more, its threads and connections end.
    """
    seen = weakref.ref(client)

    def changed(owes: bool) -> None:
        there = seen()
        if there is not None:
            (remember if owes else forget)(there)

    core.books.on_change = changed
    weakref.finalize(
        client, core.release
    ).atexit = False  # threads and sockets end with the process


def remember(client: Closable) -> None:
    """Have a client closed when the interpreter ends; in a fork by the process that has called this."""
    entry = (client, os.getpid())
    if _open.get(id(client)) != entry:
        _open[id(client)] = entry
        atexit.unregister(_close_all)
        atexit.register(_close_all)


def forget(client: Closable) -> None:
    """It has nothing to delete any more."""
    _open.pop(id(client), None)


def _close_all() -> None:
    for client, pid in list(_open.values()):
        if pid != os.getpid():
            continue  # a fork's copy: the parent deletes what is its own
        try:
            client.close_at_exit()
        except Exception as error:  # one that fails must not keep the others from it
            sys.stderr.write(f"aciflow: {error}\n")
    _open.clear()
