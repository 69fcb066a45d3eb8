"""
The embedded local endpoint: Azure Container Instances without Azure.

``LocalAzure`` is loaded when it is asked for; importing this package loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aciflow.local.azure import LocalAzure as LocalAzure


__all__ = ["LocalAzure"]


def __getattr__(name: str) -> Any:
    if name == "LocalAzure":
        from aciflow.local.azure import LocalAzure

        globals()[name] = LocalAzure
        return LocalAzure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
