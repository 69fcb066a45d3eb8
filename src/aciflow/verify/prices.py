"""Published prices of what the local tables do not have: the Retail Prices API, which needs no account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


__all__ = ["confidential", "in_words"]

URL = "https://prices.azure.com/api/retail/prices"


def confidential() -> list[str]:
    """
    What confidential containers cost, region by region; nothing where the prices cannot be had.

    Source: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
    """
    import httpx

    from aciflow.arm.network import ssl_context

    query = "serviceName eq 'Container Instances' and contains(meterName, 'Confidential')"
    rows: list[Mapping[str, Any]] = []
    try:
        with httpx.Client(verify=ssl_context(), timeout=20) as http:
            reply = http.get(URL, params={"$filter": query})
            while True:
                page = reply.raise_for_status().json()
                rows += page["Items"]
                if not page.get("NextPageLink"):
                    break
                reply = http.get(page["NextPageLink"])
    except (httpx.HTTPError, ValueError, KeyError):
        return []
    return in_words(rows)


def in_words(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a meter: its prices, and the regions that have each."""
    found: dict[tuple[str, str], dict[float, set[str]]] = {}
    for row in rows:
        meter = found.setdefault((str(row["meterName"]), str(row["unitOfMeasure"])), {})
        meter.setdefault(float(row["retailPrice"]), set()).add(str(row["armRegionName"]))
    return [
        f"{name}, per {unit}: "
        + "; ".join(
            f"${price:g} in {', '.join(sorted(at))}" for price, at in sorted(prices.items())
        )
        for (name, unit), prices in sorted(found.items())
    ]
