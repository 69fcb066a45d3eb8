from __future__ import annotations

from typing import Any

import pytest

from tests.flow.kit import HOME, Script, missing, reply, running, unreachable, view

from aciflow.errors import (
    AuthorizationError,
    CleanupError,
    EndpointUnreachableError,
    LocationRequiredError,
    TransitioningError,
)
from aciflow.flow.effects import LedgerWrite
from aciflow.flow.groups import Made, delete_resource_group, drop_made, ensure, find_to_use
from aciflow.flow.pace import AZURE


TAGS = {"client": "c1"}
MARK = ("client", "c1")


def _home(state: str = "Succeeded", tags: Any = TAGS) -> Any:
    return reply({"location": "eastus", "tags": tags, "properties": {"provisioningState": state}})


def _ensure(script: Script, made: Made | None = None, **options: Any) -> Made:
    made = made or Made()
    arguments: dict[str, Any] = {"location": "westus", "tags": TAGS, "new": False, **options}
    script.run(lambda env: ensure(env, HOME, made, **arguments))
    return made


def _delete(script: Script, wait: float = 0.0) -> bool:
    return script.run(
        lambda env: delete_resource_group(env, HOME, pace=AZURE, wait=wait, mark=MARK)
    )


def test_a_resource_group_that_is_there_is_used() -> None:
    """Its location is where it is, whatever was asked for."""
    assert Made(location="eastus") == _ensure(Script(rg_get=_home()))


def test_a_resource_group_that_is_missing_is_made_and_on_record() -> None:
    """The intent is on disk before the request."""
    script = Script(rg_get=missing(), rg_put=reply({}))
    assert Made(resource_group=True, location="westus") == _ensure(script)
    assert 1 == len(script.ledger)
    kinds = [type(effect).__name__ for _, effect in script.asked]
    assert kinds.index("LedgerWrite") < len(kinds) - 1
    assert {"location": "westus", "tags": TAGS} == script.calls("rg.put")[0].body


def test_records_of_resource_groups_in_two_subscriptions_are_two() -> None:
    """Names repeat."""
    from attrs import evolve

    script = Script(rg_put=reply({}))
    _ensure(script, new=True)
    other = evolve(HOME, subscription_id="another")
    script.run(lambda env: ensure(env, other, Made(), location="w", tags={}, new=True))
    assert 2 == len(script.ledger)


def test_a_made_up_name_is_not_looked_up() -> None:
    """Nobody else can have it."""
    script = Script(rg_put=reply({}))
    _ensure(script, new=True)
    assert [] == script.calls("rg.get")


def test_one_that_is_to_stay_leaves_no_record() -> None:
    """There is nothing to clean up."""
    script = Script(rg_get=missing(), rg_put=reply({}))
    _ensure(script, keep=True)
    assert {} == script.ledger


def test_no_region_is_chosen_in_silence() -> None:
    """The error says what to do, and nothing was sent."""
    script = Script(rg_get=missing())
    with pytest.raises(LocationRequiredError, match="location='westeurope'"):
        _ensure(script, location=None)
    assert [] == script.calls("rg.put")


def test_a_refused_resource_group_leaves_nothing_to_delete() -> None:
    """Neither in the books nor in the ledger."""
    made = Made()
    script = Script(rg_get=missing(), rg_put=AuthorizationError("no", status=403))
    with pytest.raises(AuthorizationError):
        _ensure(script, made)
    assert Made() == made
    assert {} == script.ledger


def test_a_resource_group_whose_reply_was_lost_may_be_there() -> None:
    """So it stays in the books and in the ledger."""
    made = Made()
    script = Script(rg_get=missing(), rg_put=unreachable())
    with pytest.raises(EndpointUnreachableError):
        _ensure(script, made)
    assert made.resource_group
    assert 1 == len(script.ledger)


def test_one_that_is_being_deleted_is_waited_for_and_made_anew() -> None:
    """Nothing can be made in it, and Azure takes minutes."""
    script = Script(rg_get=[*[_home("Deleting")] * 30, missing()], rg_put=reply({}))
    assert "westus" == _ensure(script).location
    assert script.world.now() > 100.0


def test_one_that_is_being_deleted_for_ever_is_an_error() -> None:
    """After the deadline."""
    script = Script(rg_get=_home("Deleting"))
    with pytest.raises(TransitioningError, match="still being deleted"):
        script.run(lambda env: find_to_use(env, HOME, 30.0))


def test_an_empty_resource_group_of_ours_is_deleted() -> None:
    """Azure takes minutes, so the ledger keeps it until the end is confirmed."""
    script = Script(rg_get=_home(), rg_resources=reply({"value": []}), rg_delete=reply(status=202))
    assert not _delete(script)
    (record,) = script.ledger.values()
    assert "deleting" == record["stage"]


def test_the_end_of_a_deletion_clears_the_record() -> None:
    """A local endpoint needs a moment only."""
    script = Script(
        rg_get=[_home(), _home("Deleting"), missing()],
        rg_resources=reply({"value": []}),
        rg_delete=reply(status=202),
    )
    assert _delete(script, wait=30.0)
    assert {} == script.ledger


def test_waiting_for_a_deletion_has_an_end() -> None:
    """The record stays."""
    script = Script(rg_get=_home(), rg_resources=reply({"value": []}), rg_delete=reply(status=202))
    assert not _delete(script, wait=5.0)
    assert 1 == len(script.ledger)


def test_one_that_is_gone_already_needs_no_deletion() -> None:
    """Whether it is noticed at first or at last."""
    assert _delete(Script(rg_get=missing()))
    script = Script(rg_get=_home(), rg_resources=missing())
    assert _delete(script)


def test_one_that_is_being_deleted_already_is_left_to_it() -> None:
    """It is not asked for twice."""
    script = Script(rg_get=[_home("Deleting"), missing()])
    assert _delete(script, wait=5.0)
    assert [] == script.calls("rg.delete")


@pytest.mark.parametrize("tags", [None, {}, {"client": "c2"}])
def test_a_resource_group_of_others_is_kept(tags: Any) -> None:
    """Only our tag makes it ours."""
    script = Script(rg_get=_home(tags=tags))
    with pytest.raises(CleanupError, match="does not carry the tag client=c1"):
        _delete(script)
    assert [] == script.calls("rg.delete")


def _resource(kind: str, name: str) -> dict[str, str]:
    return {"id": f"/x/{name}", "name": name, "type": kind}


def test_a_resource_group_that_others_have_moved_into_is_kept() -> None:
    """Deleting it would delete what is theirs."""
    inside = reply({"value": [_resource("Microsoft.Storage/storageAccounts", "disk")]})
    script = Script(rg_get=_home(), rg_resources=inside)
    with pytest.raises(CleanupError, match="holds /x/disk"):
        _delete(script)
    assert [] == script.calls("rg.delete")


def test_a_container_group_that_is_gone_does_not_keep_its_resource_group() -> None:
    """ARM's list of resources lags behind."""
    inside = reply({"value": [_resource("Microsoft.ContainerInstance/containerGroups", "web")]})
    script = Script(
        rg_get=_home(), rg_resources=inside, group_get=missing(), rg_delete=reply(status=202)
    )
    _delete(script)
    assert 1 == len(script.calls("rg.delete"))


def test_a_container_group_that_is_there_does() -> None:
    """Whoever made it."""
    inside = reply({"value": [_resource("Microsoft.ContainerInstance/containerGroups", "web")]})
    script = Script(rg_get=_home(), rg_resources=inside, group_get=view(running()))
    with pytest.raises(CleanupError, match="holds /x/web"):
        _delete(script)


def _drop(script: Script, **marks: str | None) -> bool:
    return script.run(lambda env: drop_made(env, HOME, pace=AZURE, wait=0.0, marks=marks))


@pytest.mark.parametrize("marks", [{"client": "c2"}, {"client": None, "owner": "me"}])
def test_one_without_all_the_marks_is_left_alone(marks: dict[str, str | None]) -> None:
    """Nobody is told off for what somebody else made."""
    assert not _drop(Script(rg_get=_home()), **marks)
    assert not _drop(Script(rg_get=missing()), **marks)


def test_one_that_a_launch_made_goes_once_it_is_empty() -> None:
    """And not before."""
    full = reply({"value": [_resource("Microsoft.Storage/storageAccounts", "disk")]})
    assert not _drop(Script(rg_get=_home(), rg_resources=full), client=None)
    script = Script(rg_get=_home(), rg_resources=reply({"value": []}), rg_delete=reply(status=202))
    assert _drop(script, client=None)
    assert 1 == len(script.calls("rg.delete"))


def test_a_refused_deletion_is_reported_with_its_remedy() -> None:
    """With the command that a person needs."""
    script = Script(
        rg_get=_home(),
        rg_resources=reply({"value": []}),
        rg_delete=AuthorizationError("no", status=403),
    )
    with pytest.raises(CleanupError, match="could not be deleted") as caught:
        _delete(script)
    assert (HOME.leftover,) == caught.value.remaining


def test_a_record_names_what_it_is_about() -> None:
    """A person who finds it knows what to do."""
    script = Script(rg_put=reply({}))
    _ensure(script, new=True)
    (written,) = [e for _, e in script.asked if isinstance(e, LedgerWrite)]
    assert HOME.id == written.record["id"]
    assert HOME.leftover.remove_with == written.record["remove_with"]
