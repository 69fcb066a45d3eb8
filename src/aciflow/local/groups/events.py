"""
ACI's events: whole seconds, aggregated.

Names and messages as recorded since 2021 (name and digest without the tag, no ``Created``);
``Failed`` and ``BackOff`` of image pulls as in Microsoft's troubleshooting page, ``Unhealthy`` as its
pages on probes and the kubelet have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, frozen

from aciflow.local.groups.times import whole_seconds


__all__ = ["Events", "GroupEvent", "GroupEvents", "image_label"]


MAX_EVENTS = 100
"""Entries that a container keeps; the kubelet's are forgotten after an hour."""


class Events:
    """
    A container's events, in order of their first appearance.

    Equal ones (name and message) of one cycle of the group are one entry with a count and its first and
    last time. A restart of the group begins new entries (recorded).

    Args:
        entries: As :meth:`to_arm` gave them.
        since: How many of them are of cycles that are over.
    """

    def __init__(self, entries: list[dict[str, Any]] | None = None, since: int = 0) -> None:
        self._entries: list[dict[str, Any]] = entries if entries is not None else []
        self._since = since

    @property
    def since(self) -> int:
        """How many entries are of cycles that are over."""
        return self._since

    def new_cycle(self) -> None:
        """What comes now is told apart from what was."""
        self._since = len(self._entries)

    def add(self, name: str, message: str, at: float, *, warning: bool = False) -> None:
        """Record an event at ``at`` seconds since the epoch."""
        stamp = whole_seconds(at)
        for place in range(self._since, len(self._entries)):
            entry = self._entries[place]
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
        if len(self._entries) > MAX_EVENTS:
            del self._entries[0]
            self._since = max(self._since - 1, 0)

    def to_arm(self) -> list[dict[str, Any]]:
        """The list as on the wire; its entries are never changed afterwards."""
        return list(self._entries)


@frozen(kw_only=True)
class GroupEvent:
    """
    An event of the group itself; all of them are warnings.

    Attributes:
        first: Seconds since the epoch.
        last: Seconds since the epoch.
    """

    name: str
    message: str
    first: float
    last: float
    count: int = 1


class GroupEvents:
    """The events of the group itself: equal ones are one with a count."""

    def __init__(self, entries: tuple[GroupEvent, ...] = ()) -> None:
        self._entries = entries

    @property
    def entries(self) -> tuple[GroupEvent, ...]:
        """In order of their first appearance."""
        return self._entries

    def add(self, name: str, message: str, at: float) -> None:
        """Record an event at ``at`` seconds since the epoch."""
        for place, entry in enumerate(self._entries):
            if entry.name == name and entry.message == message:
                again = evolve(entry, last=at, count=entry.count + 1)
                self._entries = (*self._entries[:place], again, *self._entries[place + 1 :])
                return
        self._entries = (*self._entries, GroupEvent(name=name, message=message, first=at, last=at))

    def clear(self) -> None:
        """Another operation begins."""
        self._entries = ()

    def dump(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [asdict(entry) for entry in self._entries]

    @classmethod
    def load(cls, saved: Sequence[Mapping[str, Any]]) -> GroupEvents:
        """The inverse of :meth:`dump`."""
        return cls(tuple(GroupEvent(**entry) for entry in saved))


def image_label(image: str, digest: str | None) -> str:
    """``alpine@sha256:...`` (no tag) where the digest is known, else the image as written."""
    if not digest or "@" in image:
        return image
    head, slash, tail = image.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}@{digest}"
