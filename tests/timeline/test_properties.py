"""What holds for every timeline."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from aciflow.timeline import Phase, Timeline
from aciflow.timeline.text import columns


finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.one_of(st.floats(min_value=-5, max_value=120), finite)
names = st.one_of(
    st.sampled_from(["auth", "submit", "pull", "start", "ready", "delete"]), st.text()
)

phases = st.builds(
    Phase,
    name=names,
    start=times,
    end=times,
    source=st.sampled_from(["client", "service"]),
    resolution=st.one_of(st.sampled_from([0.0, 0.05, 1.0]), finite.map(abs)),
    container=st.one_of(st.none(), st.text()),
    attempt=st.integers(min_value=1, max_value=1000),
)

timelines = st.builds(
    Timeline,
    phases=st.lists(phases, max_size=6).map(tuple),
    started_at=st.floats(min_value=0, max_value=4e9),
    total=st.one_of(st.floats(min_value=0, max_value=120), finite.map(abs)),
    target=st.one_of(st.sampled_from(["", "local engine, not Azure"]), st.text()),
    title=st.text(max_size=100),
)


@given(timelines)
def test_dictionary_round_trip(timeline: Timeline) -> None:
    """A timeline survives JSON."""
    assert timeline == Timeline.from_dict(json.loads(json.dumps(timeline.to_dict())))


@given(timelines, st.booleans())
def test_text_fits(timeline: Timeline, unicode: bool) -> None:
    """Whatever the phases, no line is wider than 80 columns and there is one line for each."""
    lines = timeline.to_text(unicode=unicode).splitlines()

    assert all(columns(line) <= 80 for line in lines)
    assert len(timeline.phases) + 2 <= len(lines) <= len(timeline.phases) + 4


@given(timelines)
def test_picture_is_well_formed(timeline: Timeline) -> None:
    """Whatever the names, the picture is XML, with a group a phase, and draws within its frame."""
    for text in (timeline.to_svg(), timeline._repr_html_()):
        root = ET.fromstring(text)
        marks = root.findall(".//{*}title")
        assert len(timeline.phases) <= len(marks) <= len(timeline.phases) + 1
        for bar in root.findall(".//{*}rect"):
            assert float(bar.attrib["x"]) >= 0
            assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= 800.5


@given(timelines)
def test_trace_has_every_phase(timeline: Timeline) -> None:
    """A trace is JSON with a complete event for each phase, and no two of a track cross."""
    trace = json.loads(json.dumps(timeline.to_chrome_trace()))
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]

    assert sorted(phase.label for phase in timeline.phases) == sorted(e["name"] for e in events)
    assert all(event["dur"] >= 0 for event in events)


@given(timelines)
def test_gaps_and_phases_make_the_total(timeline: Timeline) -> None:
    """No gap overlaps a phase, and gaps lie within the total in order."""
    edges = [edge for gap in timeline.gaps for edge in gap]

    assert sorted(edges) == edges
    assert all(0 <= edge <= timeline.total for edge in edges)
    for begin, end in timeline.gaps:
        assert not any(
            phase.start < end and begin < phase.end and phase.duration for phase in timeline.phases
        )
