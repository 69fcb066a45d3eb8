"""Phases and timelines as values."""

from __future__ import annotations

import pickle

import pytest

from attrs.exceptions import FrozenInstanceError

from aciflow.timeline import Phase, Timeline


def phase(name: str, start: float, end: float, container: str | None = None) -> Phase:
    """Make a phase of the client."""
    return Phase(name=name, start=start, end=end, source="client", container=container)


def timeline(*phases: Phase, total: float) -> Timeline:
    """Make a timeline of phases."""
    return Timeline(phases=phases, total=total)


def test_duration() -> None:
    """A phase lasts from its start to its end."""
    assert phase("pull", 1.0, 3.5).duration == 2.5


def test_duration_is_never_negative() -> None:
    """Two clocks that disagree make a phase of no length, not one that runs backwards."""
    assert phase("pull", 3.0, 2.0).duration == 0.0


@pytest.mark.parametrize(
    ("container", "attempt", "expected"),
    [
        (None, 1, "pull"),
        ("web", 1, "pull (web)"),
        (None, 2, "pull #2"),
        ("web", 3, "pull #3 (web)"),
    ],
)
def test_label(container: str | None, attempt: int, expected: str) -> None:
    """A label names the container and counts attempts from the second on."""
    made = Phase(
        name="pull", start=0, end=1, source="service", container=container, attempt=attempt
    )

    assert expected == made.label


def test_first_phase_of_a_name() -> None:
    """A timeline is indexed by a phase's name, and the first one counts."""
    first = phase("pull", 1, 2, "web")
    whole = timeline(phase("auth", 0, 1), first, phase("pull", 2, 3, "log"), total=3)

    assert first is whole["pull"]
    assert "pull" in whole


def test_absent_phase() -> None:
    """What nobody reported is absent, not zero."""
    whole = timeline(phase("auth", 0, 1), total=1)

    assert "pull" not in whole
    with pytest.raises(KeyError, match="pull"):
        whole["pull"]


def test_iterates_over_phases() -> None:
    """Going through a timeline gives its phases."""
    phases = (phase("auth", 0, 1), phase("submit", 1, 2))

    assert phases == tuple(timeline(*phases, total=2))


def test_phases_become_a_tuple() -> None:
    """A list of phases is taken, and cannot be changed from outside afterwards."""
    phases = [phase("auth", 0, 1)]
    whole = Timeline(phases=phases, total=1)
    phases.clear()

    assert (phase("auth", 0, 1),) == whole.phases


@pytest.mark.parametrize(
    ("phases", "total", "expected"),
    [
        ((), 2.0, ((0.0, 2.0),)),
        ((), 0.0, ()),
        (((0.0, 2.0),), 2.0, ()),
        (((0.5, 1.0),), 2.0, ((0.0, 0.5), (1.0, 2.0))),
        (((1.0, 1.5), (0.0, 0.5)), 1.5, ((0.5, 1.0),)),
        # Overlapping and nested ones leave no gap between them.
        (((0.0, 1.0), (0.5, 2.0), (0.6, 0.7)), 2.0, ()),
        # What came after the launch covers nothing of it.
        (((0.0, 1.0), (5.0, 6.0)), 2.0, ((1.0, 2.0),)),
        (((-1.0, 1.0),), 2.0, ((1.0, 2.0),)),
        # Backwards: it is known to have begun, and no more.
        (((1.5, 0.5),), 2.0, ((0.0, 1.5), (1.5, 2.0))),
    ],
)
def test_gaps(
    phases: tuple[tuple[float, float], ...],
    total: float,
    expected: tuple[tuple[float, float], ...],
) -> None:
    """Gaps are the stretches of the total that no phase covers."""
    whole = timeline(*(phase("x", *times) for times in phases), total=total)

    assert expected == whole.gaps
    assert pytest.approx(sum(end - start for start, end in expected)) == whole.unaccounted


def test_frozen() -> None:
    """A timeline is a fact and cannot be changed."""
    whole = timeline(total=1)

    with pytest.raises(FrozenInstanceError):
        whole.total = 2  # type: ignore[misc]


def test_pickles() -> None:
    """A timeline goes through a process boundary."""
    whole = timeline(phase("auth", 0, 1), total=1)

    assert whole == pickle.loads(pickle.dumps(whole))


def test_short_dictionaries_are_read() -> None:
    """What has a default may be missing from a dictionary."""
    data = {"phases": [{"name": "auth", "start": 0, "end": 1, "source": "client"}]}

    assert Timeline(phases=(phase("auth", 0, 1),)) == Timeline.from_dict(data)


def test_dictionary_without_a_name() -> None:
    """A phase that does not say what it is cannot be read."""
    with pytest.raises(KeyError, match="name"):
        Timeline.from_dict({"phases": [{"start": 0, "end": 1, "source": "client"}]})


def test_records_are_flat() -> None:
    """Each record holds the phase and says whose it is, so that several launches share a table."""
    whole = Timeline(
        phases=(phase("auth", 0, 1, "web"),), total=1, title="shop", target="here", started_at=7.0
    )

    expected = {
        "name": "auth",
        "start": 0,
        "end": 1,
        "duration": 1,
        "source": "client",
        "resolution": 0.0,
        "container": "web",
        "attempt": 1,
        "title": "shop",
        "target": "here",
        "started_at": 7.0,
    }
    assert [expected] == whole.to_records()
