"""``aciflow local``, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aciflow.cli import main


SIMULATED = ("--runtime", "simulated", "--speed", "200")

# Another program: it knows the environment and no more.
ASK = """\
import sys
from aciflow import Client, Ready
with Client() as client:
    with client.launch("nginx", name="web", ready=Ready.running()) as group:
        print(group.state, *sys.argv[1:])
"""


def command(*words: str) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-W", "error", "-m", "aciflow", "local", *SIMULATED, *words]


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """To its end."""
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=100, **options)


@contextmanager
def background(*words: str) -> Iterator[subprocess.Popen[str]]:
    """One that goes on; killed if the test does not end it."""
    process = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def line(process: subprocess.Popen[str]) -> str:
    """The next that it prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_command_finds_it() -> None:
    """It gets the environment, its arguments as they are, and standard output for itself."""
    done = run("--", sys.executable, "-c", ASK, "--port", "--", "x y")

    assert done.stdout.split(maxsplit=1)[0] == "Running", done.stderr
    assert done.stdout.endswith("--port -- x y\n")
    assert done.returncode == 0


@pytest.mark.parametrize(("code", "expected"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_its_exit_code_is_ours(code: str, expected: int) -> None:
    """Also that of a signal, as shells have it."""
    assert run("--", "sh", "-c", code).returncode == expected


def test_a_command_that_is_not_there() -> None:
    """127, as shells have it, and its name."""
    done = run("--", "no-such-program")

    assert done.returncode == 127
    assert "no-such-program" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_go_to_the_command(number: signal.Signals) -> None:
    """It decides what they mean; the endpoint is there until it has ended."""
    code = (
        f"trap 'curl -sS \"$URL/metadata/endpoints?api-version=2020-01-01\" | head -c 2; exit 9' "
        f"{number.name.removeprefix('SIG')};"
        "URL=https://localhost:${ACIFLOW_TARGET##*:}; echo ready; while :; do sleep 0.1; done"
    )
    with background("--", "sh", "-c", code) as process:
        assert line(process) == "ready\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)

    assert (output, process.returncode) == ("[{", 9), errors


def test_what_it_prints_is_for_a_shell() -> None:
    """Lines that a shell reads, with which another process finds it; SIGTERM ends it."""
    with background() as process:
        script = ""
        while "SSL_CERT_FILE" not in script:
            script += line(process)
        done = subprocess.run(
            ["sh", "-c", f'{script}\nexec "$0" -c "$1"', sys.executable, ASK],
            capture_output=True,
            text=True,
            timeout=60,
        )
        bundle = next(word for word in script.split() if word.startswith("SSL_CERT_FILE="))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)

    assert done.stdout.startswith("Running"), done.stderr
    assert process.returncode == 143
    assert not Path(bundle.partition("=")[2].strip("'")).exists()


def _document(process: subprocess.Popen[str]) -> dict[str, Any]:
    text = ""
    while not text.endswith("}\n") or not _is_json(text):
        text += line(process)
    document: dict[str, Any] = json.loads(text)
    return document


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _ask(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_json_has_all_that_a_program_needs() -> None:
    """One document with the environment; Ctrl-C is a normal end."""
    with background("--json") as process:
        document = _document(process)
        done = _ask(document["environ"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert done.stdout.startswith("Running"), done.stderr
    assert document["pid"] == process.pid
    assert process.returncode == 0


def test_a_port_and_a_secret(tmp_path: Path) -> None:
    """Those that were asked for; the secret is the file's first line without its end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "secret").write_text("hunter2\n")
    words = ("--port", str(port), "--host", "0.0.0.0", "--secret-file", str(tmp_path / "secret"))
    with background(*words, "--json") as process:
        document = _document(process)

        assert document["url"] == f"https://localhost:{port}"
        assert document["environ"]["AZURE_CLIENT_SECRET"] == "hunter2"
        taken = run("--port", str(port), "--", "true")
    assert taken.returncode == 1
    assert f"port {port} " in taken.stderr


def test_it_ends_when_nobody_needs_it() -> None:
    """Not while it has a group or is asked; then, with 0."""
    with background("--json", "--idle-exit", "8") as process:
        document = _document(process)
        done = _ask(document["environ"])
        output, errors = process.communicate(timeout=60)

    assert done.stdout.startswith("Running"), done.stderr
    assert (output, process.returncode) == ("", 0), errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json", "--", "true"], "--json"),
        (["--idle-exit", "3", "--", "true"], "--idle-exit"),
        (["--keep"], "--state"),
        (["--secret-file", "/nowhere/at/all"], "--secret-file"),
        (["--azure-file", "share"], "--azure-file"),
        (["--runtime", "simulated", "--traces", "/nowhere/at/all"], "--traces"),
    ],
)
def test_what_makes_no_sense(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with 2 and names the option."""
    assert main(["local", *words]) == 2
    shown = capsys.readouterr()
    assert said in shown.err + shown.out


def test_a_program_that_needs_it_can_be_many(tmp_path: Path) -> None:
    """Several at once have an endpoint each, and see none of the others' groups."""
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda: results.append(run("--", sys.executable, "-c", ASK)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [done.stdout.split()[0] for done in results] == ["Running", "Running"]
