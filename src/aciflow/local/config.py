"""What can be set about an endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


__all__ = ["Config"]


@frozen(kw_only=True)
class Config:
    """
    An endpoint's settings.

    Attributes:
        azure_files: Which local folder stands for which share: ``account/share`` to an absolute path.
            Other shares are refused.
        quotas: What a region allows, by the names of ACI's usages (``ContainerGroups``,
            ``StandardCores``, ...); others have Azure's defaults.
    """

    azure_files: Mapping[str, str] = field(factory=dict)
    quotas: Mapping[str, float] = field(factory=dict)
