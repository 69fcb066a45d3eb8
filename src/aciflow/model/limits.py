"""
Numbers, names and ports that the service allows.

Sources: Microsoft's container-instances-resource-and-quota-limits.md and
container-instances-troubleshooting.md, the FAQ (reserved ports), the service's own messages (DNS
labels), and tag-resources.md.
"""

from __future__ import annotations

import re

from collections.abc import Iterator
from typing import Any, get_args

from aciflow.errors import Problem
from aciflow.model.parts import Port, Protocol


Found = Iterator[Problem]

MAX_CONTAINERS = 60
MAX_INIT_CONTAINERS = 59
MAX_VOLUMES = 20
MAX_PORTS = 5
# The documented safe limits are 31 vCPU and 240 GB (confidential: 180); the capabilities API says 32
# and 256 (192), and only what is beyond those is sure to be refused.
MAX_CPU = 32.0
MAX_MEMORY = {"Confidential": 192.0}
MAX_MEMORY_OTHERWISE = 256.0
SPOT_MAX_CPU = 4.0
SPOT_MAX_MEMORY = 16.0
MIN_GROUP_CPU = 1.0
MIN_GROUP_MEMORY = 1.0
MIN_CPU = 0.01
MIN_MEMORY = 0.1

RESERVED_PORTS = (
    *(range(port, port + 1) for port in (22, 9999, 19000, 19080, 19100, 19390)),
    range(1025, 1028),
    range(3389, 3400),
    range(20000, 30001),
    range(49152, 65535),
)

GROUP_NAME = re.compile(r"(?!.*--)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
CONTAINER_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
VOLUME_NAME = re.compile(r"(?!.*--)[a-z0-9][-a-z0-9]{3,61}[a-z0-9]")
DNS_LABEL = re.compile(r"[a-z][a-z0-9-]{3,61}[a-z0-9]")
ENV_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_]{0,61}[A-Za-z0-9])?")

# ARM's limits for tags (tag-resources.md).
MAX_TAGS, TAG_NAME, TAG_VALUE = 50, 512, 256
TAG_FORBIDDEN = set("<>%&\\?/")


def one_of(field: str, value: Any, options: Any) -> Found:
    """A word of a fixed set."""
    if value not in get_args(options):
        message = f"{value!r} is not one of {', '.join(get_args(options))}"
        yield Problem(field=field, message=message)


def is_port(value: Any) -> bool:
    """Whether it is 1 to 65535."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def is_text(value: Any) -> bool:
    """Whether it is a string; callers without a type checker pass numbers."""
    return isinstance(value, str)


def matches(pattern: re.Pattern[str], value: Any) -> bool:
    """Whether it is a string that a pattern covers."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def port_problems(where: str, port: Port) -> Found:
    """The range, and the ports that the service keeps for itself."""
    if not is_port(port.port):
        yield Problem(field=where, message=f"{port.port!r} is not a port: 1 to 65535")
    elif any(port.port in reserved for reserved in RESERVED_PORTS):
        yield Problem(field=where, message=f"{port.port} is one of the ports that ACI keeps")
    yield from one_of(f"{where}.protocol", port.protocol, Protocol)
