"""
Container groups: what one asks for (specs) and what there is (state).

Immutable values, their ARM JSON both ways, and the rules that they must keep. Nothing here does
anything.
"""

from __future__ import annotations

from aciflow.model.build import spec_from_image
from aciflow.model.images import ImageReference, parse_image
from aciflow.model.parts import (
    DnsConfig,
    Extension,
    Identity,
    LogAnalytics,
    Port,
    Probe,
    Registry,
    Resources,
    SecurityContext,
    Volume,
    VolumeMount,
)
from aciflow.model.spec import Container, ContainerGroupSpec, InitContainer
from aciflow.model.state import ContainerState, ContainerStatus, Event, GroupState
from aciflow.model.validation import check, validate
from aciflow.model.wire import from_arm, to_arm


__all__ = [
    "Container",
    "ContainerGroupSpec",
    "ContainerState",
    "ContainerStatus",
    "DnsConfig",
    "Event",
    "Extension",
    "GroupState",
    "Identity",
    "ImageReference",
    "InitContainer",
    "LogAnalytics",
    "Port",
    "Probe",
    "Registry",
    "Resources",
    "SecurityContext",
    "Volume",
    "VolumeMount",
    "check",
    "from_arm",
    "parse_image",
    "spec_from_image",
    "to_arm",
    "validate",
]
