from __future__ import annotations

import itertools
import json

from typing import Any

import pytest

from tests.flow.kit import (
    OK,
    REF,
    URL,
    Script,
    body,
    busy,
    ended,
    logs,
    missing,
    outage,
    reply,
    running,
    view,
    waiting,
)

from aciflow.errors import (
    CapacityError,
    CleanupError,
    GroupGoneError,
    NotReadyError,
    ProvisioningError,
    ServiceError,
)
from aciflow.flow import handle
from aciflow.flow.facts import Facts
from aciflow.flow.lines import LogCursor
from aciflow.flow.pace import AZURE
from aciflow.ready import Ready


RUNNING = view(running())
LINE = "2026-01-01T00:00:01Z one\n"


def test_reading_shows_what_is_there_now() -> None:
    """With where its ports are, and the headers for the timeline."""
    mapped: Any = {"x_aciflow_mapped": json.dumps({"80": ["127.0.0.1", 5]})}
    script = Script(group_get=[outage(), reply(RUNNING.body, **mapped)])
    seen = script.run(lambda env: handle.read(env, REF))
    assert "10.0.0.1" == seen.state.ip
    assert {80: ("127.0.0.1", 5)} == seen.mapped
    assert "x-aciflow-mapped" in seen.headers


def test_a_group_that_is_not_there_is_gone() -> None:
    """Not a 404 of some request."""
    with pytest.raises(GroupGoneError, match="containerGroups/web"):
        Script(group_get=missing()).run(lambda env: handle.read(env, REF))


def test_waiting_looks_at_once_and_again_soon() -> None:
    """It may be ready already."""
    script = Script(group_get=[view(waiting()), RUNNING], probe=OK)
    waited = script.run(
        lambda env: handle.wait(env, REF, Ready.running(), pace=AZURE, timeout=60.0, label="")
    )
    assert "10.0.0.1" == waited.state.ip
    assert 0.0 == script.times("group.get")[0]
    assert script.world.now() < 5.0


def test_a_log_is_text() -> None:
    """As many lines as one asks for, and none where there is none."""
    script = Script(group_logs=[logs("one\n"), reply(None)])
    assert "one\n" == script.run(lambda env: handle.logs(env, REF, "web", 10))
    assert "" == script.run(lambda env: handle.logs(env, REF, "web", None))
    assert [10, None] == [call.tail for call in script.calls("group.logs")]


def test_a_container_that_has_not_started_has_an_empty_log() -> None:
    """Nobody waits for it; an outage is waited out."""
    script = Script(group_logs=busy())
    assert "" == script.run(lambda env: handle.logs(env, REF, "web", None))
    assert 1 == len(script.calls("group.logs"))
    script = Script(group_logs=[outage(), logs("one\n")])
    assert "one\n" == script.run(lambda env: handle.logs(env, REF, "web", None))


def test_a_container_that_is_not_there_has_no_log() -> None:
    """The error names both."""
    with pytest.raises(GroupGoneError, match="no container 'web'"):
        Script(group_logs=missing()).run(lambda env: handle.logs(env, REF, "web", None))


def _follow(script: Script, times: int, container: str = "web") -> list[tuple[list[str], bool]]:
    cursor = LogCursor()
    found = []
    for _ in range(times):
        lines, done = script.run(lambda env: handle.follow(env, REF, container, cursor, pace=AZURE))
        found.append(([line.text for line in lines], done))
    return found


def test_following_tells_each_line_once_until_the_end() -> None:
    """An unfinished line is told with the end."""
    script = Script(
        group_get=[RUNNING, RUNNING, view(ended(), restartPolicy="Never")],
        group_logs=[logs(LINE), logs(LINE + "2026-01-01T00:00:02Z t")],
    )
    assert [(["one"], False), ([], False), (["t"], True)] == _follow(script, 3)


def test_following_reads_no_more_often_than_the_pace_says() -> None:
    """However much the container writes."""
    lines = [f"2026-01-01T00:00:{i:02d}Z {i}\n" for i in range(5)]
    script = Script(group_get=RUNNING, group_logs=[logs("".join(lines[: i + 1])) for i in range(5)])
    _follow(script, 5)
    times = script.times("group.logs")
    assert all(b - a >= AZURE.lines for a, b in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("policy", "code", "state", "over"),
    [
        ("Always", 0, "Running", False),
        ("Always", 0, "Stopped", True),
        ("OnFailure", 0, "Succeeded", True),
        ("OnFailure", 1, "Running", False),
        ("Never", 1, "Failed", True),
    ],
)
def test_following_ends_where_the_container_is_not_started_again(
    policy: str, code: int, state: str, over: bool
) -> None:
    """Which the restart policy says."""
    script = Script(
        group_get=view(ended(code), restartPolicy=policy, state=state), group_logs=logs("")
    )
    assert [([], over)] == _follow(script, 1)


@pytest.mark.parametrize("none", [missing(), busy()])
def test_following_waits_where_there_is_no_log_yet(none: Exception) -> None:
    """Its pace is the same."""
    script = Script(
        group_get=[view(None), view(None), RUNNING], group_logs=[none, none, logs(LINE)]
    )
    assert [([], False), ([], False), (["one"], False)] == _follow(script, 3)
    times = script.times("group.logs")
    assert all(b - a >= AZURE.lines for a, b in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("provisioning", "state"), [("Failed", ""), ("Canceled", ""), ("Succeeded", "Stopped")]
)
def test_following_ends_where_no_container_will_start(provisioning: str, state: str) -> None:
    """Its log is asked for once, and not waited for."""
    script = Script(
        group_get=view(None, provisioning=provisioning, state=state),
        group_logs=[busy(), logs(LINE)],
    )
    assert [([], True)] == _follow(script, 1)
    script = Script(
        group_get=view(None, provisioning=provisioning, state=state), group_logs=logs("no time")
    )
    assert [(["no time"], True)] == _follow(script, 1)


def test_following_needs_a_container_of_that_name() -> None:
    """The error comes at once."""
    with pytest.raises(GroupGoneError, match="no container 'other'"):
        _follow(Script(group_get=RUNNING), 1, "other")


def _change(script: Script, operation: Any) -> Any:
    return script.run(lambda env: handle.change(env, REF, operation, pace=AZURE))


def test_stopping_is_done_when_nothing_runs() -> None:
    """As ARM shows it."""
    script = Script(
        group_get=[RUNNING, RUNNING, view(ended(137), state="Stopped")],
        group_stop=reply(status=204),
    )
    assert "Stopped" == _change(script, "group.stop").state.state


def test_starting_is_done_when_the_containers_have_a_new_start() -> None:
    """Not while the operation goes on, nor while ARM shows the old one."""
    script = Script(
        group_get=[
            view(ended(137, 1.0), state="Stopped"),
            view(ended(137, 1.0), provisioning="Updating"),
            view(ended(137, 1.0)),
            view(None),
            view(running(50.0)),
        ],
        group_start=reply(status=204),
    )
    assert "Running" == _change(script, "group.start").state.containers[0].current.state


def test_starting_what_runs_is_done_at_once() -> None:
    """There is nothing to wait for."""
    script = Script(group_get=RUNNING, group_start=reply(status=204))
    _change(script, "group.start")
    assert 2 == len(script.calls("group.get"))


def test_restarting_waits_for_a_new_start() -> None:
    """A start that ended at once, and waits to be repeated, counts."""
    looping = {
        "restartCount": 1,
        "currentState": waiting("CrashLoopBackOff"),
        "previousState": ended(1, 50.0),
    }
    script = Script(
        group_get=[RUNNING, RUNNING, view(waiting()), view(looping)],
        group_restart=reply(status=204),
    )
    _change(script, "group.restart")
    assert 4 == len(script.calls("group.get"))


def test_a_change_that_does_not_happen_is_an_error() -> None:
    """In the end."""
    script = Script(group_get=RUNNING, group_restart=reply(status=204))
    with pytest.raises(NotReadyError, match="asked to restart and has not within 300 s"):
        _change(script, "group.restart")


@pytest.mark.parametrize("url", [True, False])
def test_a_change_that_fails_says_why_it_did(url: bool) -> None:
    """As far as the operation knows."""
    message = "The requested resource is not available in the location 'westus'"
    failed = view(ended(137, 1.0), provisioning="Failed", state="")
    script = Script(
        group_get=[view(ended(137, 1.0), state="Stopped"), failed],
        group_start=reply(status=202, **({"azure_asyncoperation": URL} if url else {})),
        operation_get=reply({"status": "Failed", "error": {"message": message}}),
    )
    with pytest.raises(CapacityError if url else ProvisioningError):
        _change(script, "group.start")


@pytest.mark.parametrize("url", [True, False])
def test_a_failure_from_before_a_change_is_not_the_changes(url: bool) -> None:
    """ARM may show it for a moment still."""
    old = view(ended(137, 1.0), provisioning="Failed", state="Stopped")
    script = Script(
        group_get=[old, old, old, view(running(50.0))],
        group_start=reply(status=202, **({"azure_asyncoperation": URL} if url else {})),
        operation_get=reply({"status": "InProgress"}),
    )
    assert "Succeeded" == _change(script, "group.start").state.provisioning_state


@pytest.mark.parametrize("url", [True, False])
def test_a_change_that_fails_again_is_an_error(url: bool) -> None:
    """At once where the operation says so, and otherwise when an old failure would be gone."""
    old = view(ended(137, 1.0), provisioning="Failed", state="Stopped")
    message = "The requested resource is not available in the location 'westus'"
    script = Script(
        group_get=old,
        group_start=reply(status=202, **({"azure_asyncoperation": URL} if url else {})),
        operation_get=reply({"status": "Failed", "error": {"message": message}}),
    )
    with pytest.raises(CapacityError if url else ProvisioningError):
        _change(script, "group.start")
    assert script.world.now() < (1.0 if url else handle.STALE + 5.0)


def test_deleting_is_confirmed_and_cleared_from_the_ledger() -> None:
    """And is a phase of the timeline."""

    def flow(env: Any) -> Any:
        facts = Facts(env=env, target="", title="web")
        existed = yield from handle.delete(env, REF, pace=AZURE, facts=facts, launch_id="l1")
        return existed, facts.timeline()["delete"].duration

    script = Script(group_get=[RUNNING, missing()], group_delete=reply({}))
    script.ledger["l1"] = {}
    existed, took = script.run(flow)
    assert existed
    assert took > 0
    assert {} == script.ledger


def test_deleting_what_was_picked_up_needs_no_record() -> None:
    """Nor a timeline."""
    script = Script(group_get=missing(), group_delete=reply({}))
    assert script.run(lambda env: handle.delete(env, REF, pace=AZURE, facts=None, launch_id=None))


def test_what_another_launch_has_put_there_is_not_deleted() -> None:
    """Its own record is cleared: what it was about is gone."""
    theirs = reply(body(running(), tags={"aciflow-launch-id": "l2"}))
    script = Script(group_get=theirs)
    script.ledger["l1"] = {}
    assert not script.run(
        lambda env: handle.delete(env, REF, pace=AZURE, facts=None, launch_id="l1")
    )
    assert {} == script.ledger


def test_a_deletion_that_is_not_confirmed_stays_on_record() -> None:
    """Something may be left."""
    script = Script(group_get=RUNNING, group_delete=reply({}))
    script.ledger["l1"] = {}
    with pytest.raises(CleanupError):
        script.run(lambda env: handle.delete(env, REF, pace=AZURE, facts=None, launch_id="l1"))
    assert ["l1"] == list(script.ledger)


def test_groups_are_listed_in_one_place_or_everywhere() -> None:
    """As ARM lists them."""
    script = Script(
        group_list=reply({"value": [1]}), group_list_all=[outage(), reply({"value": [1, 2]})]
    )
    assert (1,) == script.run(lambda env: handle.list_groups(env, "rg"))
    assert (1, 2) == script.run(lambda env: handle.list_groups(env, None))


def test_an_outage_that_lasts_is_an_error() -> None:
    """Of the service."""
    with pytest.raises(ServiceError):
        Script(group_list_all=outage()).run(lambda env: handle.list_groups(env, None))


def test_usages_are_flat() -> None:
    """Name, used, limit, unit."""
    item = {
        "name": {"value": "StandardCores", "localizedValue": "Cores"},
        "currentValue": 1,
        "limit": 10,
        "unit": "Count",
    }
    script = Script(location_usages=reply({"value": [item]}))
    expected = {"name": "StandardCores", "used": 1, "limit": 10, "unit": "Count"}
    assert (expected,) == script.run(lambda env: handle.usages(env, "westus"))
