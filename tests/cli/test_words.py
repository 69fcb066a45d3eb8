"""What may be typed, and what it means."""

from __future__ import annotations

import subprocess
import sys

from datetime import timedelta
from pathlib import Path

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow import Ready
from aciflow.cli import main, values
from aciflow.cli.parser import parse
from aciflow.cli.values import UsageError


def test_command_after_two_dashes() -> None:
    """What follows ``--`` is the container's, even if it looks like an option of ours."""
    args = parse(["run", "alpine", "--cpu", "2", "--", "sh", "-c", "echo --json"])

    assert (args.image, args.cpu, args.argv) == ("alpine", 2.0, ["sh", "-c", "echo --json"])
    assert args.json is False


def test_command_without_dashes() -> None:
    """A command without options needs no ``--``."""
    assert parse(["run", "alpine", "echo", "hi"]).argv == ["echo", "hi"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["local", "--port", "99999"], "--port/-p: '99999' is no port"),
        (["local", "--port", "web"], "--port/-p: 'web' is no port"),
        (["local", "--idle-exit", "0"], "--idle-exit: '0' is not a number of seconds above 0"),
        (["local", "--speed", "fast"], "--speed: 'fast' is not a number above 0"),
        (["local", "az", "login"], "unrecognized arguments: az login; a command goes after --"),
        (["local", "--nope"], "unrecognized arguments: --nope\n"),
        (["bench", "load", "--seconds", "0"], "'0' is not a number of seconds above 0"),
        (["bench", "load", "--rounds", "x"], "'x' is no whole number from 1 on"),
        (["verify", "--budget", "-1"], "'-1' is no sum of dollars"),
        (["exec", "web", "--timeout", "nan", "--", "ls"], "'nan' is not a number of seconds"),
    ],
)
def test_wrong_values_name_the_option_and_what_it_takes(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number that cannot be is told with its option, in words."""
    with pytest.raises(SystemExit) as raised:
        parse(words)

    assert raised.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["lunch"],
        ["launch"],
        ["launch", "nginx", "--lifetime", "forever"],
        ["launch", "nginx", "--rm", "--lifetime", "detached"],
        ["launch", "nginx", "--cpu", "lots"],
        ["ps", "--", "sh"],
        ["bench"],
        ["bench", "imports", "--rounds", "0"],
        ["bench", "detection"],
    ],
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with 2, and says what is right."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 2
    assert "usage: aciflow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["launch", "nginx", "--env", "A"], "--env A: NAME=VALUE is expected"),
        (["launch", "nginx", "--env", "=b"], "--env =b: NAME=VALUE is expected"),
        (["launch", "nginx", "--secure-env", "NOT_SET_AT_ALL"], "no such environment variable"),
        (["launch", "nginx", "--file", "/etc/x=/no/such/file"], "No such file"),
        (["launch", "nginx", "--ready", "soon"], "--ready soon: tcp[:PORT]"),
        (["launch", "nginx", "--delete-after", "later"], "--delete-after later: a time like 90s"),
        (["launch", "nginx", "--registry-user", "me"], "need --registry SERVER"),
        (["launch", "nginx", "--registry", "r.example"], "give --registry-user"),
        (
            ["launch", "nginx", "--registry", "r.example", "--registry-user", "me"],
            "ACIFLOW_REGISTRY_PASSWORD",
        ),
        (["delete"], "name what to delete, or --all"),
        (["delete", "web", "--all"], "name what to delete, or --all"),
        (["bench", "detection", "--traces", "/no/such/file"], "--traces /no/such/file"),
    ],
)
def test_words_that_make_no_sense(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word that means nothing ends with 2 and one line that says what was expected."""
    assert main([*words, "--quiet"]) == 2

    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.startswith("error: ")
    assert captured.out == ""


def test_traces_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON file without recorded starts is refused."""
    (tmp_path / "other.json").write_text("{}")

    assert main(["bench", "detection", "--traces", str(tmp_path / "other.json")]) == 2
    assert "recorded starts are expected" in capsys.readouterr().err


def test_secret_on_the_command_line_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """An error about something else does not show a secret that was typed."""
    assert main(["launch", "nginx", "--secure-env", "A=hunter2", "--ready", "soon"]) == 2

    assert "hunter2" not in capsys.readouterr().err


def test_pairs_keep_further_equals_signs() -> None:
    """Only the first equals sign divides."""
    assert values.pairs("--env", ["A=b=c", "D="]) == {"A": "b=c", "D": ""}


def test_secrets_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name alone takes its value from the environment, so that it is in no process list."""
    monkeypatch.setenv("TOKEN", "x")

    assert values.secrets(["TOKEN", "OTHER=y"]) == {"TOKEN": "x", "OTHER": "y"}


def test_files(tmp_path: Path) -> None:
    """A local file's bytes go to the path in the container."""
    (tmp_path / "local").write_bytes(b"\x00\xff")

    assert values.files([f"/etc/app.conf={tmp_path / 'local'}"]) == {"/etc/app.conf": b"\x00\xff"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (None, None),
        ("90s", timedelta(seconds=90)),
        ("1.5m", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
    ],
)
def test_durations(word: str | None, expected: timedelta | None) -> None:
    """Times are written as people write them."""
    assert values.duration(word) == expected


@given(st.text(max_size=10))
def test_durations_never_crash(word: str) -> None:
    """Any word is a time or a usage error."""
    try:
        found = values.duration(word)
    except UsageError:
        return
    assert found is not None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (None, None),
        ([], None),
        (["tcp"], Ready.tcp()),
        (["tcp:8080"], Ready.tcp(8080)),
        (["http"], Ready.http()),
        (["http:8080"], Ready.http(port=8080)),
        (["http:/healthz"], Ready.http("/healthz")),
        (["http:8080/healthz"], Ready.http("/healthz", 8080)),
        (["log:listening on .*"], Ready.log("listening on .*")),
        (["exec:test -f '/a b'"], Ready.exec(["test", "-f", "/a b"])),
        (["running"], Ready.running()),
        (["completed"], Ready.completed()),
        (["tcp:80", "log:up"], Ready.tcp(80) & Ready.log("up")),
    ],
)
def test_conditions(words: list[str] | None, expected: Ready | None) -> None:
    """Conditions read as in Python, and several must all hold."""
    assert values.ready(words) == expected


def test_a_condition_with_an_open_quote() -> None:
    """It is wrong usage, not a bug."""
    with pytest.raises(UsageError, match="exec:echo 'x: No closing quotation"):
        values.ready(["exec:echo 'x"])


def test_registry_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password comes from the environment, and is in no repr."""
    monkeypatch.setenv("ACIFLOW_REGISTRY_PASSWORD", "hunter2")
    found = values.registry("r.example", "me", None)

    assert found is not None
    assert (found.server, found.username, found.password) == ("r.example", "me", "hunter2")
    assert "hunter2" not in repr(found)


def test_registry_with_an_identity() -> None:
    """An identity needs no password."""
    found = values.registry("r.example", None, "/subscriptions/x")

    assert found is not None
    assert found.identity == "/subscriptions/x"
    assert values.registry(None, None, None) is None


@pytest.mark.parametrize(
    "words",
    [["--help"], ["launch", "--help"], ["bench", "overhead", "--help"], ["doctor", "--help"]],
)
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help is printed, without anything being loaded that a launch needs."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    assert ended.value.code == 0
    assert "usage: aciflow" in capsys.readouterr().out


def test_help_is_quick() -> None:
    """Help loads neither attrs nor anything of Azure."""
    code = (
        "import sys\nfrom aciflow.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'attrs', 'httpx', 'azure'} & set(sys.modules), sorted(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert 0 == done.returncode, done.stderr


def test_module(capfd: pytest.CaptureFixture[str]) -> None:
    """``python -m aciflow`` is the command line, and knows its version."""
    subprocess.run([sys.executable, "-m", "aciflow", "--version"], check=True, timeout=30)

    assert capfd.readouterr().out.startswith("aciflow 0")
