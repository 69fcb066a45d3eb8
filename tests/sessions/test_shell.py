"""What is typed into a shell, and what its terminal shows."""

from __future__ import annotations

import re
import subprocess

from typing import Any

import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from aciflow.sessions.shell import COLUMNS, Transcript, plain, typed


MARK = "0123456789abcdef0123456789abcdef"
words = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=5
).filter(lambda argv: bool(argv[0]))


@given(argv=words, interactive=st.booleans())
def test_only_harmless_short_lines(argv: list[str], *, interactive: bool) -> None:
    """Whatever the command, nothing that a terminal or a line editor obeys is typed."""
    lines = typed(argv, MARK, interactive=interactive).decode("ascii").split("\n")

    assert lines.pop() == ""
    assert all(len(line) < COLUMNS for line in lines)
    assert all(re.fullmatch(r"s=|s=\$s'[A-Za-z0-9 /._=:,+@%\\-]+'|exec .*", one) for one in lines)


@given(argv=words)
def test_the_mark_is_never_typed(argv: list[str]) -> None:
    """What echoes it, or shows the script, does not look like the beginning or the end."""
    script = _script(typed(argv, MARK))

    assert MARK not in script
    assert MARK.encode() not in typed(argv, MARK)


def _script(lines: bytes) -> str:
    joined = "".join(re.findall(r"^s=\$s'(.*)'$", lines.decode(), re.MULTILINE))
    return re.sub(r"\\0(\d{3})", lambda found: chr(int(found[1], 8)), joined)


@pytest.mark.parametrize("interactive", [False, True])
@pytest.mark.parametrize("shell", [("sh",), ("bash", "--posix"), ("busybox", "sh")])
def test_a_shell_obeys(shell: tuple[str, ...], *, interactive: bool) -> None:
    """Shells without a terminal run the command with just these arguments, and tell its exit code."""
    argv = ["printf", "%s|", "a b", "$HOME", "'q\"", "tab\t!x", "`id`", "\\n", "ü\x03\n", ""]

    done = subprocess.run(
        shell, input=typed(argv, MARK, interactive=interactive), capture_output=True, timeout=30
    )
    transcript = Transcript(MARK)
    output = transcript.feed(done.stdout)

    assert (transcript.ended, transcript.exit_code, done.stderr) == (True, 0, b"")
    assert output == "".join(f"{word}|" for word in argv[2:]).encode()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "names no program"),
        ([""], "names no program"),
        (["echo", "a\0b"], "NUL"),
        (["echo", "x" * 130_000], "files="),
    ],
)
def test_what_no_program_can_be_given(argv: list[str], says: str) -> None:
    """It is refused, with the way out."""
    with pytest.raises(ValueError, match=says):
        typed(argv, MARK)


def shown(output: bytes, *, returns: bool, before: bytes = b"# ", code: int = 0) -> bytes:
    """What a terminal shows of a command with this output."""
    end = b"\r\n" if returns else b"\n"
    body = output.replace(b"\n", b"\r\n") if returns else output
    mark = MARK.encode()
    return before + mark + b"b:17" + end + body + mark + b"e:%d" % code + end + b"# "


# Pieces of the marks, CRs and LFs, where a parser may go wrong, among anything at all.
pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\r\n", b"e:"]),
    st.sampled_from([MARK.encode() + more for more in (b"", b"e:", b"e:12", b"e:1x", b"b:1\n")]),
    st.integers(1, len(MARK)).map(lambda count: MARK[:count].encode()),
)
BYTES = list(range(200))
"""Cut between all of them."""
outputs = (
    st.lists(pieces, max_size=12)
    .map(b"".join)
    .filter(lambda data: re.search(MARK.encode() + rb"e:\d{1,3}\r?\n", data) is None)
)


@given(
    output=outputs,
    returns=st.booleans(),
    code=st.integers(0, 255),
    cuts=st.lists(st.integers(0, 1000)),
)
@example(output=b"a\n\rb" + MARK[:9].encode() + b"\n", returns=True, code=0, cuts=BYTES)
@example(output=b"a\n\rb" + MARK.encode() + b"e:\r\n", returns=False, code=130, cuts=BYTES)
def test_the_output_exactly(output: bytes, code: int, cuts: list[int], *, returns: bool) -> None:
    """However the bytes are cut, the output is what was written, and nothing of the rest is in it."""
    data = shown(output, returns=returns, code=code, before=b"\x1b[6n# echo " + MARK[:16].encode())
    transcript, seen = Transcript(MARK), b""
    at = 0
    for cut in [*sorted({cut for cut in cuts if cut < len(data)}), len(data)]:
        seen += transcript.feed(data[at:cut])
        at = cut
    # A mark's end that the output itself ends with would be one with what follows.
    if re.search(MARK.encode() + rb"e:\d{0,3}\r?$", output):
        return

    assert (transcript.begun, transcript.ended, transcript.pid) == (True, True, 17)
    assert (seen, transcript.exit_code) == (output, code)
    assert transcript.feed(b"more") == transcript.finish() == b""


@given(output=outputs, cuts=st.lists(st.integers(0, 1000)), returns=st.booleans())
def test_an_output_that_is_cut_off(output: bytes, cuts: list[int], *, returns: bool) -> None:
    """What had come is given, to the last byte, when nothing more comes."""
    data = shown(output, returns=returns)
    whole = data[: data.rindex(MARK.encode() + b"e:")]
    transcript, seen, at = Transcript(MARK), b"", 0
    for cut in [*sorted({cut for cut in cuts if cut < len(whole)}), len(whole)]:
        seen += transcript.feed(whole[at:cut])
        at = cut

    assert seen + transcript.finish() == output
    assert not transcript.ended


def test_what_was_said_instead() -> None:
    """Without a shell there is no mark, and the end of what was said is kept."""
    transcript = Transcript(MARK)
    for _ in range(3):
        assert transcript.feed(b"x" * 1500) == b""
    transcript.feed(b"no such file\r\n")

    assert transcript.said.endswith("xno such file\r\n")
    assert len(transcript.said) <= 2000
    assert transcript.finish() == b""
    assert not transcript.begun


def test_raw() -> None:
    """An interactive session keeps what the terminal made of the output."""
    transcript = Transcript(MARK, raw=True)

    assert transcript.feed(shown(b"a\nb", returns=True)) == b"a\r\nb"
    assert transcript.exit_code == 0


def test_nothing_is_held_back_for_long() -> None:
    """Output is given as soon as it cannot be the mark any more."""
    transcript = Transcript(MARK)
    transcript.feed(MARK.encode() + b"b:1\n")

    assert transcript.feed(b"prompt: ") == b"prompt: "
    assert transcript.feed(MARK[:5].encode()) == b""
    assert transcript.feed(b"!") == MARK[:5].encode() + b"!"


def test_ten_megabytes_in_linear_time() -> None:
    """Many small pieces of a long output; one that were looked at anew each time would take minutes."""
    transcript = Transcript(MARK)
    transcript.feed(MARK.encode() + b"b:1\n")
    piece: Any = bytes(range(256)) * 4

    assert sum(len(transcript.feed(piece)) for _ in range(10_000)) == 10_240_000


@given(st.binary())
def test_plain_undoes_what_a_terminal_does(data: bytes) -> None:
    """Exactly, also where the output has CRs of its own."""
    assert plain(data.replace(b"\n", b"\r\n")) == data
