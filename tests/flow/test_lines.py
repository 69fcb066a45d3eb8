from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.flow.lines import LogCursor


T = "2026-01-01T00:00:{:02d}.{:09d}Z"
texts = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), max_size=12)
# Several lines may have the same time, and stderr's may be a little out of order.
stamped = st.lists(
    st.tuples(st.integers(0, 59), st.integers(0, 3), texts).map(
        lambda line: f"{T.format(line[0], line[1])} {line[2]}\n"
    ),
    max_size=12,
)


@given(stamped, st.lists(st.integers(0, 12), max_size=6), st.booleans())
def test_a_growing_log_yields_each_line_once(
    lines: list[str], reads: list[int], ended: bool
) -> None:
    """However often and whenever it is read."""
    cursor = LogCursor()
    got = [
        line.text
        for upto in sorted(min(read, len(lines)) for read in reads)
        for line in cursor.feed("".join(lines[:upto]), whole=False)
    ]
    whole = "".join(lines)
    got += [line.text for line in cursor.feed(whole, whole=ended)]
    assert [line.rstrip("\n").partition(" ")[2] for line in lines] == got
    assert not cursor.truncated


@given(
    st.lists(texts, min_size=1, max_size=10, unique=True),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_a_log_may_be_read_in_the_middle_of_a_line(words: list[str], a: int, b: int) -> None:
    """A line is told when its end is there."""
    content = "".join(f"{T.format(i, 0)} {word}\n" for i, word in enumerate(words))
    cursor = LogCursor()
    got = []
    for upto in (*sorted((a, b)), len(content)):
        got += cursor.feed(content[:upto], whole=False)
    assert words == [line.text for line in got]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 30))
def test_a_stopped_containers_log_keeps_its_end_only(total: int, seen: int, lost: int) -> None:
    """What is new is still told once, and lost lines are noticed."""
    seen, lost = min(seen, total), min(lost, total - 1)
    lines = [f"{T.format(i, 0)} {i}\n" for i in range(total)]
    cursor = LogCursor()
    cursor.feed("".join(lines[:seen]))
    new = [line.text for line in cursor.feed("".join(lines[lost:]))]
    assert [str(i) for i in range(max(seen, lost), total)] == new
    assert cursor.truncated == (lost > seen or (lost == seen and total > seen))


def test_a_late_older_reply_tells_nothing_new() -> None:
    """Replies can overtake each other."""
    cursor = LogCursor()
    lines = [f"{T.format(i, 0)} {i}\n" for i in range(5)]
    cursor.feed("".join(lines))
    assert [] == cursor.feed("".join(lines[1:3]))
    assert [] == cursor.feed("")
    assert [] == LogCursor().feed("half a li", whole=False)
    assert not cursor.truncated


def test_times_are_of_any_precision_and_zone() -> None:
    """Engines write nine digits and Z; others need not."""
    (a,) = LogCursor().feed("2026-01-01T00:00:01Z one\n")
    (b,) = LogCursor().feed("2026-01-01T01:00:01.5+01:00 one\n")
    assert a.at is not None
    assert pytest.approx(a.at + 0.5) == b.at
    assert "one" == str(b)


def test_a_line_without_a_time_belongs_to_the_one_before() -> None:
    """Whatever splits it."""
    first, second = LogCursor().feed("2026-01-01T00:00:01Z one\r\n  two\r\n")
    assert ("one", "  two") == (first.text, second.text)
    assert first.at == second.at


def test_a_form_feed_ends_no_line() -> None:
    """Only a line feed does."""
    (line,) = LogCursor().feed("2026-01-01T00:00:01Z a\x0cb\u2028c\n")
    assert "a\x0cb\u2028c" == line.text


def test_what_only_looks_like_a_time_is_told_without_one() -> None:
    """A month has no thirteenth."""
    (line,) = LogCursor().feed("2026-13-01T00:00:01Z a\n")
    assert ("a", None) == (line.text, line.at)


def test_a_service_that_tells_no_times_is_counted_instead() -> None:
    """Each line comes once all the same; after a loss everything is new."""
    cursor = LogCursor()
    assert ["a", "b"] == [line.text for line in cursor.feed("a\nb\n")]
    assert ["b"] == [line.text for line in cursor.feed("a\nb\nb\n")]
    assert ["x", "y"] == [line.text for line in cursor.feed("x\ny\n")]
    assert cursor.truncated


def _cut(lines: list[str], limit: int) -> str:
    return "".join(lines).encode()[-limit:].decode(errors="ignore")


@pytest.mark.parametrize("limit", [16 * 1024, 4 * 1024 * 1024])
def test_a_first_read_of_the_size_of_a_limit_may_lack_its_beginning(limit: int) -> None:
    """The half of a line is not told, and nothing says that all is there."""
    lines = [f"{T.format(1, number)} {'x' * 50} {number}\n" for number in range(limit // 50)]
    cursor = LogCursor()
    got = [line.text for line in cursor.feed(_cut(lines, limit))]

    assert cursor.truncated
    assert got
    assert got == [f"{'x' * 50} {number}" for number in range(len(lines) - len(got), len(lines))]


def test_a_first_read_of_a_thousand_lines_may_lack_its_beginning() -> None:
    """A stopped container keeps so many; one more or less is nothing of the kind."""
    for count, truncated in ((999, False), (1000, True), (1001, False)):
        cursor = LogCursor()
        cursor.feed("x\n" * count)
        assert cursor.truncated is truncated


def test_a_log_that_was_read_before_it_was_cut_is_whole() -> None:
    """What was seen while the container ran tells that nothing is missing."""
    lines = [f"{T.format(1, number)} {'x' * 50} {number}\n" for number in range(400)]
    cursor = LogCursor()
    got = [line.text for line in cursor.feed("".join(lines[:390]), whole=False)]
    got += [line.text for line in cursor.feed(_cut(lines, 16 * 1024))]

    assert got == [f"{'x' * 50} {number}" for number in range(400)]
    assert not cursor.truncated
