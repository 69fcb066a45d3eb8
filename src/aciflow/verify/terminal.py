"""The other end of an exec or attach, as plainly as possible: what was sent, what came, how it ended."""

from __future__ import annotations

import logging
import ssl
import time

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from attrs import field, frozen

from aciflow.errors import AciflowError


__all__ = ["Heard", "converse"]

# At level DEBUG it would write down every frame, and the first one is a password.
_log = logging.getLogger("aciflow.verify.websocket")
_log.setLevel(logging.CRITICAL)


@frozen(kw_only=True)
class Heard:
    """
    A conversation.

    Attributes:
        output: All that came.
        closed: ``1000``, another close code, ``open`` where it had not ended in time, or what went wrong.
    """

    output: str = field(default="")
    closed: str = "open"


def converse(
    reply: Mapping[str, str],
    said: bytes,
    context: ssl.SSLContext,
    *,
    host: str,
    password_first: bool = True,
    timeout: float = 30.0,
    enough: Callable[[str], bool] = lambda _: False,
) -> Heard:
    """
    Connect to what exec or attach has answered, say something, and listen.

    Args:
        reply: With ``webSocketUri`` and ``password``.
        said: Input, after the password.
        context: Whom to trust.
        host: Of the endpoint; where the URI names another host its certificate must be valid for that.
        password_first: As the first message; else as the header ``Authorization``.
        timeout: Seconds to listen.
        enough: Whether what came is enough to stop.

    Raises:
        AciflowError: There is no WebSocket client, or the URI is not ``wss``.
    """
    try:
        from websockets.exceptions import ConnectionClosed, InvalidHandshake
        from websockets.sync.client import connect
    except ImportError:
        raise AciflowError("exec and attach need: pip install 'aciflow[exec]'") from None
    uri = reply["webSocketUri"]
    if urlsplit(uri).scheme != "wss" or not (urlsplit(uri).hostname or host):
        raise AciflowError("the session's URI is not wss://")
    headers = {} if password_first else {"Authorization": reply["password"]}
    output, deadline = bytearray(), time.monotonic() + timeout
    try:
        with connect(uri, ssl=context, additional_headers=headers, logger=_log) as socket:
            try:
                if password_first:
                    socket.send(reply["password"])
                if said:
                    socket.send(said)
                while (left := deadline - time.monotonic()) > 0:
                    part = socket.recv(timeout=left)
                    output += part if isinstance(part, bytes) else part.encode()
                    if enough(output.decode(errors="replace")):
                        break
            except TimeoutError:
                pass
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd is not None else "broken off"
                return Heard(output=output.decode(errors="replace"), closed=str(code))
    except (OSError, InvalidHandshake) as error:
        return Heard(output=output.decode(errors="replace"), closed=f"{type(error).__name__}")
    return Heard(output=output.decode(errors="replace"))
