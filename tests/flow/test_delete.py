from __future__ import annotations

import itertools

from typing import Any

import pytest

from tests.flow.kit import REF, Script, body, missing, outage, reply, running, view

from aciflow.errors import AuthorizationError, CleanupError
from aciflow.flow.delete import delete_group
from aciflow.flow.pace import AZURE


def _delete(script: Script, **options: Any) -> bool:
    return script.run(
        lambda env: delete_group(env, REF, pace=AZURE, deadline=env.clock.now() + 60.0, **options)
    )


def test_deleting_is_confirmed() -> None:
    """The reply to a DELETE is the last body, and the group is there for a while still."""
    script = Script(group_delete=reply({}), group_get=[view(running()), missing()])
    assert _delete(script)
    assert 2 == len(script.calls("group.get"))


def test_there_may_be_nothing_to_delete() -> None:
    """A 404 is an answer, and so is a 204."""
    assert not _delete(Script(group_delete=missing(), group_get=missing()))
    assert not _delete(Script(group_delete=reply(status=204), group_get=missing()))


def test_a_group_that_stays_is_reported_with_its_remedy() -> None:
    """After the deadline a person has to do it."""
    script = Script(group_delete=reply({}), group_get=view(running()))
    with pytest.raises(CleanupError, match="still there") as caught:
        _delete(script)
    assert (REF.leftover,) == caught.value.remaining


def test_an_outage_while_looking_is_not_taken_for_absence() -> None:
    """A group is gone when ARM says so."""
    script = Script(group_delete=reply({}), group_get=[outage()] * 10 + [missing()])
    assert _delete(script)


def test_a_refused_deletion_is_a_clean_up_that_failed() -> None:
    """With what is left, and why."""
    refusal = AuthorizationError("may not delete", status=403)
    with pytest.raises(CleanupError, match="may not delete") as caught:
        _delete(Script(group_delete=refusal))
    assert caught.value.__cause__ is refusal
    assert (REF.leftover,) == caught.value.remaining


def test_one_that_may_not_look_cannot_know() -> None:
    """A refusal of the GET is no 404."""
    refusal = AuthorizationError("may not look", status=403)
    with pytest.raises(CleanupError, match="may not look"):
        _delete(Script(group_delete=reply({}), group_get=refusal))


def test_a_group_of_the_same_launch_is_deleted() -> None:
    """Its tag tells."""
    script = Script(group_get=[view(running()), missing()], group_delete=reply({}))
    assert _delete(script, launch_id="l1")


def test_what_another_launch_has_put_there_is_left_alone() -> None:
    """Somebody replaced it: it is theirs."""
    theirs = reply(body(running(), tags={"aciflow-launch-id": "l2"}))
    script = Script(group_get=theirs)
    assert not _delete(script, launch_id="l1")
    assert [] == script.calls("group.delete")


def test_a_group_without_the_tag_is_kept_and_reported() -> None:
    """It may be somebody else's by now, and it may cost money: a person decides."""
    script = Script(group_get=reply(body(running(), tags={"team": "a"})))
    with pytest.raises(CleanupError, match="does not carry the tag"):
        _delete(script, launch_id="l1")
    assert [] == script.calls("group.delete")


def test_what_an_unanswered_put_brings_about_later_is_deleted_too() -> None:
    """It is looked for several times."""
    script = Script(
        group_get=[missing(), missing(), view(running()), missing()], group_delete=reply({})
    )
    assert _delete(script, launch_id="l1", maybe_late=True)
    assert 1 == len(script.calls("group.delete"))


def test_an_unanswered_put_that_made_nothing_is_looked_for_in_vain() -> None:
    """Three more looks, 2 s apart."""
    script = Script(group_get=missing())
    assert not _delete(script, launch_id="l1", maybe_late=True)
    assert 4 == len(script.times("group.get"))


def test_a_group_that_vanishes_before_its_deletion_is_gone() -> None:
    """Somebody else was quicker."""
    script = Script(group_get=[view(running()), missing()], group_delete=missing())
    assert not _delete(script, launch_id="l1")


def test_a_group_that_is_shown_and_cannot_be_found_to_delete_is_looked_for_at_the_pace() -> None:
    """Reads may lag behind; there is a deadline to it."""
    script = Script(group_delete=reply(status=204))
    script.answers["group_get"] = lambda _: (
        view(running()) if script.world.now() < 100.0 else missing()
    )
    with pytest.raises(CleanupError, match="still there"):
        _delete(script, launch_id="l1")
    looks = script.times("group.get")
    assert all(later - sooner >= AZURE.gone for sooner, later in itertools.pairwise(looks))
