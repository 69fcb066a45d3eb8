"""Sessions from ordinary code."""

from __future__ import annotations

import contextlib
import secrets
import time

from collections.abc import Callable
from typing import TYPE_CHECKING

from aciflow.errors import AciflowError, ArmError
from aciflow.flow.effects import ArmCall, ArmReply, Exec
from aciflow.sessions.grant import Wanted, granted, refused
from aciflow.sessions.inside import in_process
from aciflow.sessions.live import Live
from aciflow.sessions.talk import INTERRUPT, Open, Output, Receive, Send, Talk, execute


if TYPE_CHECKING:
    from aciflow.local.runtime.base import Terminal
    from aciflow.sessions.values import ExecResult
    from aciflow.target import Target


__all__ = ["Sessions", "converse", "talk_of", "wanted_for"]


class Sessions:
    """
    Opens sessions on a target.

    Args:
        perform: Asks ARM.
        target: Which.
    """

    def __init__(self, perform: Callable[[ArmCall], ArmReply], target: Target) -> None:
        self._perform = perform
        self._target = target

    def open(self, wanted: Wanted) -> Terminal:
        """
        Open one; blocks.

        Raises:
            GroupGoneError: There is no such container.
            ContainerNotRunningError: It does not run.
            MissingExtraError: The endpoint is not in this process, and no WebSocket client is installed.
            AciflowError: As for any request.
        """
        connect = None if self._target.endpoint is not None else _connect()
        try:
            reply = self._perform(wanted.call)
        except ArmError as error:
            raise refused(wanted, error) from error
        grant = granted(wanted, reply)
        if connect is not None:
            return connect(grant, self._target.settings, resizes=self._target.kind != "azure")
        return in_process(wanted, grant, self._target)

    def execute(self, what: Exec, on_output: Callable[[bytes], None] | None = None) -> ExecResult:
        """Run a command to its end; see :func:`aciflow.sessions.talk.execute`."""
        return converse(
            talk_of(what), lambda command: self.open(wanted_for(what, command)), on_output
        )


def _connect() -> Callable[..., Terminal]:
    """By a WebSocket; looked for before anything is asked of ARM, since it may be missing."""
    from aciflow.sessions.wire import connect

    return connect


def wanted_for(what: Exec, command: str) -> Wanted:
    """The session of a command."""
    return Wanted(
        kind="exec",
        resource_group=what.resource_group,
        name=what.name,
        container=what.container,
        command=command,
    )


def talk_of(what: Exec) -> Talk:
    """What is said in it."""
    return execute(
        what.argv,
        mark=secrets.token_hex(16),
        now=time.monotonic,
        timeout=what.timeout,
        shell=what.shell,
    )


def converse(
    talk: Talk,
    open_terminal: Callable[[str], Terminal],
    on_output: Callable[[bytes], None] | None = None,
) -> ExecResult:
    """Do what an exec asks for, until it has ended. An interruption (Ctrl-C) ends the command, too."""
    live: Live | None = None
    value: bytes | None = None
    error: AciflowError | None = None
    try:
        while True:
            try:
                asked = talk.send(value) if error is None else talk.throw(error)
            except StopIteration as stop:
                result: ExecResult = stop.value
                return result
            value = error = None
            try:
                match asked:
                    case Open(command):
                        if live is not None:
                            live.close()
                            live = None
                        # What is typed is echoed while one types, and must have somewhere to go.
                        live = Live(open_terminal(command), ahead=None)
                    case Send(data) if live is not None:
                        live.terminal.write(data)
                    case Receive(until) if live is not None:
                        value = live.receive(until)
                    case Output(data) if on_output is not None:
                        on_output(data)
            except AciflowError as raised:
                error = raised
    except AciflowError:
        raise
    except BaseException:
        if live is not None:
            with contextlib.suppress(Exception):  # what interrupted it is what is told
                live.terminal.write(INTERRUPT)
        raise
    finally:
        if live is not None:
            live.close()
