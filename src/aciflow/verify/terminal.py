"""The other end of an exec or attach, as plainly as possible: what was sent, what came, how it ended."""

from __future__ import annotations

import asyncio
import logging
import ssl

from collections.abc import Callable, Mapping, Sequence
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
        password_first: As the first message; else as the header ``Authorization``.
        timeout: Seconds to listen.
        enough: Whether what came is enough to stop.

    Raises:
        AciflowError: There is no WebSocket client, or the URI is not ``wss``.
    """
    uri = reply["webSocketUri"]
    if urlsplit(uri).scheme != "wss" or not urlsplit(uri).hostname:
        raise AciflowError("the session's URI is not wss://")
    words = [reply["password"]] if password_first else []
    headers = {} if password_first else {"Authorization": reply["password"]}
    return asyncio.run(
        _listen(uri, context, headers, [*words, *([said] if said else [])], timeout, enough)
    )


async def _listen(
    uri: str,
    context: ssl.SSLContext,
    headers: Mapping[str, str],
    messages: Sequence[str | bytes],
    timeout: float,
    enough: Callable[[str], bool],
) -> Heard:
    try:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake
    except ImportError:
        raise AciflowError("exec and attach need: pip install 'aciflow[exec]'") from None
    output = bytearray()
    closed = "open"
    try:
        async with (
            asyncio.timeout(timeout),
            connect(uri, ssl=context, additional_headers=headers, logger=_log) as socket,
        ):
            for message in messages:
                await socket.send(message)
            while not enough(output.decode(errors="replace")):
                part = await socket.recv()
                output += part if isinstance(part, bytes) else part.encode()
    except ConnectionClosed as error:
        closed = str(error.rcvd.code) if error.rcvd is not None else "broken off"
    except TimeoutError:
        pass
    except (OSError, InvalidHandshake) as error:
        closed = type(error).__name__
    return Heard(output=output.decode(errors="replace"), closed=closed)
