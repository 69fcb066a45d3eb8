"""
The arguments of a launch, said once.

They are many and shared by six functions. The attrs classes hold the defaults and make a call's arguments
into values; the typed dictionaries of the same names are what type checkers read; :func:`signed` gives the
functions the signature that ``help()`` and notebooks show. A test keeps the three alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attrs import field, fields, frozen


if TYPE_CHECKING:
    from typing import TypedDict

    from aciflow.client import Client
    from aciflow.flow.lines import LogLine
    from aciflow.model import Port, Registry, Volume
    from aciflow.model.spec import DnsScope, OsType, RestartPolicy
    from aciflow.ready import Ready
    from aciflow.timeline import PhaseEvent

    Lifetime = Literal["scope", "process", "detached"]
    IfExists = Literal["error", "adopt", "replace"]

    class ShapeBase(TypedDict, total=False):
        """What to run, but for the command, which a run takes as its second argument."""

        public_ip: bool
        ports: Sequence[int | Port] | None
        name: str | None
        cpu: float
        memory_gb: float
        env: Mapping[str, str] | None
        secure_env: Mapping[str, str] | None
        files: Mapping[str, bytes] | None
        volumes: Mapping[str, Volume] | None
        dns_label: str | None
        dns_scope: DnsScope
        restart_policy: RestartPolicy
        os_type: OsType
        registry: Registry | Sequence[Registry] | None
        identity: str | Sequence[str] | None
        subnet: str | None
        zone: str | None
        spot: bool
        tags: Mapping[str, str] | None

    class Shape(ShapeBase, total=False):
        """What to run; see :func:`aciflow.launch`."""

        command: Sequence[str] | None

    class Place(TypedDict, total=False):
        """Where to run it."""

        resource_group: str | None
        location: str | Sequence[str] | None

    class How(TypedDict, total=False):
        """How to launch it."""

        ready: Ready | None
        timeout: float
        wait: bool
        if_exists: IfExists
        lifetime: Lifetime
        on_failure: Literal["delete", "keep"]
        delete_after: timedelta | None
        on_phase: Callable[[PhaseEvent], None] | None

    class Via(TypedDict, total=False):
        """For the module's functions: through which client."""

        client: Client | None

    class ImageLaunch(Shape, Place, How, total=False):
        """``Client.launch(image, ...)``."""

    class SpecLaunch(Place, How, total=False):
        """``Client.launch(spec, ...)``."""

    class ImageLaunchVia(Shape, Place, How, Via, total=False):
        """``aciflow.launch(image, ...)``."""

    class SpecLaunchVia(Place, How, Via, total=False):
        """``aciflow.launch(spec, ...)``."""

    class RunShape(ShapeBase, Place, total=False):
        """``Client.run(image, ...)``."""

        start_timeout: float
        timeout: float | None
        check: bool
        on_log: Callable[[LogLine], None] | None
        on_phase: Callable[[PhaseEvent], None] | None
        delete_after: timedelta | None

    class RunShapeVia(RunShape, Via, total=False):
        """``aciflow.run(image, ...)``."""


__all__ = ["LaunchOptions", "RunOptions", "ShapeOptions", "signed", "split"]

F = TypeVar("F", bound=Callable[..., Any])


@frozen(kw_only=True, eq=False)
class ShapeOptions:
    """Defaults of what to run."""

    public_ip: bool = False
    ports: Sequence[int | Port] | None = None
    name: str | None = None
    cpu: float = 1.0
    memory_gb: float = 1.5
    command: Sequence[str] | None = None
    env: Mapping[str, str] | None = field(default=None, repr=False)
    secure_env: Mapping[str, str] | None = field(default=None, repr=False)
    files: Mapping[str, bytes] | None = field(default=None, repr=False)
    volumes: Mapping[str, Volume] | None = None
    dns_label: str | None = None
    dns_scope: DnsScope = "TenantReuse"
    restart_policy: RestartPolicy = "Always"
    os_type: OsType = "Linux"
    registry: Registry | Sequence[Registry] | None = None
    identity: str | Sequence[str] | None = None
    subnet: str | None = None
    zone: str | None = None
    spot: bool = False
    tags: Mapping[str, str] | None = None


@frozen(kw_only=True, eq=False)
class LaunchOptions:
    """Defaults of where and how."""

    resource_group: str | None = None
    location: str | Sequence[str] | None = None
    ready: Ready | None = None
    timeout: float = 300.0
    wait: bool = True
    if_exists: IfExists = "error"
    lifetime: Lifetime = "process"
    on_failure: Literal["delete", "keep"] = "delete"
    delete_after: timedelta | None = None
    on_phase: Callable[[PhaseEvent], None] | None = None


@frozen(kw_only=True, eq=False)
class RunOptions:
    """Defaults of a run, besides its shape."""

    resource_group: str | None = None
    location: str | Sequence[str] | None = None
    start_timeout: float = 300.0
    timeout: float | None = None
    check: bool = False
    on_log: Callable[[LogLine], None] | None = None
    on_phase: Callable[[PhaseEvent], None] | None = None
    delete_after: timedelta | None = None


O = TypeVar("O", LaunchOptions, RunOptions)  # noqa: E741


def split(
    function: str, kind: type[O], options: Mapping[str, Any], *, shaped: bool
) -> tuple[dict[str, Any], O]:
    """
    A call's keyword arguments as what to run, and how.

    Args:
        function: For the message.
        kind: What the rest is made into.
        options: As they came.
        shaped: Whether what to run may be among them.

    Raises:
        TypeError: There is no such argument.
    """
    shape_names = {a.name for a in fields(ShapeOptions)} if shaped else set()
    known = shape_names | {a.name for a in fields(kind)}
    for name in options:
        if name not in known:
            taken = "" if shaped else " with a spec, which says itself what to run"
            raise TypeError(f"{function}() got an unexpected keyword argument '{name}'{taken}")
    shape = {name: value for name, value in options.items() if name in shape_names}
    rest = {name: value for name, value in options.items() if name not in shape_names}
    return shape, kind(**rest)


def signed(*kinds: type, via_client: bool = False) -> Callable[[F], F]:
    """
    Give a function that takes ``**options`` the signature that its users see.

    Args:
        kinds: The attrs classes of its options.
        via_client: Whether it takes ``client``.
    """

    def decorate(function: F) -> F:
        from inspect import Parameter, Signature, signature  # attrs has loaded it

        own = [
            parameter
            for parameter in signature(function).parameters.values()
            if parameter.kind is not Parameter.VAR_KEYWORD
        ]
        options = [
            Parameter(a.name, Parameter.KEYWORD_ONLY, default=a.default, annotation=a.type)
            for kind in kinds
            for a in fields(kind)
        ]
        if via_client:
            options.append(
                Parameter(
                    "client", Parameter.KEYWORD_ONLY, default=None, annotation="Client | None"
                )
            )
        taken = {parameter.name for parameter in own}
        function.__signature__ = Signature(  # type: ignore[attr-defined]
            [*own, *(option for option in options if option.name not in taken)]
        )
        return function

    return decorate
