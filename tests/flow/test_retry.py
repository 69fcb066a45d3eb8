from __future__ import annotations

import pytest

from tests.flow.kit import Script, busy, missing, outage, reply, throttled, unreachable

from aciflow.errors import (
    EndpointUnreachableError,
    ImageError,
    InvalidRequestError,
    ServiceError,
    ThrottledError,
)
from aciflow.flow.effects import ArmCall, Env, Flow, LedgerWrite
from aciflow.flow.retry import PATIENT, SETTLE, Attempts, perform, retrying, sleep, transient


GET = ArmCall(operation="group.get")
PUT = ArmCall(operation="group.put")


def test_only_what_may_pass_is_tried_again() -> None:
    """A refusal stays one; a registry that fails is not the image's fault."""
    assert all(transient(e) for e in (outage(), throttled(), busy(), unreachable()))
    assert not transient(missing())
    assert not transient(ServiceError("no Windows here", status=501))
    assert transient(ImageError("hub", status=409, code="RegistryErrorResponse"))
    assert not transient(ImageError("no such", status=400, code="InaccessibleImage"))


def test_an_outage_is_waited_out() -> None:
    """Each wait is at most what the policy allows, and the result is the last reply."""
    script = Script(group_get=[outage(), outage(), reply("there")])
    got = script.run(lambda env: retrying(env, GET, deadline=100.0))
    assert "there" == got.body
    first, second, third = script.times("group.get")
    assert second - first <= 0.5 + 0.1
    assert third - second <= 1.0 + 0.1


def test_retry_after_wins_over_the_policy() -> None:
    """Not sooner, and not later, than ARM says."""
    script = Script(group_get=[throttled(7.0), reply("there")])
    script.run(lambda env: retrying(env, GET, deadline=100.0))
    first, second = script.times("group.get")
    assert pytest.approx(7.1) == second - first


def test_a_throttled_call_does_not_wait_beyond_its_deadline() -> None:
    """The error comes at once instead."""
    script = Script(group_get=throttled(60.0))
    with pytest.raises(ThrottledError):
        script.run(lambda env: retrying(env, GET, deadline=30.0))
    assert 1 == len(script.calls())


def test_an_outage_is_given_up_after_ten_attempts() -> None:
    """However far the deadline is."""
    script = Script(group_get=outage())
    with pytest.raises(ServiceError):
        script.run(lambda env: retrying(env, GET, deadline=1e9))
    assert 10 == len(script.calls())


def test_an_endpoint_that_is_not_there_is_given_up_sooner() -> None:
    """Nobody waits minutes for a wrong URL."""
    script = Script(group_get=unreachable())
    with pytest.raises(EndpointUnreachableError):
        script.run(lambda env: retrying(env, GET, deadline=1e9))
    assert 4 == len(script.calls())


def test_a_patient_call_goes_on_until_its_deadline() -> None:
    """For a run that took hours already."""
    script = Script(group_get=[*[unreachable()] * 20, reply("there")])
    got = script.run(lambda env: retrying(env, GET, deadline=1e6, policy=PATIENT))
    assert "there" == got.body


def test_what_is_busy_is_tried_until_the_deadline() -> None:
    """A group that is transitioning will be done with it."""
    script = Script(group_put=[*[busy()] * 15, reply("done")])
    got = script.run(lambda env: retrying(env, PUT, deadline=1e6))
    assert "done" == got.body


def test_a_look_before_each_retry_can_make_it_needless() -> None:
    """A PUT whose reply was lost is not sent again."""
    found = iter([None, "found"])

    def look() -> Flow[str | None]:
        yield from ()
        return next(found)

    script = Script(group_put=outage())
    got = script.run(lambda env: retrying(env, PUT, deadline=1e6, before_retry=look))
    assert "found" == got
    assert 2 == len(script.calls())


@pytest.mark.parametrize(
    ("error", "unsure"),
    [
        (unreachable(), True),
        (outage(), True),
        (KeyboardInterrupt(), True),
        (busy(), False),
        (InvalidRequestError("no", status=400), False),
    ],
)
def test_a_write_that_was_refused_did_nothing(error: BaseException, unsure: bool) -> None:
    """One that was not answered may have worked."""
    attempts = Attempts()
    attempts.failed(error)
    assert unsure == attempts.unsure


def test_attempts_remember_an_unanswered_one() -> None:
    """Even if the last one was refused."""
    attempts = Attempts()
    script = Script(group_put=[outage(), InvalidRequestError("no", status=400)])
    with pytest.raises(InvalidRequestError):
        script.run(lambda env: retrying(env, PUT, deadline=1e6, attempts=attempts))
    assert attempts.unsure


def _interrupted(script: Script, effect: ArmCall | LedgerWrite) -> float:
    def flow(env: Env) -> Flow[float]:
        try:
            yield from perform(env, effect)
        except KeyboardInterrupt:
            return env.clock.now()
        raise AssertionError("not interrupted")

    process = script.start(flow)
    script.world.at(0.05, lambda: process.interrupt(KeyboardInterrupt()))
    script.world.run()
    return process.result()


def test_an_interrupted_read_ends_at_once() -> None:
    """Nobody needs its result."""
    assert 0.05 == _interrupted(Script(group_get=(9.0, reply())), GET)


def test_an_interrupted_write_is_awaited_first() -> None:
    """A clean-up must come after what it cleans up."""
    assert 9.0 == _interrupted(Script(group_put=(9.0, reply())), PUT)


def test_an_interrupted_write_of_the_ledger_is_awaited_first() -> None:
    """Otherwise the record would come back after it was cleared."""
    assert 0.2 == _interrupted(
        Script(ledger_write=(0.2, None)), LedgerWrite(record={"launch_id": "l"})
    )


def test_an_interrupted_write_is_not_awaited_for_ever() -> None:
    """Its reply may never come."""
    assert 0.05 + SETTLE == _interrupted(Script(group_put=(None, None)), PUT)


def test_an_effect_that_is_interrupted_before_it_is_known_is_not_awaited() -> None:
    """It was not begun."""

    def flow(env: Env) -> Flow[None]:
        yield from perform(env, PUT)

    begun = flow(Env(clock=Script().world, random=None))  # type: ignore[arg-type]
    next(begun)
    with pytest.raises(KeyboardInterrupt):
        begun.throw(KeyboardInterrupt())


def test_a_flow_that_is_dropped_does_nothing_more() -> None:
    """A generator that is closed cannot ask for anything."""

    def flow(env: Env) -> Flow[None]:
        yield from perform(env, PUT)

    begun = flow(Env(clock=Script().world, random=None))  # type: ignore[arg-type]
    next(begun)
    begun.send(1)
    begun.close()
    with pytest.raises(StopIteration):
        next(begun)


def test_sleeping_is_not_ended_by_an_effect() -> None:
    """Results of effects that are not awaited any more are dropped."""
    from aciflow.flow.effects import Start

    def flow(env: Env) -> Flow[float]:
        yield Start(GET)
        yield from sleep(env, 3.0)
        return env.clock.now()

    assert 3.0 == Script(group_get=reply()).run(flow)
