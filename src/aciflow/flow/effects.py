"""
What a flow may ask for.

A flow is a generator. It never sleeps, connects or looks at a clock: it yields a command, and is sent
what came of it.

* ``token = yield Start(effect)``: begin an effect; the driver sends back a number that names it.
* ``done = yield Next(until)``: wait for the first started effect that ends, or for the time ``until``
  (on the flow's clock, seconds); sent back a :class:`Done`, or ``None`` when the time came first.
* ``yield Cancel(token)``: the result is not wanted any more. It will not be delivered.

Effects overlap as long as the flow starts several before it waits, which is how a probe with a dropped
SYN does not hold up the next one, and how ARM is read while the container is being probed.
"""

from __future__ import annotations

import random

from collections.abc import Callable, Generator, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from attrs import field, frozen


R = TypeVar("R")

Operation = Literal[
    "group.put",
    "group.get",
    "group.delete",
    "group.patch",
    "group.list",
    "group.list_all",
    "group.start",
    "group.stop",
    "group.restart",
    "group.logs",
    "container.exec",
    "container.attach",
    "operation.get",
    "rg.put",
    "rg.get",
    "rg.delete",
    "rg.resources",
    "provider.get",
    "provider.register",
    "location.usages",
    "location.capabilities",
]


_WRITES = frozenset(
    {
        "group.put",
        "group.delete",
        "group.patch",
        "group.start",
        "group.stop",
        "group.restart",
        "container.exec",
        "container.attach",
        "rg.put",
        "rg.delete",
        "provider.register",
    }
)


@frozen(kw_only=True)
class ArmCall:
    """
    One request to ARM.

    Attributes:
        operation: Which.
        resource_group: Name of the resource group, where the operation has one.
        name: Name of the container group, where the operation has one.
        body: JSON body of a PUT, a PATCH or an exec. Not in the repr: it may hold secrets.
        url: The absolute URL of an operation (``operation.get``).
        container: For ``group.logs`` and ``container.*``.
        tail: For ``group.logs``: lines from the end, or ``None`` for all.
        timestamps: For ``group.logs``: each line begins with its time.
        location: For ``location.*``.
        timeout: Seconds that this one request may take.
    """

    operation: Operation
    resource_group: str | None = None
    name: str | None = None
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    url: str | None = field(default=None, repr=False)
    container: str | None = None
    tail: int | None = None
    timestamps: bool = False
    location: str | None = None
    timeout: float = 60.0

    @property
    def reads(self) -> bool:
        """Whether it only reads (and so counts against the read budget)."""
        return self.operation not in _WRITES


@frozen(kw_only=True)
class ArmReply:
    """
    ARM's answer to an :class:`ArmCall`; errors are raised as :class:`~aciflow.errors.ArmError`.

    Attributes:
        status: HTTP status.
        body: The JSON, or ``None`` for an empty reply. A list operation has all pages in ``value``.
        headers: Names in lower case.
    """

    status: int
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Authenticate:
    """Get a token, so that the time it takes is a phase of its own."""


@frozen(kw_only=True)
class TcpProbe:
    """
    Open a TCP connection; ready when it stays open ``hold`` seconds or brings data.

    An engine's port proxy accepts before anything listens and closes at once, hence ``hold``.
    """

    host: str
    port: int
    timeout: float = 2.0
    hold: float = 0.05


@frozen(kw_only=True)
class HttpProbe:
    """One GET without redirects; ready when the status is in ``status``."""

    host: str
    port: int
    path: str = "/"
    status: range | tuple[int, ...] = range(200, 400)
    timeout: float = 2.0


@frozen(kw_only=True)
class Exec:
    """
    Run a command in a container; the value is an :class:`~aciflow.ExecResult`.

    Attributes:
        resource_group: Of the container group.
        name: Of the container group.
        container: In it.
        argv: The command and its arguments.
        timeout: Seconds that it may take, or ``None``.
        shell: Whether the container may have a POSIX shell: one of Windows has none.
        port: Which port it asks about, for whoever only simulates containers.
    """

    resource_group: str
    name: str
    container: str
    argv: tuple[str, ...] = field(repr=False)
    timeout: float | None
    shell: bool = True
    port: int | None = None


@frozen(kw_only=True)
class ProbeResult:
    """
    What a probe saw.

    Attributes:
        ready: Whether it was what one waits for.
        reason: ``ok``, ``refused``, ``timeout``, ``closed``, ``unroutable``, ``status`` or, of a command,
            ``exit``.
        detail: One line for people.
    """

    ready: bool
    reason: Literal["ok", "refused", "timeout", "closed", "unroutable", "status", "exit"]
    detail: str = ""


@frozen(kw_only=True)
class LedgerWrite:
    """Put a record on disk before (or after) what it is about happens."""

    record: Mapping[str, Any] = field(repr=False)


@frozen(kw_only=True)
class LedgerClear:
    """The launch left nothing behind: drop its record."""

    launch_id: str


@frozen(kw_only=True)
class Notify:
    """Tell the caller's ``on_phase``; ends at once."""

    event: Any


Effect: TypeAlias = (
    ArmCall | Authenticate | TcpProbe | HttpProbe | Exec | LedgerWrite | LedgerClear | Notify
)


@frozen
class Start:
    """Begin an effect; the driver sends back its token."""

    effect: Effect


@frozen
class Next:
    """Wait for the first effect to end, or for ``until`` (seconds on the flow's clock)."""

    until: float | None = None


@frozen
class Cancel:
    """Forget an effect."""

    token: int


@frozen
class Done:
    """An effect has ended, with a value or an error."""

    token: int
    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        """The value; raises the error."""
        if self.error is not None:
            raise self.error
        return self.value


Command: TypeAlias = Start | Next | Cancel
Flow: TypeAlias = Generator[Command, Any, R]


class Clock(Protocol):
    """The time of a flow, given by its driver: real, or simulated."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, by this machine's clock."""
        ...


@frozen(kw_only=True)
class Env:
    """
    What a flow gets from its driver.

    Attributes:
        clock: Its time.
        random: Its generator: jitter comes from here, so a run repeats from its seed.
        on_phase: The caller's hook, called by the driver for :class:`Notify`.
    """

    clock: Clock
    random: random.Random
    on_phase: Callable[[Any], None] | None = None
