"""Where the replies of two endpoints to the same scenarios differ: pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import frozen

from aciflow.verify.exchange import Exchange


__all__ = ["Difference", "differences"]


_SAME_VALUE = {
    "code",
    "exitCode",
    "osType",
    "protocol",
    "provisioningState",
    "restartCount",
    "restartPolicy",
    "sku",
    "state",
    "status",
}
"""Keys whose values must be the same, not only their types."""

_FREE = {"tags", "x-ms-request-id"}
"""What is in there is whoever asks, not the service."""

_FORM_ONLY = {"azure-asyncoperation", "location"}
_COMPARED = {"azure-asyncoperation", "content-type", "location", "retry-after", "www-authenticate"}


@frozen(kw_only=True)
class Difference:
    """
    One difference between two replies.

    Attributes:
        scenario: Where.
        step: At which request; the last of those with that name.
        what: ``status``, ``header NAME``, or a path in the body.
        there: In the first reply; ``-`` for nothing.
        here: In the second.
    """

    scenario: str
    step: str
    what: str
    there: str
    here: str


def differences(
    there: Iterable[Exchange], here: Iterable[Exchange]
) -> tuple[list[Difference], list[str]]:
    """
    Compare two runs.

    Of requests that were repeated (polling) the last one counts.

    Returns:
        The differences; and the steps that only one of the two has, in words.
    """
    first, second = _last(there), _last(here)
    found: list[Difference] = []
    for key, one in first.items():
        other = second.get(key)
        if other is not None:
            found += _compare(key, one, other)
    alone = [f"{scenario}: {step} only there" for scenario, step in first.keys() - second.keys()]
    alone += [f"{scenario}: {step} only here" for scenario, step in second.keys() - first.keys()]
    return found, sorted(alone)


def _last(run: Iterable[Exchange]) -> dict[tuple[str, str], Exchange]:
    return {(seen.scenario, seen.step): seen for seen in run}


def _compare(key: tuple[str, str], one: Exchange, other: Exchange) -> list[Difference]:
    pairs: list[tuple[str, str, str]] = []
    if one.status != other.status:
        pairs.append(("status", str(one.status), str(other.status)))
    for name in sorted(_COMPARED & (one.headers.keys() | other.headers.keys())):
        have, want = one.headers.get(name), other.headers.get(name)
        if name in _FORM_ONLY and have is not None and want is not None:
            have, want = "present", "present"
        if have != want:
            pairs.append((f"header {name}", have or "-", want or "-"))
    mine, theirs = _shape(one.response), _shape(other.response)
    for path in sorted(mine.keys() | theirs.keys()):
        have, want = mine.get(path, "-"), theirs.get(path, "-")
        if have != want and not _inside_missing(path, mine, theirs):
            pairs.append((path or "body", have, want))
    return [
        Difference(scenario=key[0], step=key[1], what=what, there=have, here=want)
        for what, have, want in pairs
    ]


def _inside_missing(path: str, mine: dict[str, str], theirs: dict[str, str]) -> bool:
    """Whether a path is only missing because what holds it is."""
    parent = path.rpartition(".")[0].removesuffix("[]")
    return bool(parent) and ((parent in mine) != (parent in theirs))


def _shape(value: Any, path: str = "") -> dict[str, str]:
    """Each path in a JSON value, and the type there; for some keys the value."""
    key = path.rpartition(".")[2]
    if isinstance(value, dict):
        found = {path: "object"}
        if key not in _FREE:
            for name, each in value.items():
                found.update(_shape(each, f"{path}.{name}" if path else name))
        return found
    if isinstance(value, list):
        found = {path: "list" if value else "empty list"}
        for each in value:
            found.update(_shape(each, f"{path}[]"))
        return found
    if key in _SAME_VALUE:
        return {path: repr(value)}
    if isinstance(value, bool) or value is None:
        return {path: type(value).__name__}
    return {path: "number" if isinstance(value, int | float) else "string"}
