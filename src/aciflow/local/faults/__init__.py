"""
What goes wrong on purpose: rules that say which requests meet which fault.

Pure, and repeatable: the same requests in the same order meet the same faults, given the same seed.

    >>> from aciflow.local import LocalAzure
    >>> from aciflow.local.faults import Throttle
    >>> with LocalAzure("simulated") as local:
    ...     rule = local.faults.add(Throttle(retry_after=2), method="GET", times=1)
    ...     len(local.faults.rules)
    1
"""

from __future__ import annotations

from aciflow.local.faults.kinds import (
    Drop,
    FailOperation,
    Fault,
    LateStartTime,
    LostEvents,
    NoCapacity,
    Refuse,
    RegistryTrouble,
    ServerError,
    Slow,
    Throttle,
)
from aciflow.local.faults.rules import Faults, Fired, Match, Plan, Rule


__all__ = [
    "Drop",
    "FailOperation",
    "Fault",
    "Faults",
    "Fired",
    "LateStartTime",
    "LostEvents",
    "Match",
    "NoCapacity",
    "Plan",
    "Refuse",
    "RegistryTrouble",
    "Rule",
    "ServerError",
    "Slow",
    "Throttle",
]
