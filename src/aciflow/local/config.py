"""What can be set about an endpoint."""

from __future__ import annotations

import math
import os

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from aciflow.errors import ConfigurationError


__all__ = ["QUOTAS", "Config", "config_from"]


QUOTAS: Mapping[str, float] = {
    "ContainerGroups": 100,
    "StandardCores": 100,
    "StandardSpotCores": 100,
    "StandardK80Cores": 0,
    "StandardP100Cores": 0,
    "StandardV100Cores": 0,
    "DedicatedContainerGroups": 0,
    "DedicatedCores": 4000,
    "ConfidentialContainerGroups": 100,
    "ConfidentialCores": 100,
}
"""
Limits of one region, by the names of ACI's usages: documented defaults for Standard and Spot; recorded ones
for Dedicated, which is none until one asks for it; none for GPUs, which were retired in July 2025.
"""


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


def config_from(
    azure_files: Mapping[str, str | os.PathLike[str]], quotas: Mapping[str, float]
) -> Config:
    """
    Settings as a user gives them.

    Raises:
        ConfigurationError: A share's name is none, its folder is not there, or a quota is no number.
    """
    folders: dict[str, str] = {}
    for name, folder in azure_files.items():
        account, slash, share = name.partition("/")
        if not slash or not account or not share or "/" in share:
            raise ConfigurationError(f"azure_files: {name!r} is not of the form account/share")
        path = Path(folder).expanduser().absolute()
        if not path.is_dir():
            raise ConfigurationError(
                f"azure_files: {name!r} is to be {path}, which is no directory"
            )
        folders[name] = str(path)
    for name, limit in quotas.items():
        if name not in QUOTAS:
            raise ConfigurationError(f"quotas: {name!r} is none of {', '.join(QUOTAS)}")
        given: object = limit
        good = isinstance(given, int | float) and not isinstance(given, bool)
        if not good or not 0 <= limit < math.inf:
            raise ConfigurationError(f"quotas: {name!r} is to be {limit!r}, which is no limit")
    return Config(azure_files=folders, quotas=dict(quotas))
