"""The order of a phase's fields is part of the surface."""

from __future__ import annotations

from aciflow.timeline import Phase


def test_a_phase_is_made_in_the_order_of_its_fields() -> None:
    """Name, start, end, source, resolution, container, attempt."""
    phase = Phase("pull", 1.0, 3.0, "service", 1.0, "web", 2)
    assert ("pull", 1.0, 3.0, "service") == (phase.name, phase.start, phase.end, phase.source)
    assert (1.0, "web", 2, 2.0) == (
        phase.resolution,
        phase.container,
        phase.attempt,
        phase.duration,
    )
