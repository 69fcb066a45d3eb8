"""A start as a row of the recorded traces: seconds after the service's own start of the operation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aciflow.verify.exchange import Exchange


__all__ = ["start_of"]


def start_of(
    body: Mapping[str, Any], begun: Exchange, ended: Exchange, shown: Exchange
) -> dict[str, Any] | None:
    """
    One start, in the form that ``LocalAzure("simulated", traces=...)`` replays.

    Args:
        body: What was asked for.
        begun: The PUT.
        ended: The operation's last reply.
        shown: A GET after the container had started.

    Returns:
        ``None`` where the service does not tell enough: events may be missing for ever.
    """
    zero = _seconds(ended.response.get("startTime")) if isinstance(ended.response, dict) else None
    if zero is None or not isinstance(shown.response, dict):
        return None
    container = shown.response["properties"]["containers"][0]["properties"]
    view = container.get("instanceView", {})
    events: dict[str, float] = {}
    for event in view.get("events", ()):
        at = _seconds(event.get("firstTimestamp"))
        if at is not None:
            events.setdefault(str(event.get("name")), at - zero)
    started = _seconds(view.get("currentState", {}).get("startTime"))
    if started is None or "Pulling" not in events or "Pulled" not in events:
        return None
    # Events have whole seconds, so one may come before what caused it.
    pulling = max(events["Pulling"], 0.0)
    pulled = max(events["Pulled"], pulling)
    return {
        "year": datetime.fromtimestamp(begun.sent, UTC).year,
        "image": container["image"],
        "os": body["properties"]["osType"],
        "vnet": bool(body["properties"].get("subnetIds")),
        "pulling": round(pulling, 3),
        "pulled": round(pulled, 3),
        "started": round(max(started - zero, pulled), 3),
        "succeeded_seen": round(ended.sent + ended.seconds - begun.sent, 3),
    }


def _seconds(text: Any) -> float | None:
    """ARM's times have up to seven digits after the point; Python reads six."""
    if not isinstance(text, str) or not text.endswith("Z"):
        return None
    head, _, fraction = text[:-1].partition(".")
    try:
        return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return None
