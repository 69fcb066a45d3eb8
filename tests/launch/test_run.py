"""From an image to an exit code and everything that was written."""

from __future__ import annotations

import time

from typing import Any

import pytest

from tests.images import Engine
from tests.launch.helpers import containers

import aciflow


pytestmark = pytest.mark.engine


def test_to_its_end(any_client: Any, web_image: str) -> None:
    """Exit code, logs and phases; the group is gone."""
    result = any_client.run(web_image, ["/bin/sh", "-c", "echo out; echo err >&2; exit 4"])
    assert 4 == result.exit_code
    assert ["err", "out"] == sorted(result.logs.splitlines())
    assert not result.logs_truncated
    assert {"submit", "delete"} <= {phase.name for phase in result.timeline.phases}
    assert result.estimated_cost is None or result.estimated_cost >= 0
    assert "out" not in repr(result)


def test_lines_while_it_runs(any_client: Any, web_image: str) -> None:
    """``on_log`` hears each line once, in order, before the run has ended."""
    heard: list[tuple[float, str]] = []

    def hook(line: aciflow.LogLine) -> None:
        heard.append((time.monotonic(), line.text))

    command = ["/bin/sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.5; done"]
    result = any_client.run(web_image, command, on_log=hook)
    assert ["1", "2", "3"] == [text for _, text in heard]
    assert heard[-1][0] - heard[0][0] > 0.5
    assert "1\n2\n3\n" == result.logs


def test_two_thousand_lines(any_client: Any, web_image: str) -> None:
    """All of them, in order, though they come faster than they are read."""
    result = any_client.run(web_image, ["/bin/sh", "-c", "seq 2000; sleep 3"])
    assert [str(number) for number in range(1, 2001)] == result.logs.splitlines()
    assert not result.logs_truncated


def test_a_log_that_was_cut_is_said_to_be(any_client: Any, web_image: str) -> None:
    """Of a container that has ended before its log was read ACI keeps the last lines alone."""
    result = any_client.run(web_image, ["/bin/seq", "2000"])
    lines = result.logs.splitlines()
    assert [str(number) for number in range(2001 - len(lines), 2001)] == lines
    assert (len(lines) < 2000) is result.logs_truncated


def test_checked(any_client: Any, web_image: str) -> None:
    """With ``check`` an exit code other than 0 is an error that has the logs."""
    with pytest.raises(aciflow.ContainerExitedError, match="exit code 5") as caught:
        any_client.run(web_image, ["/bin/sh", "-c", "echo because; exit 5"], check=True)
    assert 5 == caught.value.exit_code
    assert caught.value.context is not None
    assert "because" in caught.value.context.logs
    assert 0 == any_client.run(web_image, ["/bin/true"], check=True).exit_code


def test_too_long(any_client: Any, web_image: str, engine: Engine) -> None:
    """After ``timeout`` it is ended, with what it had written by then."""
    with pytest.raises(aciflow.RunTimeoutError) as caught:
        any_client.run(
            web_image,
            ["/bin/sh", "-c", "echo so far; sleep 600"],
            name="long",
            timeout=1.0,
        )
    assert caught.value.context is not None
    assert "so far" in caught.value.context.logs
    assert [] == containers(engine, "long")


def test_a_command_that_is_not_there(client: aciflow.Client, web_image: str) -> None:
    """It is told as kubelet does (StartError): 128, and not 0."""
    assert 128 == client.run(web_image, ["/bin/nothere"], start_timeout=20).exit_code


def test_a_run_ends(client: aciflow.Client) -> None:
    """A restart policy that never ends is refused."""
    with pytest.raises(aciflow.ValidationError, match="restart_policy"):
        client.run("web", restart_policy="Always")


def test_the_module_function(web_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It brings a client of its own, and closes it."""
    monkeypatch.setenv("ACIFLOW_TARGET", "local")
    result = aciflow.run(web_image, ["/bin/sh", "-c", 'echo "$WORD"'], env={"WORD": "word"})
    assert (0, "word\n") == (result.exit_code, result.logs)
