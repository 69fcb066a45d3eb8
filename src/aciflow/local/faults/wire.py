"""Rules as JSON, for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import NOTHING, asdict, fields

from aciflow.local.faults.kinds import KINDS, FieldError
from aciflow.local.faults.rules import Fired, Match, Rule


__all__ = ["fired_to_json", "rule_from_json", "rule_to_json"]

_RULE = ("times", "after", "probability")


def rule_from_json(given: Mapping[str, Any]) -> Rule:
    """
    A rule: ``{"fault": "throttle", "retry_after": 2, "match": {"method": "PUT"}, "times": 1}``.

    Raises:
        FieldError: Something in it cannot be; names the field.
    """
    name = given.get("fault")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise FieldError("fault", f"{name!r} is none; there are {', '.join(KINDS)}")
    own = {one.name: one for one in fields(kind)}
    unknown = sorted(set(given) - set(own) - {"fault", "match", *_RULE})
    if unknown:
        may = ", ".join(("match", *_RULE, *own))
        raise FieldError(unknown[0], f"{name} has no such field; it has {may}")
    wanted = given.get("match", {})
    if not isinstance(wanted, Mapping):
        raise FieldError("match", f"{wanted!r} is not an object")
    places = [one.name for one in fields(Match)]
    strange = sorted(set(wanted) - set(places))
    if strange:
        raise FieldError(f"match.{strange[0]}", f"there is no such field; there are {places}")
    for one in own.values():
        if one.default is NOTHING and one.name not in given:
            raise FieldError(one.name, f"{name} needs it")
    try:
        match = Match(**wanted)
    except FieldError as problem:
        raise FieldError(f"match.{problem.field}", problem.problem) from None
    return Rule(
        fault=kind(**{key: given[key] for key in own if key in given}),
        match=match,
        **{key: given[key] for key in _RULE if key in given},
    )


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The inverse of :func:`rule_from_json`, with the rule's number; what is not set is left out."""
    fault = {key: value for key, value in asdict(rule.fault).items() if value is not None}
    match = {key: value for key, value in asdict(rule.match).items() if value is not None}
    made = {"id": rule.id, "fault": rule.fault.kind, **fault, "match": match}
    for key in _RULE:
        if getattr(rule, key) is not None:
            made[key] = getattr(rule, key)
    return made


def fired_to_json(fired: Fired) -> dict[str, Any]:
    """A line of the log."""
    return asdict(fired)
