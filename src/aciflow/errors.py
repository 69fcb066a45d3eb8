"""
The one exception tree.

::

    AciflowError
    ├── ValidationError              every problem of a request at once; nothing was sent
    ├── ConfigurationError           this machine or these arguments cannot work
    │   ├── LocationRequiredError
    │   ├── CredentialError          no credential, or no token from it
    │   ├── EngineUnavailableError   no container engine for the local endpoint
    │   └── MissingExtraError        needs a package that an extra of aciflow brings
    ├── EndpointUnreachableError     ARM did not answer at all
    ├── ArmError                     ARM answered with an error (status, code, message)
    │   ├── AuthenticationError
    │   ├── AuthorizationError       names the missing action and scope
    │   ├── PolicyDeniedError
    │   ├── LockedError
    │   ├── NotFoundError
    │   ├── AlreadyExistsError
    │   ├── NotRegisteredError
    │   ├── QuotaExceededError
    │   ├── CapacityError
    │   ├── RegionUnavailableError
    │   ├── TransitioningError
    │   ├── DnsLabelError
    │   ├── ImageError
    │   ├── ThrottledError
    │   ├── InvalidRequestError
    │   └── ServiceError             5xx and whatever else the service calls its own fault
    ├── LaunchError                  ARM said yes, and still nothing serves
    │   ├── NameTakenError
    │   ├── ProvisioningError
    │   ├── ImagePullError
    │   ├── ContainerExitedError
    │   │   └── CrashLoopError
    │   ├── NotReadyError            the time was up
    │   ├── RunTimeoutError          a run took longer than it may
    │   └── UnreachableFromHereError
    ├── ExecError                    a command in a container was cut off, or could not be run
    │   ├── ContainerNotRunningError
    │   ├── ExecTimeoutError         it was not done in time
    │   └── NoShellError             the image has no shell, which is needed to pass arguments
    ├── GroupGoneError               the container group does not exist (any more)
    ├── NotOursError                 refused to touch what aciflow did not make
    └── CleanupError                 something is left; says what, and how to remove it

    LocalTargetWarning (UserWarning)

Branch on the class, or on ``ArmError.code``; never on the HTTP status alone (a 409 of ACI means five
different things, and a failed long-running operation is a 200).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import field, frozen


if TYPE_CHECKING:
    from aciflow.timeline import Timeline


__all__ = [
    "AciflowError",
    "AlreadyExistsError",
    "ArmError",
    "AuthenticationError",
    "AuthorizationError",
    "CapacityError",
    "CleanupError",
    "ConfigurationError",
    "ContainerExitedError",
    "ContainerNotRunningError",
    "CrashLoopError",
    "CredentialError",
    "DnsLabelError",
    "EndpointUnreachableError",
    "EngineUnavailableError",
    "ExecError",
    "ExecTimeoutError",
    "GroupGoneError",
    "ImageError",
    "ImagePullError",
    "InvalidRequestError",
    "LaunchContext",
    "LaunchError",
    "Leftover",
    "LocalTargetWarning",
    "LocationRequiredError",
    "LockedError",
    "MissingExtraError",
    "NameTakenError",
    "NoShellError",
    "NotFoundError",
    "NotOursError",
    "NotReadyError",
    "NotRegisteredError",
    "PolicyDeniedError",
    "Problem",
    "ProvisioningError",
    "QuotaExceededError",
    "RegionUnavailableError",
    "RunTimeoutError",
    "ServiceError",
    "ThrottledError",
    "TransitioningError",
    "UnreachableFromHereError",
    "ValidationError",
]


@frozen(kw_only=True)
class Leftover:
    """One resource that still exists, and the command that removes it."""

    resource_id: str
    remove_with: str

    def __str__(self) -> str:
        return f"{self.resource_id}\n    remove it with: {self.remove_with}"


@frozen(kw_only=True)
class LaunchContext:
    """
    What a launch knew when it failed.

    Attributes:
        phase: The phase it was in, as in :class:`~aciflow.Timeline`.
        timeline: All phases up to the failure.
        resource_id: The ARM id of the container group.
        logs: The last lines that the failed container wrote (empty where there were none).
        events: The service's events, oldest first, one line each.
        leftovers: What still exists because of this launch. Empty: nothing does.
    """

    phase: str
    timeline: Timeline = field(repr=False)
    resource_id: str | None = None
    logs: str = field(default="", repr=False)
    events: tuple[str, ...] = field(default=(), repr=False)
    leftovers: tuple[Leftover, ...] = ()

    def describe(self) -> str:
        """The paragraphs that follow an error's first line."""
        parts = [f"phase: {self.phase}, {self.timeline.total:.1f} s after the call"]
        if self.events:
            parts.append("events:\n" + "\n".join("    " + event for event in self.events[-6:]))
        if self.logs.strip():
            lines = self.logs.rstrip().splitlines()[-10:]
            parts.append("last log lines:\n" + "\n".join("    " + line for line in lines))
        if self.leftovers:
            parts.append("still there:\n" + "\n".join(f"  {left}" for left in self.leftovers))
        else:
            parts.append("nothing is left of this launch")
        return "\n".join(parts)


class AciflowError(Exception):
    """
    Base of everything aciflow raises on purpose.

    Attributes:
        context: What a launch knew when it failed; ``None`` outside a launch.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.context: LaunchContext | None = None

    @property
    def phase(self) -> str | None:
        """The phase in which a launch failed."""
        return self.context.phase if self.context else None

    @property
    def timeline(self) -> Timeline | None:
        """The phases of a launch up to its failure."""
        return self.context.timeline if self.context else None

    @property
    def leftovers(self) -> tuple[Leftover, ...]:
        """What still exists because of the failed launch."""
        return self.context.leftovers if self.context else ()

    def __str__(self) -> str:
        if self.context is None:
            return self.message
        return f"{self.message}\n{self.context.describe()}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross processes (multiprocessing, pytest-xdist), and most have keyword-only arguments.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[AciflowError], args: tuple[Any, ...], state: dict[str, Any]
) -> AciflowError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


@frozen(kw_only=True)
class Problem:
    """
    One thing wrong with a request.

    Attributes:
        field: Where, in the terms of the caller, e.g. ``containers[0].ports[5]``.
        message: What is wrong with it, and what would be right.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class ValidationError(AciflowError, ValueError):
    """
    A request that Azure would refuse, or would accept and not mean.

    Nothing was sent. All problems are reported together.

    Attributes:
        problems: Each with its field.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            text = str(self.problems[0])
        else:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            text = f"{len(self.problems)} problems, nothing was sent:\n{lines}"
        super().__init__(text)


class ConfigurationError(AciflowError):
    """This machine, its environment or these arguments cannot work together."""


class LocationRequiredError(ConfigurationError):
    """No region was given, and none is chosen in silence on Azure."""


class CredentialError(ConfigurationError):
    """There is no credential, or none of them gave a token."""


class EngineUnavailableError(ConfigurationError):
    """The local endpoint needs a container engine and reached none."""


class MissingExtraError(ConfigurationError):
    """
    A package is missing that an extra of aciflow brings.

    Attributes:
        extra: ``pip install 'aciflow[EXTRA]'`` installs it.
    """

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f"{what} needs: pip install 'aciflow[{extra}]'")
        self.extra = extra


class EndpointUnreachableError(AciflowError):
    """
    ARM did not answer: no connection, no TLS, or no reply in time.

    Attributes:
        sent: Whether the request may have reached it; not where there was no connection at all.
    """

    sent: bool = True


class ArmError(AciflowError):
    """
    ARM answered with an error.

    Attributes:
        status: HTTP status; 200 for a long-running operation that failed.
        code: ARM's code (``ResourceNotFound``), or ``None``: failed operations of ACI have none.
        arm_message: ARM's own words.
        request_id: ``x-ms-request-id`` or ``x-ms-correlation-request-id``, for a support case.
        retry_after: Seconds that ARM asked to wait, or ``None``.
        body: The reply's JSON, where there was any.
    """

    hint = ""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        arm_message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        body: Any = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.arm_message = arm_message
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body


class AuthenticationError(ArmError):
    """401: the token was refused (expired, another tenant's, another endpoint's)."""


class AuthorizationError(ArmError):
    """
    403: the principal may not do this.

    Attributes:
        action: The missing action, e.g. ``Microsoft.ContainerInstance/containerGroups/write``.
        scope: Over what.
    """

    action: str | None = None
    scope: str | None = None


class PolicyDeniedError(ArmError):
    """403 ``RequestDisallowedByPolicy``: an Azure Policy forbids it; the message names the policy."""


class LockedError(ArmError):
    """409 ``ScopeLocked``: a management lock forbids it."""


class NotFoundError(ArmError):
    """404: the resource, its resource group or the subscription does not exist."""


class AlreadyExistsError(ArmError):
    """409: something of that name is there, or in another location."""


class NotRegisteredError(ArmError):
    """409 ``MissingSubscriptionRegistration``: the provider is not registered."""


class QuotaExceededError(ArmError):
    """The subscription's quota in this region is used up; ask for more, or use another region."""


class CapacityError(ArmError):
    """The region has no room for this size at the moment; another region or a smaller size may."""


class RegionUnavailableError(ArmError):
    """The region does not exist or has no ACI; the message lists the regions that do."""


class TransitioningError(ArmError):
    """409 ``ContainerGroupTransitioning``: busy with the operation before; later it works."""


class DnsLabelError(ArmError):
    """The DNS label is taken or not a valid name."""


class ImageError(ArmError):
    """The service refused the image: not there, private, another platform, or the registry failed."""


class ThrottledError(ArmError):
    """429, after the retries that the deadline allowed."""


class InvalidRequestError(ArmError):
    """400: the service understood that the request is wrong."""


class ServiceError(ArmError):
    """5xx, after the retries that the deadline allowed."""


class LaunchError(AciflowError):
    """ARM accepted the container group, and yet nothing serves."""


class NameTakenError(LaunchError):
    """A container group of that name exists; see ``if_exists``."""


class ProvisioningError(LaunchError):
    """ARM reports that provisioning failed, and gives no better reason."""


class ImagePullError(LaunchError):
    """The service cannot pull the image; the message has its words."""


class ContainerExitedError(LaunchError):
    """
    A container ended before it was ready.

    Attributes:
        container: Its name.
        exit_code: Its exit code, where the service reported one.
        detail: The service's ``detailStatus`` (``Error``, ``OOMKilled``, ...).
    """

    def __init__(
        self, message: str, *, container: str, exit_code: int | None, detail: str = ""
    ) -> None:
        super().__init__(message)
        self.container = container
        self.exit_code = exit_code
        self.detail = detail


class CrashLoopError(ContainerExitedError):
    """A container ends again and again, and the service waits before it starts it anew."""


class NotReadyError(LaunchError):
    """The deadline passed; the message says what had been seen until then."""


class RunTimeoutError(LaunchError):
    """What ``run`` ran was not done in time; it was ended."""


class UnreachableFromHereError(LaunchError):
    """The container runs and this machine cannot reach its port; it may serve others all the same."""


class ExecError(AciflowError):
    """
    A command could not be run in a container, or was cut off.

    Attributes:
        output: What it had written until then.
    """

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class ContainerNotRunningError(ExecError):
    """The container does not run, so nothing can be run in it."""


class ExecTimeoutError(ExecError, TimeoutError):
    """A command in a container was not done in time; ``output`` is what it had written."""


class NoShellError(ExecError):
    """
    The container has no shell.

    ACI's exec starts one program without arguments and tells no exit status; the rest needs ``/bin/sh``.
    """


class GroupGoneError(AciflowError):
    """The container group does not exist, or not any more."""


class NotOursError(AciflowError):
    """aciflow replaces and deletes only what carried its own tags before."""


class CleanupError(AciflowError):
    """
    Deleting did not finish.

    Attributes:
        remaining: What is still there, each with the command that removes it.
    """

    def __init__(self, message: str, *, remaining: Sequence[Leftover] = ()) -> None:
        lines = "\n".join(f"  {left}" for left in remaining)
        super().__init__(f"{message}\nstill there:\n{lines}" if remaining else message)
        self.remaining = tuple(remaining)


class LocalTargetWarning(UserWarning):
    """No Azure is configured, so this ran on the local endpoint."""
