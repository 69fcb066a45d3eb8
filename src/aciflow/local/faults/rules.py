"""Rules, and what they make of a request."""

from __future__ import annotations

import random
import threading

from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from attrs import Attribute, define, field, frozen

from aciflow.local.faults.kinds import (
    Drop,
    FailOperation,
    Fault,
    FieldError,
    LateStartTime,
    LostEvents,
    NoCapacity,
    Refuse,
    RegistryTrouble,
    ServerError,
    Slow,
    Throttle,
    number,
    whole,
)
from aciflow.local.faults.operations import OPERATIONS, group_name, operation_of
from aciflow.local.faults.replies import refused, server_error, throttled
from aciflow.local.protocol import Dropped, Reply, Request


__all__ = ["Faults", "Fired", "Match", "Plan", "Rule"]

_REMEMBERED = 10_000
"""Faults that the log goes back to."""

Answer: TypeAlias = Reply | Dropped


def _pattern(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise FieldError(attribute.name, f"{value!r} is not a text")


def _known_operation(_: Any, attribute: Attribute[Any], value: Any) -> None:
    _pattern(_, attribute, value)
    if value is not None and not any(
        fnmatchcase(name.lower(), value.lower()) for name in OPERATIONS
    ):
        raise FieldError(
            attribute.name, f"{value!r} is no operation; there are {', '.join(OPERATIONS)}"
        )


@frozen(kw_only=True)
class Match:
    """
    Which requests; what is ``None`` matches all. ``*`` and ``?`` stand for any text and any character.

    Attributes:
        method: ``PUT``.
        operation: ``ContainerGroups_CreateOrUpdate``, ``ContainerGroups_*``.
        path: ``*/containerGroups/web/*``, the whole path without the query; case does not count.
        name: The container group, or else the resource group, in the path.
        location: The region that a request is about: that of its body, its path or its group.
    """

    method: str | None = field(default=None, validator=_pattern)
    operation: str | None = field(default=None, validator=_known_operation)
    path: str | None = field(default=None, validator=_pattern)
    name: str | None = field(default=None, validator=_pattern)
    location: str | None = field(default=None, validator=_pattern)


@frozen(kw_only=True)
class Rule:
    """
    A fault, and who meets it.

    Attributes:
        fault: What happens.
        match: To which requests.
        times: How often at most; ``None``: always.
        after: How many matching requests go through before.
        probability: Of each matching request to meet it; drawn from the seed.
        id: Its number; later rules have higher ones.
    """

    fault: Fault
    match: Match = field(factory=Match)
    times: int | None = field(default=None, validator=whole(1, optional=True))
    after: int = field(default=0, validator=whole(0))
    probability: float = field(default=1.0, validator=number(0.0, 1.0))
    id: int = 0


@frozen(kw_only=True)
class Fired:
    """
    A fault that a request met.

    Attributes:
        rule: The number of its rule.
        kind: As over the wire: ``throttle``.
        at: Seconds since the epoch, by the endpoint's clock.
        method: Of the request.
        path: Of the request, without the query.
    """

    rule: int
    kind: str
    at: float
    method: str
    path: str


@frozen(kw_only=True)
class Plan:
    """
    What one request meets.

    Attributes:
        before: Said instead of doing anything.
        after: Said instead of what came of it.
        delay: Seconds until the reply goes out.
        refusal: Of a PUT that is valid.
        failure: Of the operation that a PUT begins.
        lost: Events that the reply does not show; empty names mean all.
        late: Seconds that a start time is shown late.
    """

    before: Answer | None = None
    after: Answer | None = None
    delay: float = 0.0
    refusal: NoCapacity | RegistryTrouble | None = None
    failure: FailOperation | None = None
    lost: tuple[LostEvents, ...] = ()
    late: float | None = None


@define
class _Entry:
    rule: Rule
    rng: random.Random
    seen: int = 0
    fired: int = 0

    def meets(self) -> bool:
        """Whether the fault happens to one more request that matches."""
        rule = self.rule
        self.seen += 1
        if self.seen <= rule.after or (rule.times is not None and self.fired >= rule.times):
            return False
        if rule.probability < 1.0 and self.rng.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """
    The rules of one endpoint, in the order in which they were added; used from any thread.

    A request meets every rule that matches it, up to the first that answers it. Rules see requests that
    carry a valid token; the endpoint's own pages below ``/_aciflow`` meet none.

    Args:
        seed: Of what is drawn; with the same requests in the same order, the same faults come.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._numbers = 0
        self._fired: deque[Fired] = deque(maxlen=_REMEMBERED)

    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        operation: str | None = None,
        path: str | None = None,
        name: str | None = None,
        location: str | None = None,
        times: int | None = None,
        after: int = 0,
        probability: float = 1.0,
    ) -> Rule:
        """
        Add a rule; see :class:`Match` and :class:`Rule`.

        Raises:
            ConfigurationError: An argument cannot be; the message begins with its name.
        """
        match = Match(method=method, operation=operation, path=path, name=name, location=location)
        return self.put(
            Rule(fault=fault, match=match, times=times, after=after, probability=probability)
        )

    def put(self, rule: Rule) -> Rule:
        """
        Add a rule; its number is given here.

        Raises:
            ConfigurationError: The fault cannot happen to the operation.
        """
        _check(rule)
        with self._lock:
            self._numbers += 1
            made = Rule(
                fault=rule.fault,
                match=rule.match,
                times=rule.times,
                after=rule.after,
                probability=rule.probability,
                id=self._numbers,
            )
            self._entries.append(_Entry(made, random.Random(f"{self.seed}/{made.id}")))
        return made

    def remove(self, rule: Rule | int) -> bool:
        """Take a rule, or the one of that number, away; whether it was there."""
        number = rule if isinstance(rule, int) else rule.id
        with self._lock:
            before = len(self._entries)
            self._entries = [one for one in self._entries if one.rule.id != number]
            return len(self._entries) < before

    def clear(self, *, seed: int | None = None) -> None:
        """Take all rules away and forget what fired; with a ``seed``, begin anew from it."""
        with self._lock:
            self._entries = []
            self._numbers = 0
            self._fired.clear()
            if seed is not None:
                self.seed = seed

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that are there, also where they have fired as often as they may."""
        return tuple(one.rule for one in list(self._entries))

    @property
    def fired(self) -> tuple[Fired, ...]:
        """What has happened, in order: the last ten thousand."""
        with self._lock:
            return tuple(self._fired)

    @property
    def active(self) -> bool:
        """Whether there is any rule."""
        return bool(self._entries)

    def plan(self, request: Request, now: float, location: Callable[[], str | None]) -> Plan | None:
        """
        What a request meets; ``None``: nothing.

        Args:
            request: With a valid token.
            now: For the log.
            location: Gives the region that it is about.
        """
        made: dict[str, Any] = {}
        operation = operation_of(request)
        with self._lock:
            for entry in self._entries:
                rule = entry.rule
                if not _matches(rule, request, operation, location) or not entry.meets():
                    continue
                self._fired.append(
                    Fired(
                        rule=rule.id,
                        kind=rule.fault.kind,
                        at=now,
                        method=request.method,
                        path=request.path,
                    )
                )
                if _take(rule.fault, made, request, operation, location):
                    break
        return Plan(**made) if made else None


def _check(rule: Rule) -> None:
    if not isinstance(rule.fault, Fault):
        raise FieldError("fault", f"{rule.fault!r} is none; see aciflow.local.faults")
    allowed = rule.fault.operations
    wanted = rule.match.operation
    if allowed and wanted is not None:
        meant = [name for name in OPERATIONS if fnmatchcase(name.lower(), wanted.lower())]
        if not set(meant) & set(allowed):
            raise FieldError(
                "operation",
                f"{rule.fault.kind} only happens to {', '.join(allowed)}, not {wanted!r}",
            )


def _matches(
    rule: Rule, request: Request, operation: str, location: Callable[[], str | None]
) -> bool:
    match = rule.match
    if rule.fault.operations and operation not in rule.fault.operations:
        return False
    if match.method is not None and match.method.upper() != request.method:
        return False
    return (
        _fits(match.operation, operation)
        and _fits(match.path, request.path)
        and (match.name is None or _fits(match.name, group_name(request)))
        and (match.location is None or _fits(match.location.replace(" ", ""), location() or ""))
    )


def _fits(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text.lower(), pattern.lower())


def _take(
    fault: Fault,
    made: dict[str, Any],
    request: Request,
    operation: str,
    location: Callable[[], str | None],
) -> bool:
    """Note a fault in a plan's fields; whether it answers the request, so that no other rule can."""
    match fault:
        case Throttle():
            made["before"] = throttled(fault.retry_after, request, operation)
        case ServerError():
            made[fault.when] = server_error(fault, request)
        case Drop():
            made[fault.when] = Dropped(effect=fault.when == "after")
        case Refuse():
            made["before"] = refused(fault, request, location() or "")
        case Slow():
            made["delay"] = made.get("delay", 0.0) + fault.seconds
            return False
        case NoCapacity() | RegistryTrouble():
            made["refusal"] = fault
        case FailOperation():
            made["failure"] = fault
            return False
        case LostEvents():
            made["lost"] = (*made.get("lost", ()), fault)
            return False
        case LateStartTime():
            made["late"] = max(made.get("late", 0.0), fault.seconds)
            return False
    return True
