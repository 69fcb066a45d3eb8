from __future__ import annotations

import pytest

from aciflow.model.cost import SPOT, STANDARD, cost, daily_cost


def test_a_day() -> None:
    """One vCPU and 1.5 GB in East US, by the published prices."""
    assert daily_cost(1, 1.5, "eastus") == pytest.approx(24 * (0.0405 + 1.5 * 0.00445))
    assert daily_cost(1, 1.5, "East US") == daily_cost(1, 1.5, "eastus")


def test_by_the_second() -> None:
    """Cost grows with time, and none is none."""
    assert cost(0, 4, 8, "swedencentral") == 0
    assert cost(3600, 2, 4, "swedencentral") == pytest.approx(2 * 0.0466 + 4 * 0.00511)


def test_spot_is_seventy_per_cent_off() -> None:
    """The two tables agree with what the service announces."""
    for region, price in SPOT.items():
        assert price.cpu == pytest.approx(0.3 * STANDARD[region].cpu)
        assert price.memory == pytest.approx(0.3 * STANDARD[region].memory)
    assert cost(3600, 1, 0, "eastus", spot=True) == pytest.approx(0.01215)


def test_windows_pays_its_licence() -> None:
    """The software meter comes on top, by vCPU."""
    linux, windows = (cost(100, 2, 1, "eastus", os_type=name) for name in ("Linux", "Windows"))

    assert linux is not None
    assert windows == pytest.approx(linux + 100 * 2 * 0.000012)


def test_no_price_no_guess() -> None:
    """A region, or a kind there, whose price was not read has no cost."""
    assert cost(60, 1, 1, "moon") is None
    assert daily_cost(1, 1, "swedencentral", spot=True) is None
