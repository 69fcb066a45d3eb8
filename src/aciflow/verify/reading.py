"""What a reply shows of a container group."""

from __future__ import annotations

from typing import Any

from aciflow.verify.exchange import Exchange


__all__ = ["events_of", "keys_of", "properties_of", "state_of", "view_of"]


def properties_of(seen: Exchange) -> dict[str, Any]:
    """A container group's properties, in a reply."""
    body = seen.response if isinstance(seen.response, dict) else {}
    found: dict[str, Any] = body.get("properties", {})
    return found


def view_of(seen: Exchange, number: int = 0) -> dict[str, Any]:
    """The instance view of one of its containers, by its place."""
    containers = properties_of(seen).get("containers") or [{}]
    found: dict[str, Any] = containers[number].get("properties", {}).get("instanceView", {})
    return found


def state_of(seen: Exchange) -> str:
    """The state of the group."""
    return str(properties_of(seen).get("instanceView", {}).get("state", ""))


def events_of(seen: Exchange, number: int = 0) -> list[str]:
    """What has happened to one of its containers."""
    return [f"{one['name']}: {one['message']}" for one in view_of(seen, number).get("events", ())]


def keys_of(value: Any, path: str = "") -> set[str]:
    """The paths of everything that a JSON value has."""
    if isinstance(value, dict):
        below = [keys_of(each, f"{path}.{key}") for key, each in value.items()]
        return {f"{path}.{key}" for key in value}.union(*below)
    if isinstance(value, list):
        return set().union(*(keys_of(each, f"{path}[]") for each in value))
    return set()
