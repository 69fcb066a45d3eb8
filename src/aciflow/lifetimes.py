"""
What is deleted when the interpreter ends.

Clients register here while they have something to delete. The function that does it is moved to the end of
``atexit``'s list by each registration, so that it runs before the local endpoint closes itself.
"""

from __future__ import annotations

import atexit
import os
import sys

from typing import Protocol


__all__ = ["forget", "remember"]


class Closable(Protocol):
    """Something with clean-up of its own."""

    def close_at_exit(self) -> None:
        """Delete what has to be deleted; raises what could not be."""


_open: dict[int, tuple[Closable, int]] = {}


def remember(client: Closable) -> None:
    """Have a client closed when the interpreter ends, if it is not closed before."""
    _open[id(client)] = (client, os.getpid())
    atexit.unregister(_close_all)
    atexit.register(_close_all)


def forget(client: Closable) -> None:
    """It has been closed."""
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
