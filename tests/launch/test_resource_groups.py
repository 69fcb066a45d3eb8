"""Whose a resource group is decides whether it is deleted; and where a location comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.arm.server import ArmServer, Asked, Said
from tests.images import Engine
from tests.launch.conftest import records
from tests.launch.helpers import containers
from tests.launch.test_failures import at, server

import aciflow

from aciflow.flow.effects import ArmCall
from aciflow.flow.retry import perform


pytestmark = pytest.mark.engine
__all__ = ["server"]


def exists(client: aciflow.Client, name: str) -> bool:
    """Whether there is a resource group of that name."""
    call = ArmCall(operation="rg.get", resource_group=name)
    try:
        client._run(lambda env: perform(env, call))
    except aciflow.NotFoundError:
        return False
    return True


def delete(client: aciflow.Client, name: str) -> None:
    """Delete a resource group and all that is in it, as `az group delete` does."""
    call = ArmCall(operation="rg.delete", resource_group=name)
    client._run(lambda env: perform(env, call))


@pytest.fixture
def other() -> Any:
    """A client that looks from outside."""
    with aciflow.Client("local") as made:
        yield made


def test_a_block(any_client: Any, other: aciflow.Client, web_image: str, engine: Engine) -> None:
    """One that the block made goes with it, and so does what was launched in it."""
    with any_client.resource_group("block", location="westeurope", tags={"team": "a"}) as place:
        group = place.launch(web_image, name="inside")
        assert ("block", "westeurope") == (group.resource_group, group.location)
        assert ["inside"] == [one.name for one in place.list()]
        group.delete()
        assert exists(other, "block")  # the block holds it
        place.launch(web_image, name="inside")
        assert place.run(web_image, ["/bin/echo", "hi"]).logs == "hi\n"
        with pytest.raises(TypeError, match="resource_group"):
            place.launch(web_image, resource_group="elsewhere")
    assert not exists(other, "block")
    assert [] == containers(engine, "inside")


def test_one_that_was_there(any_client: Any, other: aciflow.Client, web_image: str) -> None:
    """It is used and kept; only what was launched in it goes."""
    with other.resource_group("theirs"):
        with any_client.resource_group("theirs") as place:
            place.launch(web_image)
        assert exists(other, "theirs")
        with any_client.launch(web_image, resource_group="theirs"):
            pass
        assert exists(other, "theirs")
    assert not exists(other, "theirs")


def test_never(any_client: Any, other: aciflow.Client, web_image: str, engine: Engine) -> None:
    """``delete='never'`` keeps one that the block made, but nothing that was launched in it."""
    with any_client.resource_group("kept", delete="never") as place:
        place.launch(web_image, name="inside")
    assert exists(other, "kept")
    assert [] == containers(engine, "inside")
    any_client.close()
    assert exists(other, "kept")
    delete(other, "kept")
    assert [] == other._core.ledger.records()


def test_without_a_block(other: aciflow.Client, web_image: str, engine: Engine) -> None:
    """One that nobody left goes when its client is closed."""
    with aciflow.Client("local") as client:
        client.resource_group("loose").launch(web_image, name="inside")
        assert exists(other, "loose")
    assert not exists(other, "loose")
    assert [] == containers(engine, "inside")


def test_a_name_of_ones_own(any_client: Any, other: aciflow.Client, web_image: str) -> None:
    """A launch makes it where it is missing, and it goes with the last group that was launched in it."""
    first = any_client.launch(web_image, resource_group="mine")
    second = any_client.launch(web_image, resource_group="MINE")
    first.delete()
    assert exists(other, "mine")
    second.delete()
    assert not exists(other, "mine")


def test_others_have_moved_in(any_client: Any, other: aciflow.Client, web_image: str) -> None:
    """It is kept then, and that is said with the command that removes it."""
    group = any_client.launch(web_image, resource_group="mine")
    theirs = other.launch(web_image, resource_group="mine", name="theirs")
    with pytest.raises(aciflow.CleanupError, match=r"holds .*theirs: it is kept") as kept:
        group.delete()
    assert "Deleted" == group.state
    assert "aciflow delete --resource-group mine --all" == kept.value.remaining[0].remove_with
    assert "Running" == theirs.refresh().state
    theirs.delete()
    delete(other, "mine")
    for record in other._core.ledger.records():
        other._core.ledger.clear(record["launch_id"])


def test_a_clients_own_is_for_all_its_launches(
    any_client: Any, other: aciflow.Client, web_image: str
) -> None:
    """One is made at the first launch, stays while the client is open, and goes with it."""
    with any_client.launch(web_image) as group:
        name = group.resource_group
    assert exists(other, name)
    assert name == any_client.launch(web_image).resource_group
    any_client.close()
    assert not exists(other, name)


def test_a_failed_launch_takes_what_it_made_along(
    any_client: Any, other: aciflow.Client, web_image: str, state: Path
) -> None:
    """The resource group that was made for it goes too."""
    with pytest.raises(aciflow.ContainerExitedError):
        any_client.launch(
            web_image,
            resource_group="brief",
            public_ip=True,
            command=["/bin/sh", "-c", "exit 1"],
            restart_policy="Never",
        )
    assert not exists(other, "brief")
    assert [] == records(state)


def test_where_the_location_comes_from(other: aciflow.Client, web_image: str) -> None:
    """The argument, then the client's, then the resource group's, then the target's own."""
    with other.resource_group("there", location="westus"):
        with (
            aciflow.Client("local", location="northeurope") as client,
            client.launch(web_image, location="westeurope", resource_group="there") as argument,
            client.launch(web_image, resource_group="there") as clients,
            other.launch(web_image, resource_group="there") as groups,
            other.launch(web_image) as targets,
        ):
            found = [one.location for one in (argument, clients, groups, targets)]
        assert ["westeurope", "northeurope", "westus", "eastus"] == found
        with other.launch(web_image, resource_group="there") as again:
            assert "westus" == again.location


def test_nobody_said_where(server: ArmServer, web_image: str, state: Path) -> None:
    """Elsewhere than on this machine no region is chosen in silence."""
    server.answer = lambda _: Said(
        404, {"error": {"code": "ResourceGroupNotFound", "message": "no"}}
    )
    client = at(server.url)
    client._core.location = None
    with client, pytest.raises(aciflow.LocationRequiredError, match="location='westeurope'"):
        client.launch(web_image, resource_group="new")
    assert {"GET"} == {asked.method for asked in server.asked}
    assert [] == records(state)


def test_another_region_where_one_has_no_room(server: ArmServer, web_image: str) -> None:
    """Several locations are tried in turn."""
    asked_for = []

    def answer(asked: Asked) -> Said:
        if "containergroups" not in asked.path.lower():
            return Said(200, {"id": "/x/rg", "name": "rg", "location": "westus"})
        if asked.method == "PUT":
            asked_for.append(asked.json["location"])
            if len(asked_for) == 1:
                message = "The requested resource is not available in the location 'eastus'"
                return Said(409, {"error": {"code": "ServiceUnavailable", "message": message}})
            return Said(201, {**asked.json, "id": asked.path, "name": "web"})
        return Said(404, {"error": {"code": "ResourceNotFound", "message": "no"}})

    server.answer = answer
    with at(server.url) as client:
        group = client.launch(
            web_image, resource_group="rg", location=["eastus", "westus2"], wait=False
        )
        assert "westus2" == group.location
    assert ["eastus", "westus2"] == asked_for
