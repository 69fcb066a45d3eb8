"""Differences that are known, by class: read from ``differences.toml``, matched, counted."""

from __future__ import annotations

import tomllib

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import field, frozen
from tests.conformance.compare import Difference, What


FILE = Path(__file__).parent / "differences.toml"
MOST = 25
"""Classes, at most."""

# Paths that have most of a body below them: too much for one class.
_BODIES = {
    *("", "properties", "value", "value[]", "value[].properties", "error", "status"),
    *("properties.containers", "properties.containers[]", "properties.containers[].properties"),
    "properties.containers[].properties.instanceView",
}


@frozen(kw_only=True)
class Class:
    """
    A kind of difference and why it is there.

    Attributes:
        kinds: Kinds of requests, ``GET group``.
        paths: Of the fields, each in full; nothing in them stands for several.
        what: What is different about them.
        since: Only replies of this day and later (``2021-07-01``).
        before: Only replies of earlier days.
        recordings: Only in recordings whose names contain one of these; empty for any.
    """

    id: str
    why: str
    kinds: frozenset[str]
    paths: frozenset[str]
    what: frozenset[What]
    since: str = ""
    before: str = "9"
    recordings: tuple[str, ...] = ()

    def explains(self, one: Difference) -> bool:
        """Whether ``one`` is of this class."""
        return (
            one.kind in self.kinds
            and one.path in self.paths
            and one.what in self.what
            and self.since <= one.day < self.before
            and (not self.recordings or any(part in one.where for part in self.recordings))
        )


@frozen(kw_only=True)
class Explained:
    """What :func:`explain` made of differences."""

    counts: Counter[str]
    unexplained: list[Difference] = field(repr=False)
    unused: list[str]


def load(file: Path = FILE) -> list[Class]:
    """
    The classes.

    Raises:
        ValueError: There are too many, one has no reason, or a path would take a whole body.
    """
    classes = [_class(each) for each in tomllib.loads(file.read_text())["class"]]
    if len(classes) > MOST:
        raise ValueError(f"{len(classes)} classes of differences; {MOST} are allowed")
    if len({each.id for each in classes}) != len(classes):
        raise ValueError("two classes have one id")
    for each in classes:
        if len(each.why) < 40 or not each.kinds or not each.what:
            raise ValueError(f"{each.id}: say why, of which requests, and what differs")
        for path in each.paths:
            if path in _BODIES or "*" in path:
                raise ValueError(f"{each.id}: '{path}' takes more than a field")
    return classes


def explain(differences: Iterable[Difference], classes: list[Class]) -> Explained:
    """Give each difference to the first class that explains it."""
    counts: Counter[str] = Counter()
    unexplained = []
    for one in differences:
        found = next((each for each in classes if each.explains(one)), None)
        if found is None:
            unexplained.append(one)
        else:
            counts[found.id] += 1
    unused = [each.id for each in classes if each.id not in counts]
    return Explained(counts=counts, unexplained=unexplained, unused=unused)


def _class(given: dict[str, Any]) -> Class:
    return Class(
        id=given.pop("id"),
        why=given.pop("why"),
        kinds=frozenset(given.pop("kinds")),
        paths=frozenset(given.pop("paths")),
        what=frozenset(given.pop("what")),
        recordings=tuple(given.pop("recordings", ())),
        **given,
    )
