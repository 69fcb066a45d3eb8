"""The waterfall as a picture and as a trace."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from aciflow.timeline import Phase, Timeline


MADE = Timeline(
    title="a <b> & c",
    target="local engine, not Azure",
    started_at=1_000.0,
    total=10.0,
    phases=(
        Phase(name="submit", start=0.0, end=2.0, source="client"),
        Phase(name="pull", start=4.0, end=6.0, source="service", resolution=1.0, container="web"),
        Phase(
            name="pull", start=5.0, end=9.0, source="service", resolution=1.0, container="x" * 60
        ),
        Phase(name="delete", start=60.0, end=61.0, source="client"),
    ),
)


def texts(picture: str) -> list[str]:
    """All texts of a picture, in order."""
    return [element.text or "" for element in ET.fromstring(picture).findall(".//{*}text")]


def bars(picture: str, row: str) -> list[tuple[float, float]]:
    """Left edges and widths of what is drawn in the row whose tooltip begins so."""
    for group in ET.fromstring(picture).findall("{*}g"):
        if group.findtext("{*}title", "").startswith(row):
            found = group.findall("{*}rect")
            return [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in found]
    raise AssertionError(row)


def test_words() -> None:
    """The picture says what the text says: heading, phases, times, who measured, what is left over."""
    said = texts(MADE.to_svg())

    assert {
        "a <b> & c · local engine, not Azure",
        "submit",
        "pull (web)",
        "2.0 s",
        "service ±1 s",
        "(unaccounted)",
        "afterwards",
        "total",
        "10.0 s",
    } <= set(said)


def test_bars_are_in_scale() -> None:
    """A bar of twice the time is twice as wide, and begins where its phase does."""
    (start, width), *_ = bars(MADE.to_svg(), "submit")
    _, (later, same) = bars(MADE.to_svg(), "pull (web)")

    assert pytest.approx(width, abs=0.2) == same
    assert pytest.approx(start + 2 * width, abs=0.2) == later


def test_uncertain_ends_are_shown() -> None:
    """Behind a bar whose ends may be a second off lies one that is a second longer each way."""
    (early, long), (start, width) = bars(MADE.to_svg(), "pull (web)")

    assert pytest.approx(2 * width, abs=0.2) == long
    assert pytest.approx(start - width / 2, abs=0.2) == early


def test_exact_ends_are_not_blurred() -> None:
    """A phase that is known exactly has one bar."""
    assert len(bars(MADE.to_svg(), "submit")) == 1


def test_long_label_is_cut_and_kept_in_the_tooltip() -> None:
    """A long name is cut in its column, and whole in the tooltip."""
    picture = MADE.to_svg()

    assert any(text.startswith("pull (xxx") and text.endswith("…") for text in texts(picture))
    assert "x" * 60 in picture


def test_axis_has_round_numbers() -> None:
    """The axis is divided at round times, whatever the total."""
    assert texts(MADE.to_svg())[1:7] == ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]
    assert texts(Timeline(total=1700.0).to_svg())[:4] == ["0 s", "500 s", "1000 s", "1500 s"]


def test_nothing_to_draw() -> None:
    """A timeline of nothing is still a picture."""
    assert texts(Timeline().to_svg()) == ["0 s", "total", "0.000 s"]


def test_notebook_takes_the_page_colours() -> None:
    """A notebook's page gives the text its colour; a file knows light and dark itself."""
    assert "<style>" not in MADE._repr_html_()
    assert "prefers-color-scheme: dark" in MADE.to_svg()


def test_trace() -> None:
    """A trace has microseconds since the epoch, and a track for each who measured what."""
    trace = MADE.to_chrome_trace()
    names = {
        event["tid"]: event["args"]["name"]
        for event in trace["traceEvents"]
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    submit = next(event for event in trace["traceEvents"] if event["name"] == "submit")

    assert names == {1: "client", 2: "service: web", 3: "service: " + "x" * 60}
    assert (submit["ts"], submit["dur"], submit["tid"]) == (1_000e6, 2e6, 1)


def test_crossing_phases_get_tracks_of_their_own() -> None:
    """Bars of a track may not cross, so what overlaps goes to another one."""
    made = Timeline(
        total=4.0,
        phases=[
            Phase(name="schedule", start=0.0, end=2.0, source="client"),
            Phase(name="address", start=1.0, end=3.0, source="client"),
            Phase(name="ready", start=3.0, end=4.0, source="client"),
        ],
    )
    events = [event for event in made.to_chrome_trace()["traceEvents"] if event["ph"] == "X"]

    assert [event["tid"] for event in events] == [1, 2, 1]
