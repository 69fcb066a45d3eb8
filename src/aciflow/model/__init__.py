"""
Container groups: what one asks for (specs) and what there is (state).

Immutable values, their ARM JSON both ways, and the rules that they must keep. Nothing here does
anything. The functions are imported when first used: the values are what everybody needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


if TYPE_CHECKING:
    from aciflow.model.build import spec_from_image
    from aciflow.model.images import ImageReference, parse_image
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

_LATER = {
    "ImageReference": "images",
    "check": "validation",
    "from_arm": "wire",
    "parse_image": "images",
    "spec_from_image": "build",
    "to_arm": "wire",
    "validate": "validation",
}


def __getattr__(name: str) -> Any:
    module = _LATER.get(name)
    if module is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
