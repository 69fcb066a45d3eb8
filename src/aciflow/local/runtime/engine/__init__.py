"""
The runtime that runs real containers, through the Docker Engine API (Docker or Podman).

Loaded on use only: it brings httpx.
"""

from __future__ import annotations

from aciflow.local.runtime.engine.address import EngineAddress, find_engine
from aciflow.local.runtime.engine.runtime import EngineRuntime


__all__ = ["EngineAddress", "EngineRuntime", "find_engine"]
