"""A name that is taken: what was there before is never restarted or deleted by an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.images import Engine
from tests.launch.conftest import records
from tests.launch.helpers import SLEEP, containers, fetch

import aciflow

from aciflow.flow.effects import ArmCall
from aciflow.flow.retry import perform
from aciflow.model import to_arm


pytestmark = pytest.mark.engine


def test_error(any_client: Any, web_image: str, engine: Engine) -> None:
    """The default: the group goes on in the very same container."""
    with any_client.launch(web_image, name="taken", public_ip=True) as group:
        before = containers(engine, "taken")
        with pytest.raises(aciflow.NameTakenError, match="if_exists='adopt'") as caught:
            any_client.launch(web_image, name="taken", public_ip=True)
        assert () == caught.value.leftovers
        assert before == containers(engine, "taken")
        assert "hello from a container\n" == fetch(group.url())


def test_adopt(any_client: Any, web_image: str, engine: Engine) -> None:
    """The same container is handed out; leaving its block and deleting it are not for us to do."""
    with any_client.launch(web_image, name="taken", public_ip=True) as group:
        before = containers(engine, "taken")
        with any_client.launch(web_image, name="taken", public_ip=True, if_exists="adopt") as same:
            assert same.url() == group.url()
            with pytest.raises(aciflow.NotOursError, match="adopted"):
                same.delete()
        assert before == containers(engine, "taken")
        assert "hello from a container\n" == fetch(group.url())
    assert [] == containers(engine, "taken")


def test_adopting_what_is_not_ready(any_client: Any, web_image: str, engine: Engine) -> None:
    """A wait that fails leaves it alone: the error must not delete what it did not make."""
    with any_client.launch(web_image, name="taken", command=SLEEP, public_ip=True, wait=False):
        with pytest.raises(aciflow.NotReadyError) as caught:
            any_client.launch(
                web_image, name="taken", public_ip=True, if_exists="adopt", timeout=1.5
            )
        assert () == caught.value.leftovers
        [(_, state)] = containers(engine, "taken")
        assert "running" == state


def test_replace(any_client: Any, web_image: str, engine: Engine, state: Path) -> None:
    """It is deleted first and made anew; the old handle's block does not delete the new one."""
    with any_client.launch(web_image, name="taken", public_ip=True):
        [(old, _)] = containers(engine, "taken")
        new = any_client.launch(web_image, name="taken", public_ip=True, if_exists="replace")
    [(now, _)] = containers(engine, "taken")
    assert now != old
    assert "hello from a container\n" == fetch(new.url())
    assert 1 == len([text for text in records(state) if '"name": "taken"' in text])
    new.delete()
    assert [] == containers(engine, "taken")


def test_what_aciflow_did_not_make(client: aciflow.Client, web_image: str, engine: Engine) -> None:
    """Made by another tool: it is neither replaced nor deleted, and says why."""
    spec = aciflow.ContainerGroupSpec(
        name="foreign", containers=(aciflow.Container(name="c", image=web_image),)
    )
    with client.resource_group("theirs") as place:
        foreign = ArmCall(
            operation="group.put",
            resource_group=place.name,
            name="foreign",
            body=to_arm(spec, location="westus"),
        )
        client._run(lambda env: perform(env, foreign))
        picked = client.get("foreign", resource_group=place.name)
        picked.wait(aciflow.Ready.running())
        before = containers(engine, "foreign")
        with pytest.raises(aciflow.NotOursError, match="not made by aciflow"):
            picked.delete()
        with pytest.raises(aciflow.NotOursError, match="aciflow-launch-id"):
            place.launch(web_image, name="foreign", if_exists="replace")
        with pytest.raises(aciflow.NameTakenError):
            place.launch(web_image, name="foreign")
        assert before == containers(engine, "foreign")
        with pytest.raises(aciflow.CleanupError, match=r"holds .*foreign: it is kept") as kept:
            place.delete()
        assert [f"/subscriptions/{client._core.target.subscription_id}/resourceGroups/theirs"] == [
            left.resource_id for left in kept.value.remaining
        ]
        assert before == containers(engine, "foreign")
        gone = ArmCall(operation="group.delete", resource_group=place.name, name="foreign")
        client._run(lambda env: perform(env, gone))
        client._run(
            lambda env: perform(env, ArmCall(operation="rg.delete", resource_group=place.name))
        )
    for record in client._core.ledger.records():
        client._core.ledger.clear(record["launch_id"])
