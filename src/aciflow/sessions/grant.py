"""What ARM promises when a session is asked for: where it is, and its password."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from attrs import field, frozen

from aciflow.errors import (
    ArmError,
    ContainerNotRunningError,
    ExecError,
    GroupGoneError,
    NotFoundError,
)
from aciflow.flow.effects import ArmCall, ArmReply
from aciflow.sessions.shell import COLUMNS, ROWS


__all__ = ["Grant", "Kind", "Wanted", "granted", "refused"]

Kind: TypeAlias = Literal["exec", "attach"]

# Seconds for the request; the container is looked for while it is answered.
PATIENCE = 60.0


@frozen(kw_only=True)
class Wanted:
    """
    A session.

    Attributes:
        kind: ``exec`` starts a process with a terminal; ``attach`` shows what the container writes.
        resource_group: Of the container group.
        name: Of the container group.
        container: In it.
        command: For ``exec``: one program.
        rows: Of the terminal.
        columns: Of the terminal.
    """

    kind: Kind
    resource_group: str
    name: str
    container: str
    command: str = ""
    rows: int = ROWS
    columns: int = COLUMNS

    @property
    def call(self) -> ArmCall:
        """What to ask ARM."""
        body = {
            "command": self.command,
            "terminalSize": {"rows": self.rows, "cols": self.columns},
        }
        return ArmCall(
            operation="container.exec" if self.kind == "exec" else "container.attach",
            resource_group=self.resource_group,
            name=self.name,
            container=self.container,
            body=body if self.kind == "exec" else None,
            timeout=PATIENCE,
        )


@frozen(kw_only=True)
class Grant:
    """
    A session that waits to be connected to, once.

    Attributes:
        uri: Its WebSocket.
        password: For it alone.
        kind: What it is.
    """

    uri: str
    password: str = field(repr=False)
    kind: Kind

    @property
    def session(self) -> str:
        """Its id, where the endpoint is this process's."""
        return urlsplit(self.uri).path.rpartition("/")[2]


def granted(wanted: Wanted, reply: ArmReply) -> Grant:
    """
    Read a reply.

    Raises:
        ExecError: It names no session.
    """
    body: Any = reply.body if isinstance(reply.body, dict) else {}
    uri, password = body.get("webSocketUri"), body.get("password")
    if not isinstance(uri, str) or not isinstance(password, str):
        raise ExecError(f"ARM named no session in container '{wanted.container}'")
    return Grant(uri=uri, password=password, kind=wanted.kind)


def refused(wanted: Wanted, error: ArmError) -> Exception:
    """ARM's refusal as what it means here: there is no such container, or it does not run."""
    if isinstance(error, NotFoundError):
        return GroupGoneError(
            f"there is no container '{wanted.container}' in '{wanted.name}': {error.arm_message}"
        )
    if (error.code or "").lower() in _NOT_RUNNING or "not running" in error.arm_message.lower():
        return ContainerNotRunningError(
            f"container '{wanted.container}' of '{wanted.name}' does not run: {error.arm_message}"
        )
    return error


_NOT_RUNNING = frozenset({"containernotrunning", "containergroupstopped"})
