"""Reading what containers wrote."""

from __future__ import annotations

import re

import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import Rig

from aciflow.local.protocol import Exited
from aciflow.local.runtime.engine.logs import frames, last_bytes, timed, unframe


@pytest.mark.engine
def test_tail_and_timestamps(rig: Rig) -> None:
    """The last lines, each with its RFC 3339 time if asked for; nothing before there is a log."""
    uid = rig.open()
    assert "" == rig.logs(uid)
    rig.shell(uid, "for i in 1 2 3 4; do echo line $i; done")
    rig.wait(Exited, uid=uid)
    assert "line 1\nline 2\nline 3\nline 4\n" == rig.logs(uid)
    assert "line 3\nline 4\n" == rig.logs(uid, tail=2)
    assert "" == rig.logs(uid, tail=0)
    stamped = rig.logs(uid, tail=1, timestamps=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 4\n", stamped)


@pytest.mark.engine
def test_tail_reaches_back_over_a_restart(rig: Rig) -> None:
    """Lines of the attempt before come first, as many as are asked for."""
    uid = rig.open()
    rig.shell(uid, "echo a; echo b")
    rig.wait(Exited, uid=uid, attempt=0)
    rig.shell(uid, "echo c", attempt=1)
    rig.wait(Exited, uid=uid, attempt=1)
    assert "b\nc\n" == rig.logs(uid, tail=2)
    assert "c\n" == rig.logs(uid, tail=1)


@pytest.mark.engine
def test_a_running_container_and_bytes_that_are_no_text(rig: Rig) -> None:
    """What was written so far is there at once; what is no UTF-8 is replaced, not refused."""
    uid = rig.open()
    rig.shell(uid, r"printf 'ok \377\n'; exec sleep 60")
    assert "ok \ufffd\n" == rig.log_of(uid, "c", lambda text: "\n" in text)


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 30)))
def test_frames_are_undone_however_they_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    """The engine's chunks need not end where its frames do."""
    raw = b"".join(
        bytes([1 + number % 2, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload
        for number, payload in enumerate(payloads)
    )
    chunks, position = [], 0
    for cut in cuts:
        chunks.append(raw[position : position + cut])
        position += cut
    chunks.append(raw[position:])
    assert b"".join(payloads) == b"".join(unframe(chunks))
    assert payloads == list(frames(chunks))
    assert payloads[:-1] == list(frames([raw[:-1]])) or not payloads


@pytest.mark.parametrize(
    ("stamp", "after"),
    [
        ("2026-11-22T18:50:43.123456789Z", "1795373443.123456790"),
        ("2026-11-22T18:50:43.999999999Z", "1795373444.000000000"),
        ("2026-11-22T20:50:43.5+02:00", "1795373443.500000001"),
        ("2026-11-22T18:50:43Z", "1795373443.000000001"),
    ],
)
def test_the_moment_after_what_was_logged(stamp: str, after: str) -> None:
    """To the nanosecond, in whatever zone; what begins with no time is left as it is."""
    assert (after, b"what it said") == timed(f"{stamp} what it said".encode())
    assert (None, b"what it said") == timed(b"what it said")


@given(st.lists(st.binary(max_size=9)), st.integers(1, 30))
def test_the_end_of_a_long_log_begins_with_a_whole_line(parts: list[bytes], limit: int) -> None:
    """At most the limit, always the end, and only cut where it was too long."""
    whole = b"".join(parts)
    kept = last_bytes(parts, limit)
    assert whole.endswith(kept)
    assert len(kept) <= limit
    if len(whole) <= limit:
        assert whole == kept
    assert kept or not limit or not whole.strip(b"\n")  # a line that was cut is better than nothing


def test_a_line_longer_than_what_is_kept_shows_its_end() -> None:
    """What a program prints without a line break is not thrown away as a piece of a line."""
    long = b"x" * 300_000
    assert long[-200_000:] == last_bytes([long], 200_000)
    assert (long + b"\n")[-200_000:] == last_bytes([long, b"\n"], 200_000)
    assert b"end\n" == last_bytes([b"short", b"\n", b"end\n"], 6)


@pytest.mark.engine
def test_many_short_lines_are_all_there(rig: Rig) -> None:
    """More lines than an engine is asked for at first, and less than ACI keeps."""
    uid = rig.open()
    rig.shell(uid, "seq 1 70000")
    rig.wait(Exited, uid=uid)
    assert [*range(1, 70001)] == [int(line) for line in rig.logs(uid).splitlines()]
    assert "70000\n" == rig.logs(uid, tail=1)
    assert [*range(5001, 70001)] == [int(line) for line in rig.logs(uid, tail=65000).splitlines()]
