from __future__ import annotations

from typing import Any

import pytest

from tests.flow.kit import (
    OK,
    REF,
    REFUSED,
    URL,
    Script,
    body,
    busy,
    ended,
    event,
    logs,
    missing,
    outage,
    reply,
    request,
    running,
    throttled,
    unreachable,
    view,
)

from aciflow.errors import (
    AciflowError,
    ArmError,
    AuthorizationError,
    CapacityError,
    CleanupError,
    ContainerExitedError,
    CredentialError,
    ImageError,
    LocationRequiredError,
    NameTakenError,
    NotFoundError,
    NotOursError,
    NotReadyError,
    NotRegisteredError,
    QuotaExceededError,
    TransitioningError,
)
from aciflow.flow.effects import ArmCall
from aciflow.flow.groups import Made
from aciflow.flow.launch import Launched, launch
from aciflow.flow.pace import AZURE, LOCAL
from aciflow.flow.retry import LAG
from aciflow.ready import Ready


ACCEPTED = reply(body(None, provisioning="Pending", ip=None), 201, azure_asyncoperation=URL)
RUNNING = view(running())
HOME = reply({"location": "eastus", "properties": {"provisioningState": "Succeeded"}})
FULL = {
    "status": "Failed",
    "error": {"message": "The requested resource is not available in the location 'westus'"},
}


def _group(script: Script) -> dict[str, Any]:
    """An ARM that keeps track: PUT makes a group, DELETE removes it."""
    there: dict[str, Any] = {"group": None}

    def put(call: ArmCall) -> Any:
        assert call.body is not None
        there["group"] = reply(body(running(), tags=call.body["tags"]))
        return ACCEPTED

    def get(_: ArmCall) -> Any:
        return there["group"] or missing()

    def delete(_: ArmCall) -> Any:
        found, there["group"] = there["group"], None
        return found or reply(status=204)

    script.answers.update(group_put=put, group_get=get, group_delete=delete)
    return there


def _launch(script: Script, made: Made | None = None, **changes: Any) -> Launched:
    return script.run(lambda env: launch(env, request(**changes), made))


def test_a_launch_is_on_record_before_its_first_request() -> None:
    """And stays there as long as there is something to delete."""
    script = Script(probe=OK)
    _group(script)
    launched = _launch(script)
    kinds = [type(effect).__name__ for _, effect in script.asked]
    assert ["LedgerWrite", "Authenticate", "ArmCall"] == kinds[:3]
    assert "accepted" == script.ledger["l1"]["stage"]
    assert "10.0.0.1" == launched.state.ip
    assert not launched.adopted


def test_the_record_names_the_group_and_holds_no_secret() -> None:
    """A person who finds it can remove what it is about."""
    from aciflow.model import spec_from_image

    spec = spec_from_image("nginx", name="web", secure_env={"K": "s3cret"}, new_name=lambda: "x")
    script = Script(probe=OK)
    _group(script)
    _launch(script, spec=spec, ready=Ready.running(), process={"pid": 7})
    record = script.ledger["l1"]
    assert REF.id == record["id"]
    assert 7 == record["pid"]
    assert "s3cret" not in repr(record)


def test_what_is_made_carries_our_tags_from_the_first_request_on() -> None:
    """Owner, launch, and when it may be reaped."""
    script = Script(probe=OK)
    _group(script)
    _launch(script, tags={"team": "a"}, delete_after=3600.0)
    (put,) = script.calls("group.put")
    assert put.body is not None
    assert put.body["tags"] == {
        "team": "a",
        "aciflow-launch-id": "l1",
        "aciflow-owner": "me@here",
        "DeleteAfter": "2026-01-01T01:00:00+00:00",
    }


def test_a_launch_tells_its_phases() -> None:
    """Each that begins also ends; the address only ends, since nobody here began it."""
    script = Script(probe=OK, rg_get=missing(), rg_put=reply({}))
    _group(script)
    process = script.start(lambda env: launch(env, request(group_known=False)))
    script.world.run()
    said = [(e.name, e.status) for e in process.events if e.status != "progress"]
    names = ["auth", "resource_group", "submit", "ready"]
    begun_here = [(name, status) for name, status in said if name != "address"]
    assert begun_here == [(name, status) for name in names for status in ("started", "finished")]
    assert ("address", "finished") in said
    timeline = process.result().facts.timeline()
    assert ["address", "auth", "ready", "resource_group", "submit"] == sorted(
        phase.name for phase in timeline.phases if phase.source == "client"
    )


def test_without_waiting_a_launch_ends_when_arm_has_accepted() -> None:
    """Its record stays: somebody has to delete it."""
    script = Script()
    _group(script)
    launched = _launch(script, wait=False)
    assert "Pending" == launched.state.provisioning_state
    assert ["l1"] == list(script.ledger)


def test_a_detached_launch_leaves_no_record() -> None:
    """It stays on purpose."""
    script = Script(probe=OK)
    _group(script)
    _launch(script, lifetime="detached")
    assert {} == script.ledger


# --- where ------------------------------------------------------------------------------------


def test_the_resource_groups_region_is_the_default() -> None:
    """Before az's default."""
    made = Made()
    script = Script(probe=OK, rg_get=HOME)
    _group(script)
    _launch(script, made, group_known=False, locations=(), fallback_location="westus")
    put = script.calls("group.put")[0].body
    assert put is not None
    assert "eastus" == put["location"] == made.location


def test_a_region_that_was_asked_for_wins() -> None:
    """Whatever the resource group's."""
    script = Script(probe=OK, rg_get=HOME)
    _group(script)
    _launch(script, group_known=False)
    put = script.calls("group.put")[0].body
    assert put is not None
    assert "westus" == put["location"]


def test_a_resource_group_that_is_missing_is_made() -> None:
    """And then there can be no container group in it yet."""
    made = Made()
    script = Script(probe=OK, rg_put=reply({}))
    _group(script)
    changes = {"locations": (), "fallback_location": "uksouth"}
    _launch(script, made, group_known=False, group_new=True, **changes)
    assert Made(resource_group=True, container_group=True, location="uksouth") == made
    assert ["rg.put", "group.put"] == [call.operation for call in script.calls()[:2]]


def test_no_region_is_chosen_in_silence() -> None:
    """Nothing is made, and nothing stays on record."""
    script = Script()
    with pytest.raises(LocationRequiredError) as caught:
        _launch(script, group_known=False, group_new=True, locations=())
    assert "resource_group" == caught.value.phase
    assert [] == script.calls()
    assert {} == script.ledger


@pytest.mark.parametrize("error", [CapacityError, QuotaExceededError])
def test_another_region_is_tried_where_one_refuses(error: type[Any]) -> None:
    """A refused PUT made nothing, so there is nothing to delete."""
    script = Script(probe=OK)
    _group(script)
    put = script.answers["group_put"]
    refusals = [error("no room", status=409)]
    script.answers["group_put"] = lambda call: refusals.pop() if refusals else put(call)
    _launch(script, locations=("westus", "eastus"))
    regions = [call.body["location"] for call in script.calls("group.put") if call.body]
    assert ["westus", "eastus"] == regions
    assert [] == script.calls("group.delete")


def test_another_region_is_tried_where_one_fails_after_it_accepted() -> None:
    """What it made there is deleted first, and the timeline is the second one's."""
    failed = view(None, provisioning="Failed", state="", ip=None)
    script = Script(
        group_get=[missing(), failed, failed, missing(), RUNNING],
        group_put=ACCEPTED,
        group_delete=reply({}),
        operation_get=reply(FULL),
        probe=OK,
    )
    process = script.start(lambda env: launch(env, request(locations=("westus", "eastus"))))
    script.world.run()
    launched = process.result()
    operations = [c.operation for c in script.calls() if not c.reads]
    assert ["group.put", "group.delete", "group.put"] == operations
    assert [1, 2] == [p.attempt for p in launched.facts.timeline().phases if p.name == "submit"]
    assert any("westus: The requested" in e.detail or "westus:" in e.detail for e in process.events)


def test_the_last_region_s_refusal_is_the_error() -> None:
    """With nothing left."""
    script = Script(group_get=missing(), group_put=CapacityError("no room", status=409))
    with pytest.raises(CapacityError) as caught:
        _launch(script, locations=("westus", "eastus"))
    assert () == caught.value.leftovers
    assert "submit" == caught.value.phase
    assert {} == script.ledger


# --- a name that is taken -----------------------------------------------------------------------


def test_a_taken_name_is_an_error() -> None:
    """And the group that has it is left alone."""
    script = Script(group_get=RUNNING)
    with pytest.raises(NameTakenError, match="if_exists='adopt'"):
        _launch(script)
    assert all(call.reads for call in script.calls())
    assert {} == script.ledger


def test_a_group_can_be_adopted() -> None:
    """It is waited for, and nobody has to delete it."""
    made = Made()
    script = Script(group_get=RUNNING, probe=OK)
    launched = _launch(script, made, if_exists="adopt")
    assert launched.adopted
    assert all(call.reads for call in script.calls())
    assert {} == script.ledger
    assert not made.container_group


def test_an_adopted_group_is_not_deleted_by_its_failure() -> None:
    """Its log is read all the same."""
    script = Script(group_get=view(ended(3)), group_logs=logs("no config\n"))
    with pytest.raises(ContainerExitedError, match="no config"):
        _launch(script, if_exists="adopt")
    assert all(call.reads for call in script.calls())


def test_a_group_of_ours_can_be_replaced() -> None:
    """The old one is gone before the new one is asked for; its record too."""
    script = Script(probe=OK)
    there = _group(script)
    there["group"] = reply(body(running(), tags={"aciflow-launch-id": "l0"}))
    script.ledger["l0"] = {"launch_id": "l0"}
    launched = _launch(script, if_exists="replace")
    assert ["group.delete", "group.put"] == [c.operation for c in script.calls() if not c.reads]
    assert ["l1"] == list(script.ledger)
    assert launched.facts.timeline()["replace"].duration > 0


def test_a_group_of_others_cannot_be_replaced() -> None:
    """It does not carry our tag."""
    script = Script(group_get=reply(body(running(), tags={"team": "a"})))
    with pytest.raises(NotOursError):
        _launch(script, if_exists="replace")
    assert all(call.reads for call in script.calls())


# --- the PUT ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [outage(), unreachable()])
def test_a_put_whose_reply_was_lost_is_not_sent_again(error: Exception) -> None:
    """A second one would restart what the first one made."""
    script = Script(probe=OK)
    _group(script)
    put = script.answers["group_put"]

    def lost(call: ArmCall) -> Any:
        put(call)
        return error

    script.answers["group_put"] = lost
    assert "10.0.0.1" == _launch(script).state.ip
    assert 1 == len(script.calls("group.put"))


def test_a_put_that_did_nothing_is_sent_again() -> None:
    """Also where nobody can tell, or another's group is in the way for a moment."""
    theirs = reply(body(running(), tags={"aciflow-launch-id": "l2"}))
    script = Script(
        group_get=[missing(), unreachable(), theirs, missing(), RUNNING],
        group_put=[outage(), busy(), busy(), ACCEPTED],
        probe=OK,
    )
    assert "10.0.0.1" == _launch(script).state.ip
    assert 4 == len(script.calls("group.put"))


def test_a_put_that_was_throttled_waits_as_long_as_arm_says() -> None:
    """Not a moment less."""
    script = Script(
        group_get=[missing(), missing(), RUNNING], group_put=[throttled(20.0), ACCEPTED], probe=OK
    )
    _launch(script)
    first, second = script.times("group.put")
    assert 20.0 <= second - first <= 20.3


def test_a_refused_put_leaves_nothing_to_look_for() -> None:
    """The error comes at once, and whoever has that name is left alone."""
    made = Made()
    script = Script(
        group_get=missing(), group_put=ImageError("no image", status=400, code="InaccessibleImage")
    )
    with pytest.raises(ImageError) as caught:
        _launch(script, made)
    assert ["group.get", "group.put"] == [call.operation for call in script.calls()]
    assert not made.container_group
    assert () == caught.value.leftovers
    assert {} == script.ledger


def test_a_put_that_may_have_worked_is_cleaned_up_after() -> None:
    """It is looked for until it is certain that there is nothing, or that it is gone."""
    script = Script(
        group_get=[
            missing(),
            missing(),
            missing(),
            missing(),
            missing(),
            missing(),
            RUNNING,
            missing(),
        ],
        group_put=[outage(), AuthorizationError("no", status=403)],
        group_delete=reply({}),
        group_logs=missing(),
    )
    with pytest.raises(AuthorizationError) as caught:
        _launch(script)
    assert 1 == len(script.calls("group.delete"))
    assert () == caught.value.leftovers
    assert {} == script.ledger


def test_a_provider_that_is_not_registered_is_registered() -> None:
    """Which takes a moment, and takes effect a moment later."""
    unregistered = NotRegisteredError("no", status=409, code="MissingSubscriptionRegistration")
    script = Script(
        group_get=[missing(), RUNNING],
        group_put=[unregistered, unregistered, ACCEPTED],
        provider_register=reply({}),
        provider_get=[
            reply({"registrationState": "Registering"}),
            reply({"registrationState": "Registered"}),
        ],
        probe=OK,
    )
    launched = _launch(script)
    assert 1 == len(script.calls("provider.register"))
    assert launched.facts.timeline()["register"].duration > 2.0


@pytest.mark.parametrize("state", ["Registering", "Registered"])
def test_a_registration_that_takes_too_long_is_an_error(state: str) -> None:
    """Whether it never ends or never takes effect."""
    script = Script(
        group_get=missing(),
        group_put=NotRegisteredError("no", status=409),
        provider_register=reply({}),
        provider_get=reply({"registrationState": state}),
    )
    with pytest.raises(NotRegisteredError):
        _launch(script, timeout=30.0)
    assert 25.0 < script.world.now() < 31.0


# --- when it is ready -----------------------------------------------------------------------------


def _lagging(script: Script, until: float) -> ArmError:
    """Have PUTs fail until then because the resource group is not known everywhere yet."""
    lag = NotFoundError("no such resource group", status=404, code="ResourceGroupNotFound")
    put = script.answers["group_put"]
    script.answers["group_put"] = lambda call: lag if script.world.now() < until else put(call)
    return lag


def test_a_resource_group_that_was_just_made_may_not_be_known_everywhere() -> None:
    """ARM's regions learn of it one after the other."""
    script = Script(probe=OK, rg_get=missing(), rg_put=reply({}))
    _group(script)
    _lagging(script, until=10.0)
    assert "10.0.0.1" == _launch(script, group_known=False).state.ip
    assert 1 < len(script.calls("group.put")) < 20


def test_a_resource_group_that_stays_unknown_is_an_error_soon() -> None:
    """The lag is seconds."""
    script = Script(probe=OK, rg_get=missing(), rg_put=reply({}))
    _group(script)
    lag = _lagging(script, until=1e9)
    with pytest.raises(NotFoundError) as caught:
        _launch(script, group_known=False)
    assert caught.value is lag
    assert LAG <= script.times("group.put")[-1] < LAG + 25.0
    assert {"group-" in key for key in script.ledger} == {True}


@pytest.mark.parametrize("code", ["ResourceGroupNotFound", "SubnetNotFound"])
def test_what_this_launch_did_not_make_is_missing_at_once(code: str) -> None:
    """It is a mistake, not a lag."""
    script = Script(rg_get=missing(), rg_put=reply({}), group_get=missing())
    script.answers["group_put"] = NotFoundError("no", status=404, code=code)
    with pytest.raises(NotFoundError):
        _launch(script, group_known=code == "ResourceGroupNotFound")
    assert 1 == len(script.calls("group.put"))


def test_a_last_read_completes_the_timeline() -> None:
    """Where reads cost nothing."""
    script = Script(
        group_get=[missing(), view(None, provisioning="Creating"), RUNNING],
        group_put=ACCEPTED,
        probe=OK,
    )
    launched = _launch(script, pace=LOCAL)
    assert "Running" == launched.state.containers[0].current.state  # type: ignore[union-attr]


def test_a_last_read_that_fails_does_no_harm() -> None:
    """It serves."""
    script = Script(
        group_get=[missing(), view(None, provisioning="Creating"), throttled(60.0)],
        group_put=ACCEPTED,
        probe=OK,
    )
    assert "Creating" == _launch(script, pace=LOCAL).state.provisioning_state
    assert script.world.now() < 5.0


# --- the end of a failure -------------------------------------------------------------------------


def test_a_failure_says_what_was_seen_and_leaves_nothing() -> None:
    """Phase, timeline, events, the last lines of the container at fault."""
    events = [event("Pulling", 2.0), event("BackOff", 3.0, "again", "Warning", 4)]
    crashed = view(running(), ended(3), container_events=events)
    script = Script(
        group_get=[missing(), crashed, crashed, crashed, missing()],
        group_put=ACCEPTED,
        group_logs=[outage(), logs("no config\n")],
        group_delete=reply({}),
        probe=REFUSED,
    )
    with pytest.raises(ContainerExitedError) as caught:
        _launch(script)
    context = caught.value.context
    assert context is not None
    assert "ready" == context.phase
    assert "no config\n" == context.logs
    assert "BackOff: again (x4)" in context.events
    assert "web1" == script.calls("group.logs")[0].container
    assert "ready" in [phase.name for phase in context.timeline.phases]
    assert "nothing is left" in str(caught.value)
    assert {} == script.ledger


def test_evidence_that_cannot_be_had_is_missing() -> None:
    """The error is the same without it."""
    views = [missing(), view(), throttled(60.0), view(), missing()]
    script = Script(
        group_get=views, group_put=ACCEPTED, group_delete=reply({}), operation_get=missing()
    )
    with pytest.raises(NotReadyError) as caught:
        _launch(script, timeout=3.8, ready=Ready.running())
    assert caught.value.context is not None
    assert "" == caught.value.context.logs


def test_a_group_without_containers_has_no_log_to_read() -> None:
    """What ARM shows may be incomplete."""
    script = Script(
        group_get=[missing(), view(), view(), view(), missing()],
        group_put=ACCEPTED,
        group_delete=reply({}),
        operation_get=missing(),
    )
    with pytest.raises(NotReadyError):
        _launch(script, timeout=3.8, ready=Ready.running())
    assert [] == script.calls("group.logs")


def test_a_failed_group_can_be_kept() -> None:
    """To look into it; the error and the ledger say that it is there."""
    made = Made()
    script = Script(group_get=[missing(), view(ended(3))], group_put=ACCEPTED, group_logs=logs(""))
    with pytest.raises(ContainerExitedError) as caught:
        _launch(script, made, on_failure="keep")
    assert (REF.leftover,) == caught.value.leftovers
    assert ["l1"] == list(script.ledger)
    assert [] == script.calls("group.delete")
    assert not made.container_group


def test_a_group_that_cannot_be_deleted_is_reported() -> None:
    """The first error stays the first; the ledger keeps the record."""
    script = Script(
        group_get=[missing(), view(ended(3))],
        group_put=ACCEPTED,
        group_logs=logs(""),
        group_delete=AuthorizationError("may not delete", status=403),
    )
    with pytest.raises(ContainerExitedError) as caught:
        _launch(script)
    assert (REF.leftover,) == caught.value.leftovers
    assert "may not delete" in caught.value.__notes__[0]
    assert ["l1"] == list(script.ledger)


def test_a_clean_up_between_two_regions_is_not_tried_twice() -> None:
    """It took its time, and says what is left."""
    failed = view(None, provisioning="Failed", state="", ip=None)
    script = Script(
        group_get=[missing(), failed],
        group_put=ACCEPTED,
        operation_get=reply(FULL),
        group_logs=missing(),
        group_delete=AuthorizationError("may not delete", status=403),
    )
    with pytest.raises(CleanupError) as caught:
        _launch(script, locations=("westus", "eastus"))
    assert (REF.leftover,) == caught.value.leftovers
    assert 1 == len(script.calls("group.delete"))


def test_no_credential_ends_it_before_anything_is_made() -> None:
    """And nothing stays on record."""
    script = Script(auth=CredentialError("sign in"))
    with pytest.raises(CredentialError) as caught:
        _launch(script)
    assert "auth" == caught.value.phase
    assert {} == script.ledger


def test_a_record_that_cannot_be_written_ends_it_before_anything_is_sent() -> None:
    """Nothing is made without one."""
    script = Script(ledger_write=OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        _launch(script)
    assert [] == script.calls()


@pytest.mark.parametrize("at", [x / 10 for x in range(1, 60)])
def test_an_interruption_at_any_time_leaves_nothing(at: float) -> None:
    """Ctrl-C during the record, a request, a wait, a probe."""
    made = Made()
    script = Script(probe=REFUSED, rg_get=missing(), rg_put=reply({}))
    there = _group(script)
    process = script.start(lambda env: launch(env, request(group_known=False), made))
    script.world.at(at, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.run()
    assert isinstance(process.error, KeyboardInterrupt)
    assert there["group"] is None
    assert "l1" not in script.ledger
    assert not made.container_group
    assert made.resource_group == bool(script.ledger)


def test_a_second_interruption_ends_the_clean_up_and_leaves_the_record() -> None:
    """What is left is on disk."""
    made = Made()
    script = Script(probe=REFUSED)
    there = _group(script)
    process = script.start(lambda env: launch(env, request(), made))
    script.world.at(5.0, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.at(5.05, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.run()
    assert isinstance(process.error, KeyboardInterrupt)
    assert there["group"] is not None
    assert ["l1"] == list(script.ledger)
    assert made.container_group


def test_an_interrupted_launch_that_cannot_clean_up_says_what_is_left() -> None:
    """In a note: a KeyboardInterrupt has no context."""
    script = Script(probe=REFUSED)
    _group(script)
    script.answers["group_delete"] = AuthorizationError("may not", status=403)
    process = script.start(lambda env: launch(env, request()))
    script.world.at(5.0, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.run()
    assert process.error is not None
    assert any(REF.id in note for note in process.error.__notes__)


def test_a_launch_that_is_dropped_keeps_its_record() -> None:
    """A generator that is closed cannot clean up."""
    script = Script(probe=REFUSED)
    _group(script)

    from aciflow.flow.effects import Env

    flow = launch(Env(clock=script.world, random=None), request())  # type: ignore[arg-type]
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)


def test_what_replaced_a_launch_meanwhile_is_not_deleted_with_it() -> None:
    """Another process replaced it, and then this one's wait failed."""
    theirs = reply(body(ended(3), tags={"aciflow-launch-id": "l2"}))
    script = Script(group_get=[missing(), theirs], group_put=ACCEPTED, group_logs=logs(""))
    with pytest.raises(AciflowError):
        _launch(script)
    assert [] == script.calls("group.delete")
    assert {} == script.ledger


def test_a_resource_group_that_is_still_being_deleted_is_an_error_in_time() -> None:
    """The launch's own deadline counts."""
    gone = reply({"location": "w", "properties": {"provisioningState": "Deleting"}})
    with pytest.raises(TransitioningError):
        _launch(Script(rg_get=gone), group_known=False, timeout=30.0)


def test_the_pace_of_azure_is_the_default_of_these_tests() -> None:
    """What is measured above is measured at the pace that users get."""
    assert AZURE == request().pace
