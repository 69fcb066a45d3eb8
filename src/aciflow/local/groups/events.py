"""
ACI's events: whole seconds, aggregated.

Names and messages as recorded since 2021 (name and digest without the tag, no ``Created``);
``Failed`` and ``BackOff`` of image pulls as in Microsoft's troubleshooting page.
"""

from __future__ import annotations

from typing import Any

from aciflow.local.groups.times import whole_seconds


__all__ = ["Events", "image_label"]


class Events:
    """
    A container's events, in order of their first appearance.

    Equal ones (name and message) are one entry with a count and its first and last time.
    """

    def __init__(self, entries: list[dict[str, Any]] | None = None) -> None:
        self._entries: list[dict[str, Any]] = entries if entries is not None else []

    def add(self, name: str, message: str, at: float, *, warning: bool = False) -> None:
        """Record an event at ``at`` seconds since the epoch."""
        stamp = whole_seconds(at)
        for place, entry in enumerate(self._entries):
            if entry["name"] == name and entry["message"] == message:
                count = entry["count"] + 1
                self._entries[place] = {**entry, "count": count, "lastTimestamp": stamp}
                return
        self._entries.append(
            {
                "count": 1,
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
                "name": name,
                "message": message,
                "type": "Warning" if warning else "Normal",
            }
        )

    def to_arm(self) -> list[dict[str, Any]]:
        """The list as on the wire; its entries are never changed afterwards."""
        return list(self._entries)


def image_label(image: str, digest: str | None) -> str:
    """``alpine@sha256:...`` (no tag) where the digest is known, else the image as written."""
    if not digest or "@" in image:
        return image
    head, slash, tail = image.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}@{digest}"
