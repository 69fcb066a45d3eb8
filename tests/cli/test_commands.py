"""The commands on a real engine, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


pytestmark = [pytest.mark.engine, pytest.mark.slow]

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


def command(*words: str) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-m", "aciflow", *words]


@pytest.fixture
def aciflow() -> Iterator[Run]:
    """Run a command; whatever tests left on the shared endpoint is deleted afterwards."""

    def run(*words: str, timeout: float = 60) -> Done:
        return subprocess.run(command(*words), capture_output=True, text=True, timeout=timeout)

    yield run
    done = run("delete", "--all", "--quiet")
    assert done.returncode == 0, done.stderr


@contextmanager
def background(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on."""
    process = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def wait_until(happens: Callable[[], Any], within: float = 20.0) -> None:
    """Look until something is so."""
    until = time.monotonic() + within
    while not happens():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def listed(aciflow: Run) -> list[dict[str, Any]]:
    """What ``ps`` lists."""
    done = aciflow("ps", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_launch_ps_logs_delete(aciflow: Run, web_image: str) -> None:
    """A detached launch says where it serves, how to delete it and what it costs; others find it."""
    done = aciflow("launch", web_image, "--public-ip", "--name", "web")
    assert done.returncode == 0, done.stderr

    assert re.search(r"^serving at http://\d", done.stdout, re.MULTILINE)
    assert "first line: hello" in done.stdout
    assert "local engine, not Azure" in done.stdout
    assert "it costs nothing" in done.stdout
    assert "no Azure is configured" in done.stderr
    delete = re.search(r"^delete it with: aciflow (.*)$", done.stdout, re.MULTILINE)
    assert delete is not None

    (group,) = listed(aciflow)
    assert (group["name"], group["state"]) == ("web", "Running")
    assert "web" in aciflow("ps").stdout
    assert aciflow("logs", "web").returncode == 0

    deleted = aciflow(*delete[1].split())
    assert deleted.returncode == 0, deleted.stderr
    assert "deleted web" in deleted.stdout
    assert "the resource group" in deleted.stdout
    assert listed(aciflow) == []


def test_launch_as_json(aciflow: Run, web_image: str) -> None:
    """A program gets the address, the timeline and how to delete it, and nothing else."""
    done = aciflow("launch", web_image, "--public-ip", "--target", "local", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["target"] == "local"
    assert found["first_line"].startswith("hello")
    assert {"submit", "ready"} <= {phase["name"] for phase in found["timeline"]["phases"]}
    assert found["delete_with"].endswith("--target local")
    assert found["cost_per_day_usd"] is None
    assert done.stderr == ""


def test_several_resource_groups(aciflow: Run, web_image: str) -> None:
    """A name in two resource groups has to be told apart."""
    for place in ("one", "two"):
        done = aciflow("launch", web_image, "--name", "same", "-g", place)
        assert done.returncode == 0, done.stderr

    ambiguous = aciflow("logs", "same")
    assert ambiguous.returncode == 2
    assert "'same' is in one, two" in ambiguous.stderr
    assert aciflow("delete", "same", "-g", "one").returncode == 0
    assert [group["resource_group"] for group in listed(aciflow)] == ["two"]
    assert aciflow("delete", "--all", "-g", "two").returncode == 0
    again = aciflow("delete", "--all", "-g", "two")
    assert (again.returncode, again.stdout) == (0, "")


def test_run_passes_the_exit_code(aciflow: Run, web_image: str) -> None:
    """A run prints the log as it comes, and ends with the container's exit code."""
    done = aciflow(
        "run", web_image, "--timeline", "--", "sh", "-c", "echo one; echo two >&2; exit 3"
    )

    assert done.returncode == 3
    assert sorted(done.stdout.split()) == ["one", "two"]
    assert "total" in done.stderr
    assert listed(aciflow) == []


def test_run_as_json(aciflow: Run, web_image: str) -> None:
    """A program gets the exit code and the log in one document."""
    done = aciflow("run", web_image, "--json", "--env", "A=b", "--", "sh", "-c", "echo $A")
    found = json.loads(done.stdout)

    assert (done.returncode, found["exit_code"], found["logs"].strip()) == (0, 0, "b")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_hold(aciflow: Run, web_image: str, number: int, code: int) -> None:
    """With ``--rm`` a container lives as long as the command, however that is ended."""
    with background("launch", web_image, "--public-ip", "--rm", "--name", "held") as process:
        assert process.stderr is not None
        wait_until(lambda: "press Ctrl-C" in process.stderr.readline())  # type: ignore[union-attr]
        assert [group["name"] for group in listed(aciflow)] == ["held"]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert "serving at" in out
    assert "Traceback" not in err
    assert listed(aciflow) == []


def test_interrupted_launch(aciflow: Run, web_image: str) -> None:
    """Ctrl-C in the middle of a launch leaves nothing."""
    with background("launch", web_image, "--ready", "log:never") as process:
        wait_until(lambda: listed(aciflow))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert listed(aciflow) == []


def test_follow(aciflow: Run, web_image: str) -> None:
    """Following a log ends when the container does."""
    done = aciflow(
        *(
            "launch",
            web_image,
            "--name",
            "talks",
            "--restart-policy",
            "Never",
            "--ready",
            "running",
        ),
        *("--", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done"),
    )
    assert done.returncode == 0, done.stderr

    assert aciflow("logs", "talks", "--follow").stdout.split() == ["1", "2", "3"]
    assert aciflow("logs", "talks", "--tail", "1").stdout.split() == ["3"]
    assert json.loads(aciflow("logs", "talks", "--json").stdout)["logs"].split() == ["1", "2", "3"]
    assert aciflow("logs", "talks", "--follow", "--json").returncode == 2


def test_failed_launch(aciflow: Run, web_image: str) -> None:
    """A container that dies at once is an error with its exit code and last words, and is gone."""
    done = aciflow("launch", web_image, "--public-ip", "--", "sh", "-c", "echo no database; exit 3")

    assert done.returncode == 1
    assert done.stderr.splitlines()[1].startswith("error: ")
    assert "no database" in done.stderr
    assert "Traceback" not in done.stderr
    assert listed(aciflow) == []


def test_problems_are_reported_together(aciflow: Run) -> None:
    """All that is wrong with a request is said at once."""
    ports = [word for port in range(81, 87) for word in ("--port", str(port))]
    done = aciflow("launch", "nginx", "--name", "Not_A_Name", "--public-ip", "--json", *ports)

    assert done.returncode == 1
    problems = json.loads(done.stdout)["error"]["problems"]
    assert len(problems) >= 2
    assert any(problem["field"] == "name" for problem in problems)


def test_unknown_group(aciflow: Run) -> None:
    """A name that nothing has is said to be that, wherever it is looked for."""
    for words in (("logs", "nobody"), ("delete", "nobody"), ("logs", "nobody", "-g", "nowhere")):
        done = aciflow(*words)
        assert done.returncode == 1
        assert "error: there is no container group" in done.stderr


def test_no_wait(aciflow: Run, web_image: str) -> None:
    """Without waiting it returns when the request was accepted, and says so."""
    done = aciflow("launch", web_image, "--no-wait", "--name", "soon")

    assert done.returncode == 0, done.stderr
    assert "soon: accepted, not waited for" in done.stdout
    wait_until(lambda: [group["state"] for group in listed(aciflow)] == ["Running"])


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an engine the error says what would help."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    done = subprocess.run(
        command("launch", "nginx"), capture_output=True, text=True, timeout=60, env=os.environ
    )

    assert done.returncode == 1
    assert "Start Docker or Podman" in done.stderr
    assert "Traceback" not in done.stderr


def test_first_line_of_what_is_no_web_server() -> None:
    """A port that speaks no HTTP has no first line, and costs no crash."""
    from aciflow import Endpoint
    from aciflow.cli.launch import first_line

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        class Group:
            def endpoint(self) -> Endpoint:
                return Endpoint(host="127.0.0.1", port=port)

            def url(self) -> str:
                return f"http://127.0.0.1:{port}"

        # It accepts, and then is silent and goes away.
        server.close()
        assert first_line(Group()) is None  # type: ignore[arg-type]


def test_bench_overhead(aciflow: Run, tmp_path: Path, web_image: str) -> None:
    """One round has all figures, in a file and as a table."""
    out = tmp_path / "out.json"
    done = aciflow(
        *("bench", "overhead", "--rounds", "1", "--image", web_image, "--json", str(out)),
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())

    assert set(found["ratio"]) == {"median", "low", "high"}
    assert len(found["samples"]["engine_s"]) == len(found["samples"]["aciflow_s"]) == 1
    assert "ratio" in done.stdout
    missing = aciflow("bench", "overhead", "--image", "no/such:image")
    assert missing.returncode == 1
    assert "pull it first" in missing.stderr


def test_bench_overhead_makes_its_own_image(aciflow: Run, engine: Any) -> None:
    """Without an image it makes one of this machine's busybox, and removes it."""
    done = aciflow("bench", "overhead", "--rounds", "1", "--json", timeout=90)
    if done.returncode == 1 and "static busybox" in done.stderr:
        pytest.skip("no static busybox here: apt-get install busybox-static")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rounds"] == 1
    assert not engine.has("aciflow-bench/web:1")
