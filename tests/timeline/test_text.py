"""The waterfall in a terminal."""

from __future__ import annotations

import pytest

from aciflow.timeline import Phase, Timeline
from aciflow.timeline.layout import digits_for, resolution, seconds
from aciflow.timeline.text import columns


AZURE = Timeline(
    title="shop-2f81",
    total=20.0,
    phases=(
        Phase(name="auth", start=0.0, end=1.0, source="client"),
        Phase(name="pull", start=5.0, end=10.0, source="service", resolution=1.0, container="web"),
        Phase(name="ready", start=10.0, end=20.0, source="client", resolution=0.25),
    ),
)


def lines_of(timeline: Timeline) -> dict[str, str]:
    """The waterfall's lines by their first word."""
    return {line.split("  ")[0]: line for line in str(timeline).splitlines()}


def test_whole_waterfall() -> None:
    """The picture as people see it: heading, columns, bars, what is unaccounted, the total."""
    expected = """\
shop-2f81
phase           start    took  0 ──────────────────────── 20.0 s  measured by
auth            0.0 s   1.0 s  █▋                                 client
pull (web)      5.0 s   5.0 s          ████████▌                  service ±1 s
ready          10.0 s  10.0 s                  ▐████████████████  client ±250 ms
(unaccounted)           4.0 s    ┄┄┄┄┄┄
total                  20.0 s"""

    assert expected.splitlines() == str(AZURE).splitlines()


def test_first_line_says_that_it_was_not_azure() -> None:
    """Nobody mistakes a local run for Azure's figures."""
    made = Timeline(title="nginx-1", target="local engine, not Azure", total=1.0)

    assert str(made).splitlines()[0] == "nginx-1 · local engine, not Azure"


def test_target_alone() -> None:
    """Where it ran stands there even when what ran has no name."""
    assert str(Timeline(target="local engine", total=1.0)).splitlines()[0] == "local engine"


def test_long_title_gives_way() -> None:
    """A title that is too long is cut, and where it ran stays readable."""
    first = str(Timeline(title="x" * 200, target="local engine, not Azure")).splitlines()[0]

    assert columns(first) == 80
    assert first.endswith("x… · local engine, not Azure")


def test_bars_are_in_scale() -> None:
    """A phase of half the time has half the bar, where it belongs."""
    made = Timeline(total=2.0, phases=[Phase(name="ready", start=1.0, end=2.0, source="client")])
    axis = str(made).splitlines()[0]
    begin, end = axis.index("0 ─"), axis.index("  measured by")
    line = lines_of(made)["ready"]

    assert pytest.approx((begin + end) / 2, abs=0.5) == line.index("█")
    assert line[end + 1 :] == " client"
    assert line[end - 1] == "█"


@pytest.mark.parametrize("share", [1, 2, 3, 4, 5, 6, 7])
def test_eighths(share: int) -> None:
    """A bar ends within an eighth of a column of where it should."""

    def until(end: float) -> str:
        return str(
            Timeline(total=1.0, phases=[Phase(name="auth", start=0.0, end=end, source="client")])
        )

    axis = until(0.5).splitlines()[0]
    scale = axis.index("  measured by") - axis.index("0 ─")

    assert f" ██{' ▏▎▍▌▋▊▉'[share]} " in until((2 + share / 8) / scale)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.99, 1.0])
def test_no_bar_is_invisible(start: float) -> None:
    """A phase of no length still shows where it was."""
    made = Timeline(total=1.0, phases=[Phase(name="auth", start=start, end=start, source="client")])

    assert set(lines_of(made)["auth"]) & set("▏▕▎▐")


def test_after_the_launch() -> None:
    """What happened after the launch stands below its total, off the scale."""
    deleted = Phase(name="delete", start=60.0, end=61.5, source="client")
    lines = str(Timeline(total=2.0, phases=[deleted])).splitlines()

    assert [line.split()[0] for line in lines] == ["phase", "(unaccounted)", "total", "delete"]
    assert lines[-1].split() == ["delete", "60.00", "s", "1.50", "s", "afterwards", "client"]


def test_rounding_hides_no_gap_and_invents_none() -> None:
    """A gap too short to be printed as more than nought is not a line."""
    covered = Phase(name="auth", start=0.0, end=1.9999, source="client")

    assert "(unaccounted)" not in lines_of(Timeline(total=2.0, phases=[covered]))


def test_nothing_reported() -> None:
    """Without any phase all of the time is unaccounted for."""
    assert "3.00 s" in lines_of(Timeline(total=3.0))["(unaccounted)"]


def test_ascii() -> None:
    """A terminal that knows only ASCII gets the same lines."""
    plain = AZURE.to_text(unicode=False)

    assert plain.isascii()
    assert len(str(AZURE).splitlines()) == len(plain.splitlines())
    assert "#" in plain


def test_wide_characters() -> None:
    """Characters of two columns keep the columns aligned, and combining ones take none."""
    made = Timeline(
        total=1.0,
        phases=[
            Phase(name="拉取", start=0.0, end=1.0, source="service"),
            Phase(name="cafe\N{COMBINING ACUTE ACCENT}", start=0.0, end=1.0, source="client"),
        ],
    )
    axis, chinese, french, _ = str(made).splitlines()

    assert len(axis[: axis.index("0 ─")]) == columns(chinese[: chinese.index("█")])
    assert len(axis[: axis.index("0 ─")]) == columns(french[: french.index("█")])


def test_long_label_is_cut() -> None:
    """A long container name is cut, so that the bars keep their room."""
    made = Timeline(
        total=1.0,
        phases=[Phase(name="pull", start=0, end=1, source="service", container="拉" * 60)],
    )

    assert "…" in str(made)
    assert max(columns(line) for line in str(made).splitlines()) <= 80


def test_control_characters() -> None:
    """A name with a line break or an escape sequence cannot break the table or drive the terminal."""
    made = Timeline(title="a\nb\x1b[2J", total=0.0)

    assert str(made).splitlines()[0] == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[2J"


def test_wider_and_narrower() -> None:
    """A width is kept to, down to 72 columns."""
    assert 120 >= max(columns(line) for line in AZURE.to_text(width=120).splitlines()) > 100
    assert AZURE.to_text(width=72) == AZURE.to_text(width=10)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1.234, 2, "1.23 s"),
        (-0.001, 2, "0.00 s"),
        (1500.0, 0, "1500 s"),
        (2e6, 0, "2e+06 s"),
        (-1e300, 2, "-1e+300 s"),
    ],
)
def test_seconds(value: float, digits: int, expected: str) -> None:
    """Seconds are short, and there is no minus zero."""
    assert expected == seconds(value, digits)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, ""),
        (0.009, ""),
        (0.05, "±50 ms"),
        (0.9996, "±1 s"),
        (1.0, "±1 s"),
        (2.5, "±2.5 s"),
        (30.0, "±30 s"),
        (1e7, "±1e+07 s"),
    ],
)
def test_resolution(value: float, expected: str) -> None:
    """A resolution is said where it matters, in the unit that reads best."""
    assert expected == resolution(value)


@pytest.mark.parametrize(("total", "expected"), [(0.5, 3), (5.0, 2), (50.0, 1), (5000.0, 0)])
def test_digits(total: float, expected: int) -> None:
    """A longer launch is printed with fewer decimals."""
    assert expected == digits_for(total)
