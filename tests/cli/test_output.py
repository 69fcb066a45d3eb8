"""What is printed, and how a command ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading

from argparse import Namespace
from typing import Any

import pytest

from aciflow import (
    AciflowError,
    CleanupError,
    ContainerExitedError,
    LaunchContext,
    Leftover,
    Phase,
    Problem,
    QuotaExceededError,
    Timeline,
    ValidationError,
)
from aciflow import cli as package
from aciflow.cli import main
from aciflow.cli.groups import table
from aciflow.cli.output import Output, error_document


LEFT = Leftover(resource_id="/subscriptions/s/x", remove_with="aciflow delete x")


def failed() -> ContainerExitedError:
    """An error as a launch raises it."""
    error = ContainerExitedError("web exited with 3", container="web", exit_code=3)
    error.context = LaunchContext(
        phase="start",
        timeline=Timeline(
            phases=(Phase(name="submit", start=0, end=1, source="client"),), total=1.5
        ),
        logs="no such table\n",
        events=("Started",),
        leftovers=(LEFT,),
    )
    return error


def ending(error: BaseException, **options: Any) -> Any:
    """A parser that finds a command which ends so."""

    def command(_args: Namespace, _output: Output) -> int:
        raise error

    return lambda _words: Namespace(
        **{"json": False, "quiet": False, "debug": False, "command": command} | options
    )


def test_error_is_one_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error says what went wrong first, all that is known below, and shows no traceback."""
    error = failed()
    error.add_note("while deleting, that failed too")
    monkeypatch.setattr(package, "parse", ending(error))

    assert main([]) == 1

    said = capsys.readouterr().err
    first, *rest = said.splitlines()
    assert first == "error: web exited with 3"
    assert all(line.startswith("  ") for line in rest)
    for part in ("no such table", "aciflow delete x", "phase: start", "that failed too"):
        assert part in said
    assert "Traceback" not in said


def test_error_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets the class, the phase, the timeline, and what is left with its remedy."""
    monkeypatch.setattr(package, "parse", ending(failed(), json=True))

    assert main([]) == 1

    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["type"] == "ContainerExitedError"
    assert (error["phase"], error["exit_code"], error["container"]) == ("start", 3, "web")
    assert error["leftovers"] == [
        {"resource_id": "/subscriptions/s/x", "remove_with": "aciflow delete x"}
    ]
    assert Timeline.from_dict(error["timeline"]).total == 1.5
    assert captured.err == ""


def test_error_documents_of_other_kinds() -> None:
    """ARM's code, a request's problems and what a clean-up left are there for programs."""
    arm = error_document(QuotaExceededError("no", status=409, code="ContainerGroupQuotaReached"))
    problems = error_document(ValidationError([Problem(field="name", message="too long")]))
    left = error_document(CleanupError("no", remaining=[LEFT]))

    assert (arm["code"], arm["status"]) == ("ContainerGroupQuotaReached", 409)
    assert problems["problems"] == [{"field": "name", "message": "too long"}]
    assert left["leftovers"][0]["remove_with"] == "aciflow delete x"


def test_empty_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An error without words is at least named."""
    monkeypatch.setattr(package, "parse", ending(AciflowError("")))

    assert main([]) == 1
    assert capsys.readouterr().err == "error: AciflowError\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_bug(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even what nobody foresaw is a line, unless it is asked where."""
    monkeypatch.setattr(package, "parse", ending(KeyError("x"), json=as_json))

    assert main([]) == 1

    captured = capsys.readouterr()
    assert "KeyError" in captured.out + captured.err
    assert "Traceback" not in captured.err


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--debug`` such an error is raised as it is."""
    monkeypatch.setattr(package, "parse", ending(KeyError("x"), debug=True))

    with pytest.raises(KeyError):
        main([])


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130, as for any program."""
    monkeypatch.setattr(package, "parse", ending(KeyboardInterrupt()))

    assert main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_usage_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed wrongly is JSON too, where JSON was asked for."""
    assert main(["launch", "nginx", "--json", "--ready", "soon"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"


def test_nobody_reads_on() -> None:
    """``aciflow ps | head`` ends without a complaint, as programs in a pipe do."""
    program = (
        "import sys, aciflow.cli as c\n"
        "from argparse import Namespace\n"
        "def command(args, output):\n"
        "    for _ in range(100000): output.line('x' * 100)\n"
        "    return 0\n"
        "c.parse = lambda words: Namespace(json=False, quiet=False, debug=False, command=command)\n"
        "sys.exit(c.main([]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(timeout=30) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command runs in any thread, where no signal handler can be set."""
    codes: list[int] = []
    monkeypatch.setattr(package, "parse", ending(AciflowError("x")))
    thread = threading.Thread(target=lambda: codes.append(main([])))
    thread.start()
    thread.join()

    assert codes == [1]


def test_other_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of another encoding gets question marks, never a crash."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)

    Output(json=False, quiet=False).line("█ 1 s")

    stream.seek(0)
    assert stream.read() == "? 1 s\n"


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet leaves results and errors."""
    output = Output(json=False, quiet=True)
    output.note("by the way")
    output.result({}, "result")

    assert output.progress() is None
    assert capsys.readouterr() == ("result\n", "")


def test_table_is_aligned() -> None:
    """Columns are as wide as what is in them."""
    assert table(("name", "state"), [["a", "Running"], ["longer", ""]]).splitlines() == [
        "NAME    STATE",
        "a       Running",
        "longer",
    ]
