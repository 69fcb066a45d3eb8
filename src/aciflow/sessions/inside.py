"""Sessions of an endpoint that is in this process, or shared with it: no WebSocket is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aciflow.errors import ContainerNotRunningError, ExecError


if TYPE_CHECKING:
    from aciflow.local.azure import LocalAzure
    from aciflow.local.runtime.base import Terminal
    from aciflow.sessions.grant import Grant, Wanted
    from aciflow.target import Target


__all__ = ["in_process"]


def in_process(wanted: Wanted, grant: Grant, target: Target) -> Terminal:
    """
    Open a session; blocks.

    Raises:
        ContainerNotRunningError: It has ended since.
        ExecError: The session is not there any more.
    """
    endpoint: LocalAzure | None = target.endpoint
    if endpoint is None:
        raise ValueError("that endpoint is not in this process")
    try:
        terminal = endpoint.connect(grant.session, grant.password)
    except LookupError as error:
        raise ContainerNotRunningError(
            f"container '{wanted.container}' of '{wanted.name}' does not run: {error.args[0]}"
        ) from None
    if terminal is None:
        raise ExecError("the local endpoint has begun anew, and the session was of the one before")
    return terminal
