"""How much of a container's output ACI keeps."""

from __future__ import annotations


__all__ = ["RUNNING_LIMIT", "STOPPED_LIMIT", "STOPPED_LINES", "kept_log"]


RUNNING_LIMIT = 4 * 1024 * 1024
"""Bytes of a container that runs (container-instances-resource-and-quota-limits.md: 4 MB)."""

STOPPED_LIMIT = 16 * 1024
"""Bytes of one that has ended (the same page: 16 KB or 1,000 lines)."""

STOPPED_LINES = 1000
"""Lines of one that has ended."""


def kept_log(text: str, *, ended: bool) -> str:
    """
    The end of a container's output, as much of it as ACI would still have.

    Args:
        text: All of it.
        ended: The container has ended for good, or its group is stopped.
    """
    if ended:
        text = "".join(text.splitlines(keepends=True)[-STOPPED_LINES:])
    limit = STOPPED_LIMIT if ended else RUNNING_LIMIT
    if len(text) * 4 <= limit:  # no character has more bytes in UTF-8
        return text
    return text.encode()[-limit:].decode(errors="ignore")
