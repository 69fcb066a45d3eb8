"""The faults there are. Each is a value; what a rule adds is which requests meet it."""

from __future__ import annotations

import math

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import Attribute, field, frozen

from aciflow.errors import ConfigurationError
from aciflow.local.faults.catalogue import CATALOGUE


__all__ = [
    "KINDS",
    "Drop",
    "FailOperation",
    "Fault",
    "FieldError",
    "LateStartTime",
    "LostEvents",
    "NoCapacity",
    "Refuse",
    "RegistryTrouble",
    "ServerError",
    "Slow",
    "Throttle",
    "number",
    "whole",
]


class FieldError(ConfigurationError):
    """
    An argument that cannot be.

    Attributes:
        field: Its name.
        problem: What is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def number(low: float, high: float = math.inf) -> Any:
    """Checks that an argument is a number from ``low`` to ``high``, both allowed, and finite."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high or not math.isfinite(value):
            most = f" to {high:g}" if math.isfinite(high) else " or more"
            raise FieldError(attribute.name, f"{value!r} is not a number, {low:g}{most}")

    return check


def whole(low: int, high: int | None = None, *, optional: bool = False) -> Any:
    """Checks that an argument is a whole number from ``low`` to ``high``, both allowed."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if optional and value is None:
            return
        good = isinstance(value, int) and not isinstance(value, bool)
        if not good or value < low or (high is not None and value > high):
            most = f" to {high}" if high is not None else " or more"
            raise FieldError(attribute.name, f"{value!r} is not a whole number, {low}{most}")

    return check


def _text(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise FieldError(attribute.name, f"{value!r} is not a text")


def _one_of(*choices: str) -> Any:
    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if value not in choices:
            raise FieldError(attribute.name, f"{value!r} is none of {', '.join(choices)}")

    return check


def _names(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _all_text(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(one, str) for one in value):
        raise FieldError(attribute.name, f"{value!r} is not a list of texts")


When: TypeAlias = Literal["before", "after"]
_PUT = ("ContainerGroups_CreateOrUpdate",)
_READ = ("ContainerGroups_Get",)


@frozen(kw_only=True)
class Throttle:
    """
    A 429 with ARM's body; nothing was done.

    Attributes:
        retry_after: Seconds, as the header says. Parts of a second are also sent as ``retry-after-ms``,
            since ``Retry-After`` has none.
    """

    kind: ClassVar[str] = "throttle"
    operations: ClassVar[tuple[str, ...]] = ()

    retry_after: float = field(default=10, validator=number(0.001))


@frozen(kw_only=True)
class ServerError:
    """
    A 5xx.

    Attributes:
        status: 500 to 599.
        when: ``before``: nothing was done; ``after``: it was done, and only the reply says otherwise.
        code: ARM's; by default the one that Azure sends with this status.
        message: The same.
    """

    kind: ClassVar[str] = "error"
    operations: ClassVar[tuple[str, ...]] = ()

    status: int = field(default=503, validator=whole(500, 599))
    when: When = field(default="before", validator=_one_of("before", "after"))
    code: str | None = field(default=None, validator=_text)
    message: str | None = field(default=None, validator=_text)


@frozen(kw_only=True)
class Drop:
    """
    The connection ends without a reply.

    Attributes:
        when: ``before``: nothing was done; ``after``: it was done, and nobody hears of it.
    """

    kind: ClassVar[str] = "drop"
    operations: ClassVar[tuple[str, ...]] = ()

    when: When = field(default="before", validator=_one_of("before", "after"))


@frozen(kw_only=True)
class Slow:
    """
    The reply comes late; what it says is from before the delay.

    Attributes:
        seconds: Real ones, whatever the endpoint's clock does: it is the network that is slow.
    """

    kind: ClassVar[str] = "slow"
    operations: ClassVar[tuple[str, ...]] = ()

    seconds: float = field(validator=number(0.0, 3600.0))


@frozen(kw_only=True)
class Refuse:
    """
    An error by its code; nothing was done.

    Attributes:
        code: One of the catalogue's (``aciflow.local.faults.catalogue.CATALOGUE``), which know their
            status and message; or any other, with both.
        status: 400 to 599.
        message: What it says. ``{name}``, ``{resource_group}``, ``{location}`` and ``{subscription}`` are
            replaced.
    """

    kind: ClassVar[str] = "refuse"
    operations: ClassVar[tuple[str, ...]] = ()

    code: str = field(validator=_text)
    status: int | None = field(default=None, validator=whole(400, 599, optional=True))
    message: str | None = field(default=None, validator=_text)

    def __attrs_post_init__(self) -> None:
        if self.code in CATALOGUE:
            return
        for name in ("status", "message"):
            if getattr(self, name) is None:
                raise FieldError(
                    name,
                    f"code {self.code!r} is not in the catalogue and needs one; the catalogue has "
                    + ", ".join(CATALOGUE),
                )


@frozen(kw_only=True)
class NoCapacity:
    """A region has no room: a valid PUT gets ACI's 409 ``ServiceUnavailable``. Say where by ``location=``."""

    kind: ClassVar[str] = "no-capacity"
    operations: ClassVar[tuple[str, ...]] = _PUT


@frozen(kw_only=True)
class RegistryTrouble:
    """
    An image registry is in trouble: a valid PUT gets ACI's 409 ``RegistryErrorResponse``.

    Attributes:
        server: As the error names it; the one of the group's first image by default.
    """

    kind: ClassVar[str] = "registry"
    operations: ClassVar[tuple[str, ...]] = _PUT

    server: str | None = field(default=None, validator=_text)


@frozen(kw_only=True)
class FailOperation:
    """
    A PUT is accepted, and its operation fails.

    The operation resource is a 200 with ``status: Failed``, an event, and an ``error`` without a code,
    as it was recorded.

    Attributes:
        reason: The event's name; ``InsufficientCapacity.`` is what was recorded, with its dot.
        message: Of the event and the error; by default the recorded one.
        seconds: From the PUT until it fails; until then the group is ``Pending``.
    """

    kind: ClassVar[str] = "fail-operation"
    operations: ClassVar[tuple[str, ...]] = _PUT

    seconds: float = field(default=0.0, validator=number(0.0))
    reason: str = field(default="InsufficientCapacity.", validator=_text)
    message: str | None = field(default=None, validator=_text)


@frozen(kw_only=True)
class LostEvents:
    """
    A GET does not show events that have happened, as Azure's do not for up to minutes (recorded).

    Attributes:
        names: Which; all of them by default.
    """

    kind: ClassVar[str] = "lost-events"
    operations: ClassVar[tuple[str, ...]] = (*_READ, "Operations_Get")

    names: tuple[str, ...] = field(default=(), converter=_names, validator=_all_text)


@frozen(kw_only=True)
class LateStartTime:
    """
    A GET shows a container as running and not since when.

    Attributes:
        seconds: From the container's start until it is shown.
    """

    kind: ClassVar[str] = "late-start-time"
    operations: ClassVar[tuple[str, ...]] = _READ

    seconds: float = field(default=5.0, validator=number(0.0))


Fault: TypeAlias = (
    Throttle
    | ServerError
    | Drop
    | Slow
    | Refuse
    | NoCapacity
    | RegistryTrouble
    | FailOperation
    | LostEvents
    | LateStartTime
)

KINDS: dict[str, type[Fault]] = {
    one.kind: one
    for one in (
        Throttle,
        ServerError,
        Drop,
        Slow,
        Refuse,
        NoCapacity,
        RegistryTrouble,
        FailOperation,
        LostEvents,
        LateStartTime,
    )
}
"""By the name that they have over the wire."""
