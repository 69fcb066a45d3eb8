from __future__ import annotations

from typing import Any

import pytest

from tests.flow.kit import (
    REF,
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
    AuthorizationError,
    CapacityError,
    CleanupError,
    ContainerExitedError,
    CredentialError,
    GroupGoneError,
    ImagePullError,
    NotReadyError,
    ProvisioningError,
    RunTimeoutError,
    ServiceError,
)
from aciflow.flow.groups import Made
from aciflow.flow.lines import LogLine
from aciflow.flow.run import OUTAGE, RunOutcome, run
from aciflow.ready import Ready


ACCEPTED = reply(body(None, provisioning="Pending", ip=None), 201, azure_asyncoperation=URL)
CREATING = view(None, provisioning="Creating", state="Pending", ip=None)
RUNNING = view(running())


def _line(second: int, text: str) -> str:
    return f"2026-01-01T00:00:{second:02d}Z {text}\n"


def _script(*views: Any, **answers: Any) -> Script:
    """A run whose group is seen as given, then deleted and gone."""
    last = next(v for v in reversed(views) if not isinstance(v, Exception))
    defaults: dict[str, Any] = {
        "group_get": [missing(), *views, *([] if "stays" in answers else [last, missing()])],
        "group_put": ACCEPTED,
        "group_logs": logs(""),
        "group_delete": reply({}),
    }
    answers.pop("stays", None)
    return Script(**{**defaults, **answers})


def _start(
    script: Script,
    *,
    made: Made | None = None,
    check: bool = False,
    limit: Any = None,
    **changes: Any,
) -> Any:
    wanted = request(wait=False, ready=Ready.completed(), **changes)
    return script.start(lambda env: run(env, wanted, made or Made(), timeout=limit, check=check))


def _run(script: Script, **options: Any) -> RunOutcome:
    process = _start(script, **options)
    script.world.run_until(lambda: process.ended)
    outcome: RunOutcome = process.result()
    return outcome


def test_a_run_ends_with_its_container() -> None:
    """With its exit code, every line once, and nothing left."""
    first, second = _line(1, "one"), _line(2, "two")
    made = Made()
    script = _script(
        CREATING,
        RUNNING,
        RUNNING,
        view(ended(3, 10.0)),
        group_logs=[logs(first), logs(first + "2026-01-01T00:00:02Z tw"), logs(first + second)],
    )
    process = _start(script, made=made)
    script.world.run()
    outcome = process.result()
    assert 3 == outcome.exit_code
    assert ["one", "two"] == [line.text for line in outcome.lines]
    assert outcome.lines == tuple(e for e in process.events if isinstance(e, LogLine))
    assert not outcome.truncated
    assert pytest.approx(1.0) == outcome.seconds
    assert {} == script.ledger
    assert not made.container_group
    assert outcome.launched.facts.timeline()["delete"].duration > 0


def test_a_last_line_without_its_end_is_told_when_the_container_has_ended() -> None:
    """Nothing more comes."""
    script = _script(view(ended()), group_logs=logs("2026-01-01T00:00:02Z no end"))
    assert ["no end"] == [line.text for line in _run(script).lines]


def test_a_container_that_waits_has_not_started() -> None:
    """Its log is not asked for."""
    waiting = view({"restartCount": 0, "currentState": {"state": "Waiting", "detailStatus": ""}})
    script = _script(waiting, waiting, view(ended()))
    _run(script)
    assert min(script.times("group.logs")) > max(script.times("group.get")[:3])


def test_lost_lines_are_noticed() -> None:
    """A stopped group keeps 16 KB."""
    script = _script(
        RUNNING, view(ended()), group_logs=[logs(_line(1, "one")), logs(_line(9, "nine"))]
    )
    assert _run(script).truncated


@pytest.mark.parametrize(
    "trouble", [missing(), busy(), throttled(), throttled(None), unreachable(), outage()]
)
def test_a_log_that_cannot_be_read_now_is_read_later(trouble: Exception) -> None:
    """What throttles is left in peace meanwhile."""
    script = _script(RUNNING, RUNNING, view(ended()), group_logs=[trouble, logs(_line(1, "one"))])
    assert ["one"] == [line.text for line in _run(script).lines]
    first, second = script.times("group.logs")[:2]
    assert second - first >= (getattr(trouble, "retry_after", None) or 0.0)


def test_a_log_that_may_not_be_read_is_an_error() -> None:
    """Nobody would miss the output otherwise."""
    script = _script(RUNNING, RUNNING, group_logs=AuthorizationError("no", status=403))
    with pytest.raises(AuthorizationError):
        _run(script)
    assert {} == script.ledger


def test_with_check_an_exit_code_is_an_error() -> None:
    """With the output in its context; and the group is deleted all the same."""
    script = _script(view(ended(3)), group_logs=logs(_line(1, "oh")))
    with pytest.raises(ContainerExitedError, match="oh") as caught:
        _run(script, check=True)
    assert 3 == caught.value.exit_code
    assert "run" == caught.value.phase
    assert 1 == len(script.calls("group.delete"))


def test_with_check_exit_code_0_is_none() -> None:
    """All is well."""
    assert 0 == _run(_script(view(ended(0))), check=True).exit_code


def test_a_run_that_takes_too_long_is_ended() -> None:
    """With what it wrote until then."""
    script = _script(*[RUNNING] * 9, group_logs=logs(_line(1, "still")))
    with pytest.raises(RunTimeoutError, match="within 5 s") as caught:
        _run(script, limit=5.0)
    assert caught.value.context is not None
    assert "still\n" == caught.value.context.logs
    assert "run" == caught.value.phase
    assert {} == script.ledger
    started = script.times("group.get")[1]
    assert script.times("group.delete")[0] - started < 6.5


@pytest.mark.parametrize(("seen", "said"), [(CREATING, "Pending"), (missing(), "not seen")])
def test_a_run_that_does_not_start_in_time_is_given_up(seen: Any, said: str) -> None:
    """The error says how far it was."""
    views = [CREATING, seen] if said == "Pending" else [seen, CREATING]
    script = _script(*([CREATING] * 20 if said == "Pending" else views), operation_get=missing())
    if said == "not seen":
        script = Script(
            group_get=[missing(), missing(), missing()],
            group_put=ACCEPTED,
            group_logs=logs(""),
        )
    with pytest.raises(NotReadyError, match=said) as caught:
        _run(script, timeout=10.0 if said == "Pending" else 3.9)
    assert "start" == caught.value.phase


def test_a_group_that_is_not_found_at_first_may_come() -> None:
    """ARM's reads lag behind its writes."""
    assert 0 == _run(_script(missing(), missing(), view(ended()))).exit_code


def test_a_group_that_somebody_deleted_ends_the_run() -> None:
    """There is nothing to wait for."""
    script = Script(group_get=missing(), group_put=ACCEPTED)
    with pytest.raises(GroupGoneError):
        _run(script)
    assert {} == script.ledger


def test_an_image_that_cannot_be_pulled_ends_the_run() -> None:
    """At once."""
    events = [event("Failed", 2.0, 'Failed to pull image "x": no such')]
    script = _script(view(None, provisioning="Creating", container_events=events))
    with pytest.raises(ImagePullError):
        _run(script)


FAILED = view(None, provisioning="Failed", state="", ip=None)
FULL = reply(
    {
        "status": "Failed",
        "error": {"message": "The requested resource is not available in the location 'westus'"},
    }
)


def test_a_failed_operation_names_the_reason() -> None:
    """As for a launch."""
    with pytest.raises(CapacityError):
        _run(_script(FAILED, FAILED, operation_get=FULL))


@pytest.mark.parametrize("answer", [ACCEPTED, reply(ACCEPTED.body, 201)])
def test_a_failed_group_without_a_reason_is_an_error_too(answer: Any) -> None:
    """Whether the operation does not tell or is not known."""
    script = _script(FAILED, FAILED, group_put=answer, operation_get=missing())
    with pytest.raises(ProvisioningError):
        _run(script)


def test_a_run_goes_to_another_region_where_one_has_no_room() -> None:
    """Also if that turns out later."""
    script = Script(
        group_get=[missing(), FAILED, FAILED, missing(), view(ended()), view(ended()), missing()],
        group_put=ACCEPTED,
        group_logs=logs(""),
        group_delete=reply({}),
        operation_get=FULL,
    )
    assert 0 == _run(script, locations=("westus", "eastus")).exit_code
    assert 2 == len(script.calls("group.put"))


def test_an_outage_does_not_end_what_has_run_for_hours() -> None:
    """It is waited out."""
    script = _script(RUNNING, *[unreachable()] * 30, view(ended()))
    assert 0 == _run(script).exit_code


def test_an_outage_does_not_last_for_ever() -> None:
    """After half an hour it is given up, with the record of what is left."""
    script = Script(
        group_get=[missing(), RUNNING, outage()],
        group_put=ACCEPTED,
        group_logs=logs(_line(1, "one")),
    )
    with pytest.raises(ServiceError) as caught:
        _run(script)
    assert script.world.now() > OUTAGE - 30.0
    assert (REF.leftover,) == caught.value.leftovers
    assert ["l1"] == list(script.ledger)


def test_a_run_that_may_not_renew_its_token_for_a_while_is_not_ended() -> None:
    """A network that is away takes the sign-in host along."""
    no_token = CredentialError("the credential gave no token")
    script = _script(
        RUNNING,
        *[no_token] * 9,
        RUNNING,
        view(ended()),
        group_logs=[logs(""), no_token, no_token, logs(_line(1, "one"))],
    )
    outcome = _run(script)
    assert 0 == outcome.exit_code
    assert ["one"] == [line.text for line in outcome.lines]


@pytest.mark.parametrize("trouble", [outage(), throttled(600.0)])
def test_an_outage_does_not_make_a_run_longer_than_it_may_be(trouble: Exception) -> None:
    """It is ended when its time is up, and not before."""
    script = _script(RUNNING)

    def get(_: Any) -> Any:
        now = script.world.now()
        if now < 1.0 or script.calls("group.delete"):
            return missing()
        return trouble if 8.0 < now < 66.0 else RUNNING

    script.answers["group_get"] = get
    with pytest.raises(RunTimeoutError, match="within 60 s") as caught:
        _run(script, limit=60.0)
    assert caught.value.__cause__ is trouble
    started = script.times("group.get")[1]
    assert 60.0 <= script.times("group.delete")[0] - started < 90.0


def test_a_throttled_log_does_not_make_a_run_longer_than_it_may_be() -> None:
    """What throttles is waited for only as long."""
    script = _script(*[RUNNING] * 3, group_logs=throttled(600.0))
    with pytest.raises(RunTimeoutError):
        _run(script, limit=5.0)
    started = script.times("group.get")[1]
    assert script.times("group.delete")[0] - started < 6.5


def test_a_last_read_that_is_throttled_is_not_waited_for() -> None:
    """Nothing would come after it."""
    script = _script(view(ended()), group_logs=[logs(_line(1, "one")), throttled(600.0)])
    assert ["one"] == [line.text for line in _run(script).lines]
    assert script.world.now() < 60.0


def test_a_run_that_cannot_be_deleted_says_so_with_its_output() -> None:
    """Nothing of what it did is lost."""
    script = _script(
        view(ended()),
        view(ended()),
        stays=True,
        group_logs=logs(_line(1, "result")),
        group_delete=AuthorizationError("no", status=403),
    )
    with pytest.raises(CleanupError) as caught:
        _run(script)
    assert caught.value.context is not None
    assert "result\n" == caught.value.context.logs
    assert (REF.leftover,) == caught.value.leftovers
    assert ["l1"] == list(script.ledger)


@pytest.mark.parametrize("at", [1.0, 4.5, 6.05, 7.05, 7.15])
def test_an_interrupted_run_leaves_nothing(at: float) -> None:
    """Whether it starts, runs, or is being deleted."""
    there: dict[str, Any] = {"put": None, "deleted": False}
    script = Script()

    def put(call: Any) -> Any:
        there["put"] = call.body["tags"]
        return ACCEPTED

    def get(_: Any) -> Any:
        if there["put"] is None or there["deleted"]:
            return missing()
        state = running() if script.world.now() < 5.0 else ended()
        return reply(body(state, tags=there["put"]))

    def delete(_: Any) -> Any:
        there["deleted"] = True
        return reply({})

    script.answers.update(group_put=put, group_get=get, group_delete=delete, group_logs=logs(""))
    process = _start(script)
    script.world.at(at, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.run()
    assert isinstance(process.error, KeyboardInterrupt)
    assert there["deleted"]
    assert {} == script.ledger


def test_a_run_that_is_dropped_keeps_its_record() -> None:
    """A generator that is closed cannot clean up."""
    from aciflow.flow.effects import Env

    script = Script()
    env = Env(clock=script.world, random=None)  # type: ignore[arg-type]
    flow = run(env, request(), Made(), timeout=None, check=False)
    next(flow)
    flow.close()
    with pytest.raises(StopIteration):
        next(flow)
