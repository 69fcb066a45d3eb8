"""What a client has to delete, and whose it is; on a simulated endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.launch.conftest import Awaited, Run
from tests.launch.helpers import names

import aciflow

from aciflow.flow.groups import delete_resource_group
from aciflow.local import LocalAzure


@pytest.fixture
def azure() -> Iterator[LocalAzure]:
    """An endpoint without an engine, where a launch takes a fraction of a second."""
    with LocalAzure("simulated", speed=200) as made:
        yield made


@pytest.fixture
def other(azure: LocalAzure) -> Iterator[aciflow.Client]:
    """A client of another process, as far as the one under test can tell."""
    with azure.client() as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest, loop: Run, azure: LocalAzure) -> Iterator[Any]:
    """A client of either colour."""
    colours: dict[str, Callable[[], Any]] = {
        "sync": lambda: aciflow.Client(azure),
        "async": lambda: Awaited(aciflow.AsyncClient(azure), loop),
    }
    with colours[request.param]() as made:
        yield made


def test_a_stale_handle_forgets_nothing(both: Any, other: aciflow.Client) -> None:
    """Deleting one that has been replaced leaves its successor alone, and to be deleted."""
    first = both.launch("nginx", name="web", resource_group="shared")
    second = both.launch("nginx", name="web", resource_group="shared", if_exists="replace")
    first.delete()
    assert "Deleted" == first.state
    assert ["web"] == [live.ref.name for live in both._core.books.live()]
    assert "Running" == second.refresh().state
    both.close()
    assert set() == names(other)


def test_a_stale_handle_clears_no_record(both: Any) -> None:
    """The record of the launch that came after stays until that one is deleted."""
    first = both.launch("nginx", name="web", resource_group="shared")
    both.launch("nginx", name="web", resource_group="shared", if_exists="replace")
    first.delete()
    assert ["web"] == [r["name"] for r in both._core.ledger.records() if "name" in r]


def test_a_detached_one_that_was_replaced(both: Any, other: aciflow.Client) -> None:
    """Its handle does not forget the successor either, and the resource group goes with that."""
    first = both.launch("nginx", name="web", resource_group="mine", lifetime="detached")
    second = both.launch("nginx", name="web", resource_group="mine", if_exists="replace")
    first.delete()
    assert "Running" == second.refresh().state
    second.delete()
    assert () == other.list()
    assert {} == both._core.books._uses


def test_a_strangers_group_is_left_alone(both: Any, other: aciflow.Client) -> None:
    """One that was picked up, and replaced by others since, is gone: theirs is not deleted for it."""
    other.launch("nginx", name="web", resource_group="shared")
    picked = both.get("web", resource_group="shared")
    theirs = other.launch("nginx", name="web", resource_group="shared", if_exists="replace")
    picked.delete()
    assert "Running" == theirs.refresh().state
    assert ["web"] == [r["name"] for r in other._core.ledger.records() if "name" in r]


def test_ones_own_that_was_picked_up(both: Any) -> None:
    """Deleting it by another handle is as good: nothing is left to delete."""
    both.launch("nginx", name="web", resource_group="mine")
    both.get("web", resource_group="mine").delete()
    assert [] == both._core.books.live()
    assert [] == both._core.ledger.records()


@pytest.mark.parametrize("way", ["close", "delete"])
def test_interrupted_while_resource_groups_go(
    way: str, both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are not gone by then are in the books still, and go when the client is closed."""
    blocks = [both.resource_group(name) for name in ("one", "two")]
    group = both.launch("nginx", resource_group="three")
    core, run = both._core, type(blocks[0]._client)._run
    asked = []

    def interrupted(client: Any, make: Any, *rest: Any) -> Any:
        if getattr(make, "func", None) is delete_resource_group:
            asked.append(make.keywords["ref"].name)
            if len(asked) == (2 if way == "close" else 1):
                raise KeyboardInterrupt
        return run(client, make, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(type(blocks[0]._client), "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            (both.close if way == "close" else group.delete)()
    assert asked[-1] in core.books._uses
    both.close()
    assert {} == core.books._uses
    assert [] == core.ledger.records()
