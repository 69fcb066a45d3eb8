"""Two bodies, field by field: presence, type, casing, order, and what an echo has to repeat."""

from __future__ import annotations

import re

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from attrs import field, frozen


What: TypeAlias = Literal["missing", "extra", "type", "value", "order"]
"""
``missing``: the recorded reply has it, ours lacks it. ``extra``: the other way round. ``order``: the
same keys, in another order.
"""

Found: TypeAlias = tuple[str, What, Any, Any]
"""Path, sort of difference, the recorded value, ours."""

# What the server picks: equal where both are of the same form and the client did not send it.
_FORMS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("guid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("time, whole seconds", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("time, milliseconds", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,3}Z"),
        ("time, 100 ns", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4,7}Z"),
        ("IPv4", r"\d{1,3}(\.\d{1,3}){3}"),
        (
            "stream",
            r"wss://[^/]+/(exec|log)stream/sessionId/[0-9a-f-]{36}\?api-version=1\.0(&rows=\d+&cols=\d+)?",
        ),
    )
)
MASKED = "[masked]"


@frozen(kw_only=True)
class Difference:
    """
    One difference between a recorded reply and ours.

    Attributes:
        day: Of the recorded reply, ``2023-05-05``.
        path: Of the field: ``properties.containers[].name``; ``http status``; ``header location``.
        recorded: Its value, ``None`` where it is missing.
    """

    where: str
    kind: str
    version: str
    day: str
    path: str
    what: What
    recorded: Any = field(default=None)
    ours: Any = field(default=None)

    def __str__(self) -> str:
        return (
            f"{self.where} {self.kind} {self.version}: {self.what} {self.path}: "
            f"recorded {_short(self.recorded)}, ours {_short(self.ours)}"
        )


class Comparison:
    """
    Compares bodies and counts the fields that it has looked at.

    Args:
        sent: Every string that the client sent; an echo of it must be exact.
    """

    def __init__(self, sent: frozenset[str]) -> None:
        self._sent = sent
        self.fields = 0

    def bodies(self, recorded: Any, ours: Any, path: str = "") -> Iterator[Found]:
        """Yield ``(path, what, recorded, ours)`` for each difference, at its topmost field."""
        self.fields += 1
        if isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._objects(recorded, ours, path)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._lists(recorded, ours, path)
        elif _type(recorded) != _type(ours):
            yield path, "type", recorded, ours
        elif recorded != ours and not self._alike(recorded, ours):
            yield path, "value", recorded, ours

    def _objects(self, recorded: Any, ours: Any, path: str) -> Iterator[Found]:
        prefix = f"{path}." if path else ""
        for key, value in recorded.items():
            if key not in ours:
                yield f"{prefix}{key}", "missing", value, None
            else:
                yield from self.bodies(value, ours[key], f"{prefix}{key}")
        for key, value in ours.items():
            if key not in recorded:
                yield f"{prefix}{key}", "extra", None, value
        both = [key for key in recorded if key in ours], [key for key in ours if key in recorded]
        if both[0] != both[1]:
            yield path, "order", both[0], both[1]

    def _lists(self, recorded: Any, ours: Any, path: str) -> Iterator[Found]:
        if path.endswith("events"):
            yield from self._events(recorded, ours, path)
            return
        if len(recorded) != len(ours):
            yield f"{path}[]", "value", f"{len(recorded)} of them", f"{len(ours)} of them"
        for one, other in zip(recorded, ours, strict=False):
            yield from self.bodies(one, other, f"{path}[]")

    def _events(self, recorded: Any, ours: Any, path: str) -> Iterator[Found]:
        """Events come in any order, so they are told apart by their names."""
        have, told = _numbered(ours), _numbered(recorded)
        for key in dict.fromkeys([*told, *have]):
            at = f"{path}[{key[0]}]"
            if key not in have:
                yield at, "missing", told[key], None
            elif key not in told:
                yield at, "extra", None, have[key]
            else:
                yield from self.bodies(told[key], have[key], at)

    def _alike(self, recorded: Any, ours: Any) -> bool:
        if not isinstance(recorded, str) or recorded in self._sent:
            return False
        if recorded == MASKED:
            return bool(ours)
        return any(form.fullmatch(recorded) and form.fullmatch(ours) for _, form in _FORMS)


def _numbered(events: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Events by name, and which of that name."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for event in events:
        name = event["name"]
        found[name, sum(1 for known, _ in found if known == name)] = event
    return found


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def _type(value: Any) -> str:
    """JSON's own types, and whether a number has a fraction: ``1.0`` is echoed as ``1.0``."""
    return type(value).__name__


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."
