"""A container's output as the engine frames it, and as a reader wants it."""

from __future__ import annotations

import re

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from aciflow.local.runtime.engine.api import EngineApi, EngineError


__all__ = ["LIMIT", "end", "frames", "last_bytes", "read", "timed", "unframe"]

LIMIT = 4 * 1024 * 1024
"""ACI returns at most 4 MB of a running container's log (reference, 2.5)."""

_LINES = 60_000
"""Lines of usual length are as much; more are only asked for where they are shorter."""

_FIRST_LINE = 64 * 1024
"""Bytes; of a longer line that was cut its end is shown."""

_PIECES = 2 * LIMIT // (16 * 1024)
"""How many pieces of lines, which engines cut at 16 KB, are counted as lines at most."""

_FRACTION = re.compile(r"\.(\d{1,9})")


def unframe(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    The payloads of a multiplexed stream, stdout and stderr as they came.

    Each frame has a header of 8 bytes: the stream, three zeros, and the length in network order. A
    stream that breaks off inside a frame yields what there is.
    """
    buffer = bytearray()
    left = 0
    for chunk in chunks:
        buffer += chunk
        while buffer:
            if left == 0:
                if len(buffer) < 8:
                    break
                left = int.from_bytes(buffer[4:8], "big")
                del buffer[:8]
                continue
            part = bytes(buffer[:left])
            del buffer[:left]
            left -= len(part)
            yield part


def last_bytes(parts: Iterable[bytes], limit: int = LIMIT) -> bytes:
    """
    The end of a long output, at most ``limit`` bytes.

    If it was cut it begins with a whole line, unless that would leave out much.
    """
    kept: deque[bytes] = deque()
    size = 0
    cut = False
    for part in parts:
        kept.append(part)
        size += len(part)
        while size - len(kept[0]) >= limit:
            size -= len(kept.popleft())
            cut = True
    joined = b"".join(kept)
    if len(joined) > limit:
        joined = joined[-limit:]
        cut = True
    if cut:
        joined = joined[joined.find(b"\n", 0, min(_FIRST_LINE, len(joined) - 1)) + 1 :]
    return joined


def read(api: EngineApi, containers: Sequence[str], *, tail: int | None, timestamps: bool) -> str:
    """
    The output of a container's attempts, oldest first; bytes that are no UTF-8 become U+FFFD.

    Args:
        api: The engine.
        containers: Ids, oldest first; those that are gone are left out.
        tail: Lines from the end, ``None`` for all.
        timestamps: Each line begins with its time.
    """
    text = ""
    for container in reversed(containers):
        wanted = None if tail is None else tail - text.count("\n")
        if wanted is not None and wanted <= 0:
            break
        try:
            older = _end_of(api, container, wanted, timestamps).decode("utf-8", "replace")
        except EngineError as error:
            if error.status in (404, 409):  # it is being removed, or was just now
                continue
            raise
        if older and text and not older.endswith("\n"):
            older += "\n"
        text = older + text
    return text


def _end_of(api: EngineApi, container: str, tail: int | None, timestamps: bool) -> bytes:
    """
    The last lines of one container, at most :data:`LIMIT` bytes.

    An engine is not asked for gigabytes of which 4 MB are shown: reading them takes it minutes.
    """
    for lines in (min(tail or _LINES, _LINES), tail):
        with api.logs(container, tail=lines, timestamps=timestamps) as chunks:
            found = last_bytes(unframe(chunks))
        enough = lines == tail or len(found) >= LIMIT - _FIRST_LINE
        if enough or (lines is not None and found.count(b"\n") < lines - _PIECES):
            break
    return found


def frames(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The payloads of a multiplexed stream, each whole: an engine sends what was logged at once in one."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + size:
                break
            yield bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


def timed(frame: bytes) -> tuple[str | None, bytes]:
    """
    Take the time off what was logged.

    Returns:
        The first moment after it, in seconds since the epoch to the nanosecond, as engines take it; and
        what was logged.
    """
    stamp, space, rest = frame.partition(b" ")
    text = stamp.decode("ascii", "replace")
    try:
        seconds = int(datetime.fromisoformat(_FRACTION.sub("", text)).timestamp())
    except ValueError:
        return None, frame
    fraction = _FRACTION.search(text)
    nanoseconds = seconds * 10**9 + int(fraction[1].ljust(9, "0") if fraction else 0) + 1
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}", rest if space else b""


def end(api: EngineApi, container: str) -> str | None:
    """
    The first moment that a container's output so far does not reach, by the engine's clock.

    Whoever begins to follow "now" would miss what is written until the engine has begun.

    Returns:
        Seconds since the epoch, to the nanosecond; ``None`` where there is no output yet.
    """
    moment = None
    with api.logs(container, tail=1, timestamps=True) as chunks:
        for frame in frames(chunks):
            moment = timed(frame)[0] or moment
    return moment
