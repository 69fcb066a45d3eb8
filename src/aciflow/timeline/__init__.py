"""
Where the time of a launch went: one list of facts, many renderings.

The values are in :mod:`aciflow.timeline.values`; a rendering is a module of its own, loaded when it is
asked for.
"""

from __future__ import annotations

from aciflow.timeline.values import Phase, PhaseEvent, Timeline


__all__ = ["Phase", "PhaseEvent", "Timeline"]
