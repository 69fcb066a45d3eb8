"""
From a container image to a serving container on Azure Container Instances: one call, timed, cleaned up.

::

    import aciflow

    with aciflow.launch("nginx", public_ip=True) as group:  # returns when it serves
        print(group.url())
        print(group.timeline)

Importing this package loads nothing but itself; each name brings what it needs when it is first used.
"""

from __future__ import annotations

from aciflow._lazyimport import install_lazy_importer


# Not typing's: that module alone would be more than half of what this import may cost.
TYPE_CHECKING = False
if TYPE_CHECKING or not install_lazy_importer(__name__):
    from aciflow import aio as aio
    from aciflow import errors as errors
    from aciflow import local as local
    from aciflow import model as model
    from aciflow import testing as testing
    from aciflow import timeline as timeline
    from aciflow._version import __version__ as __version__
    from aciflow.aio import AsyncClient
    from aciflow.aio_group import (
        AsyncContainerGroup,
        AsyncResourceGroup,
    )
    from aciflow.client import (
        Client,
        get,
        launch,
        run,
    )
    from aciflow.errors import (
        AciflowError,
        AlreadyExistsError,
        ArmError,
        AuthenticationError,
        AuthorizationError,
        CapacityError,
        CleanupError,
        ConfigurationError,
        ContainerExitedError,
        ContainerNotRunningError,
        CrashLoopError,
        CredentialError,
        DnsLabelError,
        EndpointUnreachableError,
        EngineUnavailableError,
        ExecError,
        ExecTimeoutError,
        GroupGoneError,
        ImageError,
        ImagePullError,
        InvalidRequestError,
        LaunchContext,
        LaunchError,
        Leftover,
        LocalTargetWarning,
        LocationRequiredError,
        LockedError,
        MissingExtraError,
        NameTakenError,
        NoShellError,
        NotFoundError,
        NotOursError,
        NotReadyError,
        NotRegisteredError,
        PolicyDeniedError,
        Problem,
        ProvisioningError,
        QuotaExceededError,
        RegionUnavailableError,
        RunTimeoutError,
        ServiceError,
        ThrottledError,
        TransitioningError,
        UnreachableFromHereError,
        ValidationError,
    )
    from aciflow.group import (
        ContainerGroup,
        Endpoint,
        LogLine,
        ResourceGroup,
        RunResult,
    )
    from aciflow.model import (
        Container,
        ContainerGroupSpec,
        DnsConfig,
        Extension,
        Identity,
        InitContainer,
        LogAnalytics,
        Port,
        Probe,
        Registry,
        Resources,
        SecurityContext,
        Volume,
        VolumeMount,
    )
    from aciflow.ready import Ready
    from aciflow.sessions.live import AsyncSession, Session
    from aciflow.sessions.values import ExecResult
    from aciflow.timeline import (
        Phase,
        PhaseEvent,
        Timeline,
    )


__all__ = [
    "AciflowError",
    "AlreadyExistsError",
    "ArmError",
    "AsyncClient",
    "AsyncContainerGroup",
    "AsyncResourceGroup",
    "AsyncSession",
    "AuthenticationError",
    "AuthorizationError",
    "CapacityError",
    "CleanupError",
    "Client",
    "ConfigurationError",
    "Container",
    "ContainerExitedError",
    "ContainerGroup",
    "ContainerGroupSpec",
    "ContainerNotRunningError",
    "CrashLoopError",
    "CredentialError",
    "DnsConfig",
    "DnsLabelError",
    "Endpoint",
    "EndpointUnreachableError",
    "EngineUnavailableError",
    "ExecError",
    "ExecResult",
    "ExecTimeoutError",
    "Extension",
    "GroupGoneError",
    "Identity",
    "ImageError",
    "ImagePullError",
    "InitContainer",
    "InvalidRequestError",
    "LaunchContext",
    "LaunchError",
    "Leftover",
    "LocalTargetWarning",
    "LocationRequiredError",
    "LockedError",
    "LogAnalytics",
    "LogLine",
    "MissingExtraError",
    "NameTakenError",
    "NoShellError",
    "NotFoundError",
    "NotOursError",
    "NotReadyError",
    "NotRegisteredError",
    "Phase",
    "PhaseEvent",
    "PolicyDeniedError",
    "Port",
    "Probe",
    "Problem",
    "ProvisioningError",
    "QuotaExceededError",
    "Ready",
    "RegionUnavailableError",
    "Registry",
    "ResourceGroup",
    "Resources",
    "RunResult",
    "RunTimeoutError",
    "SecurityContext",
    "ServiceError",
    "Session",
    "ThrottledError",
    "Timeline",
    "TransitioningError",
    "UnreachableFromHereError",
    "ValidationError",
    "Volume",
    "VolumeMount",
    "get",
    "launch",
    "run",
]
