from __future__ import annotations

import pytest

from aciflow.drivers.steps import Steps
from aciflow.flow.effects import ArmCall, Authenticate, Flow, Next, Start


def _flow(said: list[object]) -> Flow[str]:
    try:
        said.append((yield Start(ArmCall(operation="group.put"))))
        said.append((yield Next(None)))
        said.append((yield Start(Authenticate())))
    except KeyboardInterrupt:
        said.append("interrupted")
        said.append((yield Next(1.0)))
    return "over"


def test_a_flow_is_taken_from_command_to_command() -> None:
    """Effects are numbered in the order in which they are started."""
    said: list[object] = []
    steps = Steps(_flow(said))
    assert isinstance(steps.next(), Start)
    assert Next(None) == steps.next()
    steps.answer("done")
    assert isinstance(steps.next(), Start)
    assert steps.next() is None
    assert "over" == steps.value
    assert [1, "done", 2] == said


def test_an_interruption_is_thrown_where_the_flow_waits() -> None:
    """It cleans up with commands of its own."""
    said: list[object] = []
    steps = Steps(_flow(said))
    steps.next()
    steps.next()
    steps.interrupt(KeyboardInterrupt())
    assert Next(1.0) == steps.next()
    steps.answer(None)
    assert steps.next() is None
    assert [1, "interrupted", None] == said


def test_an_interruption_while_an_effect_is_started_comes_after_its_number() -> None:
    """A request that was sent must not be forgotten."""
    said: list[object] = []
    steps = Steps(_flow(said))
    steps.next()
    steps.interrupt(KeyboardInterrupt())
    steps.next()
    assert [1, "interrupted"] == said


def test_an_interruption_does_not_lose_a_result() -> None:
    """What came in at the same moment is told first; what follows is not begun."""
    said: list[object] = []
    steps = Steps(_flow(said))
    steps.next()
    steps.next()
    steps.answer("done")
    steps.interrupt(KeyboardInterrupt())
    assert Next(1.0) == steps.next()
    assert [1, "done", "interrupted"] == said


def test_what_ends_a_flow_is_no_interruption() -> None:
    """It is the caller's to know."""

    def flow() -> Flow[None]:
        yield Next(None)
        raise KeyboardInterrupt

    steps = Steps(flow())
    steps.next()
    steps.answer(None)
    with pytest.raises(KeyboardInterrupt) as caught:
        steps.next()
    with pytest.raises(KeyboardInterrupt):
        steps.interrupt(caught.value)


def test_a_flow_may_end_when_it_is_interrupted() -> None:
    """Without an error, if it can live with it."""

    def flow() -> Flow[str]:
        try:
            yield Next(None)
        except KeyboardInterrupt:
            return "enough"
        return "all"

    steps = Steps(flow())
    steps.next()
    steps.interrupt(KeyboardInterrupt())
    assert steps.next() is None
    assert "enough" == steps.value
