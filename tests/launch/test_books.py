"""What a client has to delete, and whose it is; on a simulated endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from tests.launch.conftest import Awaited, Run
from tests.launch.helpers import names

import aciflow
import aciflow.aio
import aciflow.client

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
    with aciflow.Client(azure) as made:
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


def move_in(other: aciflow.Client) -> Callable[[Any], None]:
    """A hook by which somebody else launches in the resource group of a run."""
    done: list[Any] = []

    def hook(event: aciflow.PhaseEvent) -> None:
        if not done and (event.name, event.status) == ("delete", "started"):
            [run] = other.list()
            done.append(run)
            other.launch("nginx", name="theirs", resource_group=run.resource_group)

    return hook


def test_a_result_is_not_lost(both: Any, other: aciflow.Client) -> None:
    """A run whose resource group has to stay still returns; a warning names what is left."""
    with pytest.warns(UserWarning, match=r"holds .*theirs: it is kept(?s:.*)remove it with"):
        result = both.run("nginx", ["true"], resource_group="mine", on_phase=move_in(other))
    assert 0 == result.exit_code
    assert ["theirs"] == [group.name for group in other.list()]
    drop_record(other, "mine")


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_nor_by_a_client_of_its_own(
    colour: str,
    loop: Run,
    azure: LocalAzure,
    other: aciflow.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same for the module's function, whose client makes and deletes a resource group."""
    monkeypatch.setattr(aciflow.client, "Client", partial(aciflow.Client, azure))
    monkeypatch.setattr(aciflow.aio, "AsyncClient", partial(aciflow.AsyncClient, azure))
    with pytest.warns(UserWarning, match=r"holds .*theirs: it is kept"):
        if colour == "sync":
            result = aciflow.run("nginx", ["true"], on_phase=move_in(other))
        else:
            result = loop(aciflow.aio.run("nginx", ["true"], on_phase=move_in(other)))
    assert 0 == result.exit_code
    drop_record(other, other.list()[0].resource_group)


def drop_record(client: aciflow.Client, resource_group: str) -> None:
    """Of a resource group that was to be kept."""
    for record in client._core.ledger.records():
        if "name" not in record and record["resource_group"] == resource_group:
            client._core.ledger.clear(record["launch_id"])
