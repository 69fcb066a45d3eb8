"""What ``az`` has been told on this machine: its default subscription and location. Read only."""

from __future__ import annotations

import json
import os

from pathlib import Path
from typing import Any

from attrs import frozen


__all__ = ["Subscription", "default_location", "default_subscription"]


@frozen(kw_only=True)
class Subscription:
    """
    A subscription of ``azureProfile.json``.

    Attributes:
        id: Its id.
        cloud: az's name of its cloud: ``AzureCloud``, ``AzureUSGovernment``, ``AzureChinaCloud`` or a
            registered one's.
    """

    id: str
    cloud: str


def _directory() -> Path:
    given = os.environ.get("AZURE_CONFIG_DIR")
    return Path(given) if given else Path.home() / ".azure"


def default_subscription() -> Subscription | None:
    """
    Az's default subscription (``az account show``); ``None`` without one.

    A login to a tenant without subscriptions leaves an entry whose id is the tenant's: that is none.
    """
    try:
        # az writes a byte order mark
        text = (_directory() / "azureProfile.json").read_text(encoding="utf-8-sig")
        profile: Any = json.loads(text)
        entries = profile["subscriptions"]
        found = next(entry for entry in entries if entry.get("isDefault"))
        if not found["id"] or found["id"] == found.get("tenantId"):
            return None
        return Subscription(id=found["id"], cloud=found.get("environmentName") or "AzureCloud")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return None  # not there, or not in a shape that az writes


def default_location() -> str | None:
    """Az's default location (``az config set defaults.location=...``), or ``None``."""
    if given := os.environ.get("AZURE_DEFAULTS_LOCATION"):
        return given
    from configparser import ConfigParser, Error  # rarely needed

    parser = ConfigParser(interpolation=None)
    try:
        parser.read(_directory() / "config", encoding="utf-8-sig")
    except (Error, UnicodeDecodeError, OSError):
        return None
    return parser.get("defaults", "location", fallback="") or None
