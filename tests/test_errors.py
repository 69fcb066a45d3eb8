"""The exception tree as a value: drawn, complete, and able to cross processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from aciflow import errors
from aciflow.errors import AciflowError, ContainerExitedError, LaunchContext, Leftover, Problem
from aciflow.timeline import Phase, Timeline


def _classes() -> list[type[BaseException]]:
    return [
        found
        for found in vars(errors).values()
        if inspect.isclass(found)
        and issubclass(found, BaseException)
        and found.__module__ == errors.__name__
    ]


def test_the_docstring_draws_every_class() -> None:
    """A reader of the module's docstring sees the whole tree."""
    drawn = errors.__doc__ or ""
    assert [] == [c.__name__ for c in _classes() if c.__name__ not in drawn]
    assert [] == [c.__name__ for c in _classes() if c.__name__ not in errors.__all__]


def _make(kind: type[AciflowError]) -> AciflowError:
    if issubclass(kind, errors.ValidationError):
        return kind([Problem(field="name", message="too long")])
    if issubclass(kind, errors.ArmError):
        return kind("refused", status=409, code="Taken", retry_after=3.0)
    if issubclass(kind, ContainerExitedError):
        return kind("ended", container="web", exit_code=3)
    if issubclass(kind, errors.MissingExtraError):
        return kind("exec", extra="exec")
    return kind("no")


@pytest.mark.parametrize(
    "kind",
    [c for c in _classes() if issubclass(c, AciflowError)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_survives_pickling(kind: type[AciflowError]) -> None:
    """An error from a worker process is the error that it was there, context and all."""
    error = _make(kind)
    error.context = LaunchContext(
        phase="pull",
        timeline=Timeline(
            phases=(Phase(name="auth", start=0.0, end=1.0, source="client"),),
            started_at=0.0,
            total=1.0,
        ),
        logs="it broke",
        leftovers=(Leftover(resource_id="/x", remove_with="az delete"),),
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(error) is type(again)
    assert str(error) == str(again)
    assert error.__dict__ == again.__dict__


def test_an_error_of_a_launch_says_what_it_knows() -> None:
    """Phase, events, log lines and leftovers with their commands are in the text."""
    error = ContainerExitedError("container 'web' ended", container="web", exit_code=3)
    error.context = LaunchContext(
        phase="ready",
        timeline=Timeline(phases=(), started_at=0.0, total=2.5),
        logs="one\ntwo\n",
        events=("Pulled: ok",),
        leftovers=(Leftover(resource_id="/x/y", remove_with="az container delete y"),),
    )
    text = str(error)
    for part in ("ended", "ready", "2.5 s", "two", "Pulled: ok", "/x/y", "az container delete y"):
        assert part in text
    assert "ready" == error.phase
    assert ("/x/y",) == tuple(left.resource_id for left in error.leftovers)


def test_several_problems_are_listed_and_one_is_not() -> None:
    """One problem is one line; several say that nothing was sent."""
    one = errors.ValidationError([Problem(field="name", message="too long")])
    two = errors.ValidationError([Problem(field=f, message="bad") for f in ("a", "b")])
    assert "name: too long" == str(one)
    assert "2 problems, nothing was sent:\n  a: bad\n  b: bad" == str(two)
