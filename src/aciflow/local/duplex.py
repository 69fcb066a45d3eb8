"""
A session's terminal from one process to another: frames both ways on a connection of its own.

Either end that dies breaks the connection, and the other one lets go: a process whose terminal somebody
else had open loses it with them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import threading

from aciflow.errors import EndpointUnreachableError
from aciflow.local.channel import Connection
from aciflow.local.runtime.base import Terminal


__all__ = ["RemoteTerminal", "lend"]

# Bytes in a frame, before base64.
_PIECE = 256 * 1024


class RemoteTerminal:
    """
    A terminal that another process has; see :class:`aciflow.local.runtime.base.Terminal`.

    Args:
        connection: For it alone; closed with it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._over = threading.Event()

    def read(self) -> bytes:
        """
        What comes next.

        Raises:
            EndpointUnreachableError: The process that holds the endpoint has ended.
        """
        if self._over.is_set():
            return b""
        try:
            frame = self._connection.receive()
        except OSError as error:
            if self._over.is_set():  # closed here
                return b""
            raise EndpointUnreachableError(
                "the process that holds the local endpoint has ended, and the session with it"
            ) from error
        if "data" in frame:
            return base64.b64decode(frame["data"])
        self.close()
        return b""

    def write(self, data: bytes) -> None:
        """Input."""
        for at in range(0, len(data), _PIECE):
            self._send({"data": base64.b64encode(data[at : at + _PIECE]).decode()})

    def resize(self, rows: int, columns: int) -> None:
        """Another size."""
        self._send({"size": [rows, columns]})

    def close(self) -> None:
        """Let go of it."""
        self._over.set()
        self._connection.close()

    def _send(self, frame: dict[str, object]) -> None:
        # It has ended, or the other process has: reading tells.
        with self._sending, contextlib.suppress(OSError):
            self._connection.send(frame)


def lend(terminal: Terminal, connection: Connection) -> None:
    """
    Let the other end have a terminal, until either has ended; blocks, and closes both.

    Args:
        terminal: Of this process.
        connection: For it alone.
    """
    output = threading.Thread(
        target=_show, args=(terminal, connection), name="aciflow-session", daemon=True
    )
    try:
        output.start()
        while True:
            frame = connection.receive()
            if "data" in frame:
                terminal.write(base64.b64decode(frame["data"]))
            elif "size" in frame:
                rows, columns = frame["size"]
                terminal.resize(int(rows), int(columns))
    except (OSError, ValueError, TypeError, binascii.Error, RuntimeError):
        pass  # it has gone, or talks nonsense
    finally:
        terminal.close()
        connection.close()


def _show(terminal: Terminal, connection: Connection) -> None:
    with contextlib.suppress(OSError):
        while data := terminal.read():
            for at in range(0, len(data), _PIECE):
                piece = base64.b64encode(data[at : at + _PIECE]).decode()
                connection.send({"data": piece})
        connection.send({"end": True})
    connection.close()
