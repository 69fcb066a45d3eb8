"""Probing from inside the container: for whom, how often, and what is made of the answers."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess

from typing import Any

import pytest

from tests.flow.kit import (
    OK,
    REF,
    REFUSED,
    SILENT,
    Script,
    body,
    outage,
    reply,
    running,
    view,
    waiting,
)

from aciflow.errors import (
    AuthorizationError,
    ContainerNotRunningError,
    ExecError,
    ExecTimeoutError,
    MissingExtraError,
    NoShellError,
    NotReadyError,
    UnreachableFromHereError,
    ValidationError,
)
from aciflow.flow import inside
from aciflow.flow.effects import Exec
from aciflow.flow.handle import wait
from aciflow.flow.pace import AZURE
from aciflow.ready import HttpCheck, Ready, TcpCheck
from aciflow.sessions.values import ExecResult


DONE = ExecResult("", 0)
NOT_YET = ExecResult("not yet\n", 1)
NOTHING = ExecResult("", 7)
GONE = ContainerNotRunningError("it does not run")
FORBIDDEN = AuthorizationError("not allowed", status=403)


def waited(script: Script, ready: Ready, timeout: float = 60.0) -> Any:
    """Wait for a container group that is there."""
    return script.run(lambda env: wait(env, REF, ready, pace=AZURE, timeout=timeout, label=""))


def commands(script: Script) -> list[Exec]:
    """What was run in the container."""
    return [effect for _, effect in script.asked if isinstance(effect, Exec)]


def test_a_command_until_it_succeeds() -> None:
    """It is repeated at its pace, one at a time, and its end with 0 is what one waits for."""
    script = Script(group_get=view(running()), exec=[NOT_YET, outage(), GONE, DONE])

    waited(script, Ready.exec(["test", "-f", "/ready"], timeout=3.0))

    [first, *others] = commands(script)
    assert (first.argv, first.container, first.timeout) == (("test", "-f", "/ready"), "web", 3.0)
    assert len(others) == 3
    times = script.times("exec")
    assert all(later - sooner >= AZURE.inside for sooner, later in itertools.pairwise(times))


def test_not_before_the_container_runs() -> None:
    """Nothing can be run in one that does not."""
    script = Script(group_get=[view(waiting()), view(waiting()), view(running())], exec=DONE)

    waited(script, Ready.exec(["true"]))

    assert script.times("exec")[0] > script.times("group_get")[2]


def test_which_container() -> None:
    """The one that was asked for; for a port the one that declares it; else the first."""
    views = body(running(), running(), running())
    views["properties"]["containers"][1]["properties"]["ports"] = [{"port": 8080}]
    script = Script(group_get=reply(views), exec=ExecResult("200", 0))
    ready = (
        Ready.exec(["true"], container="web2")
        & Ready.exec(["true"])
        & Ready.tcp(8080, via="container")
        & Ready.http(port=81, via="container")
    )

    waited(script, ready)

    asked = {(one.container, one.port) for one in commands(script)}
    assert asked == {("web2", None), ("web", None), ("web1", 8080), ("web", 81)}


def test_a_container_that_is_not_there() -> None:
    """Its command waits for ever, which the time ends."""
    script = Script(group_get=view(running()))

    with pytest.raises(NotReadyError, match="waiting for exec true"):
        waited(script, Ready.exec(["true"], container="other"))


@pytest.mark.parametrize(
    "error", [NoShellError("no shell"), FORBIDDEN, MissingExtraError("x", extra="exec")]
)
def test_what_can_never_be_told(error: Exception) -> None:
    """Where a command was asked for and cannot be run at all, that is an error at once."""
    script = Script(group_get=view(running()), exec=error)

    with pytest.raises(type(error)):
        waited(script, Ready.exec(["true"]))
    assert len(commands(script)) == 1


def test_no_exit_code() -> None:
    """Without a shell a command may run, and nobody tells how it ended."""
    script = Script(group_get=view(running()), exec=ExecResult("all is well", None))

    with pytest.raises(NoShellError, match="exec /check: the image has no shell"):
        waited(script, Ready.exec(["/check"]))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (NOT_YET, "test ended with exit code 1: not yet"),
        (ExecResult("", 4), r"test ended with exit code 4;"),
        (ExecTimeoutError("test was not done within 10 s"), "test was not done within 10 s"),
        (ExecError("it was cut off"), "it was cut off"),
    ],
)
def test_too_late(answer: Any, says: str) -> None:
    """The error has what the last command came to, and never blames this machine's network."""
    script = Script(group_get=view(running()), exec=answer)

    with pytest.raises(NotReadyError, match=says):
        waited(script, Ready.exec(["test", "-f", "/ready"]))


def test_a_port_that_is_asked_inside_alone() -> None:
    """With ``via="container"`` nothing is probed from here, and no address is needed."""
    script = Script(group_get=view(running(), ports=[]), exec=[NOTHING, DONE])

    waited(script, Ready.tcp(8080, via="container"))

    assert script.times("probe") == []
    assert ":1F90" in commands(script)[0].argv[2]


def test_the_first_port_inside() -> None:
    """Without a port it is the group's first, which there must be."""
    script = Script(group_get=view(running()), exec=DONE)
    waited(script, Ready.tcp(via="container"))
    assert commands(script)[0].port == 80

    with pytest.raises(ValidationError, match="has no TCP port"):
        waited(Script(group_get=view(running(), ports=[])), Ready.tcp(via="container"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ExecResult("503\n", 0), "GET /health from inside answered 503"),
        (ExecResult("", 0), "GET /health from inside answered nothing"),
        (NOTHING, "http /health from inside: nothing answers there"),
        (ExecResult("sh: syntax error\n", 2), "the probe failed: sh: syntax error"),
    ],
)
def test_what_http_says_inside(answer: ExecResult, says: str) -> None:
    """The status counts as it does from here."""
    script = Script(group_get=view(running()), exec=answer)

    with pytest.raises(NotReadyError, match=says):
        waited(script, Ready.http("/health", via="container"))


def test_an_image_without_tools() -> None:
    """What was asked for and cannot be done is an error that says what is missing."""
    script = Script(group_get=view(running()), exec=ExecResult("", 69))

    with pytest.raises(ExecError, match="none of curl, wget, bash and nc"):
        waited(script, Ready.http(via="container"))


def test_a_silent_port_is_asked_inside() -> None:
    """``auto`` falls back once the container has run for a while and its port was only ever silent."""
    script = Script(group_get=view(running()), probe=SILENT, exec=[NOTHING, ExecResult("204", 0)])

    waited(script, Ready.http())

    assert script.times("exec")[0] - script.times("group_get")[0] >= AZURE.inside
    assert len(script.times("probe")) > 8


@pytest.mark.parametrize("ready", [Ready.tcp(via="client"), Ready.tcp()])
@pytest.mark.parametrize("answer", [REFUSED, SILENT])
def test_when_nobody_is_asked_inside(ready: Ready, answer: Any) -> None:
    """Never with ``client``, and not for a port that answers, if only by refusing."""
    script = Script(group_get=view(running()), probe=[answer, answer, answer, OK])
    if answer is SILENT and ready == Ready.tcp():
        script.answers["probe"] = iter([REFUSED, REFUSED, REFUSED, OK])

    waited(script, ready)

    assert commands(script) == []


def test_windows_is_not_asked_inside() -> None:
    """It has no shell that would understand; nor is one tried where a command was asked for."""
    script = Script(group_get=view(running(), osType="Windows"), probe=SILENT, exec=DONE)

    with pytest.raises(UnreachableFromHereError):
        waited(script, Ready.tcp())
    assert commands(script) == []
    waited(script, Ready.exec(["hostname"]))
    assert not commands(script)[0].shell


def test_only_a_few_times_unasked() -> None:
    """Each command is a request to ARM; a container in which nothing listens is not unreachable."""
    script = Script(group_get=view(running()), probe=SILENT, exec=NOTHING)

    with pytest.raises(NotReadyError, match="tcp from inside: nothing answers there"):
        waited(script, Ready.tcp(), timeout=300.0)
    assert len(commands(script)) == inside.MOST_UNASKED


@pytest.mark.parametrize("answer", [NoShellError("no shell"), FORBIDDEN, ExecResult("", 69)])
def test_an_image_that_cannot_be_asked(answer: Any) -> None:
    """Then ``auto`` is left with what is seen from here, and says so as before."""
    script = Script(group_get=view(running()), probe=SILENT, exec=answer)

    with pytest.raises(UnreachableFromHereError, match="runs, and this machine cannot reach it"):
        waited(script, Ready.http())
    assert len(commands(script)) == 1


def test_trouble_inside_says_nothing_about_the_port() -> None:
    """A session that fails is tried again, and is no answer."""
    script = Script(group_get=view(running()), probe=SILENT, exec=[outage(), GONE, DONE])

    waited(script, Ready.tcp())

    assert len(commands(script)) == 3


def test_what_is_under_way_is_dropped() -> None:
    """When the probe from here succeeds first, nobody waits for the command."""
    script = Script(group_get=view(running()), probe=[SILENT] * 30 + [OK], exec=(None, None))

    waited(script, Ready.tcp())

    assert len(commands(script)) == 1
    assert script.world.now() < 20


def test_nothing_is_known_of_containers() -> None:
    """A view without any has nothing to run a command in."""
    script = Script(group_get=view(provisioning="Creating", state=""))

    with pytest.raises(NotReadyError):
        waited(script, Ready.exec(["true"]))
    assert commands(script) == []


# --- the scripts, in a real shell -----------------------------------------------------------------


def shell(argv: tuple[str, ...], path: str = "/usr/bin:/bin") -> tuple[int, str]:
    """Run a probe's script here: exit code and output."""
    done = subprocess.run(
        ["/bin/sh", *argv[1:]], capture_output=True, text=True, timeout=30, env={"PATH": path}
    )
    return done.returncode, done.stdout.strip()


STATE = waited(Script(group_get=view(running())), Ready.running()).state


def test_the_tcp_script(http_port: int, free_port: int) -> None:
    """It sees what listens on this machine, whatever tools there are."""
    look = [
        shell(inside.effect_for(TcpCheck(), STATE, REF, port).argv, path="/nowhere")
        for port in (http_port, free_port)
    ]

    assert look == [(0, ""), (7, "")]


@pytest.mark.parametrize("tool", ["curl", "wget", "bash", "nc", "busybox wget", "busybox nc"])
def test_the_http_script(tool: str, http_port: int, free_port: int, tmp_path: Any) -> None:
    """Whichever tool it finds tells the first status, and whether anything answers at all."""
    words = tool.split()
    for name in ("echo", "sh", "printf"):
        (tmp_path / name).symlink_to(shutil.which(name) or pytest.fail(name))
    found = shutil.which(words[0])
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no {words[0]} here")
    if found is None:
        pytest.skip(f"no {words[0]} here")
    (tmp_path / words[-1]).symlink_to(found)
    asked = [
        inside.effect_for(HttpCheck(path=path), STATE, REF, port).argv
        for path, port in (
            ("/ok", http_port),
            ("/moved", http_port),
            ("/no", http_port),
            ("/", free_port),
        )
    ]

    assert [shell(argv, path=str(tmp_path)) for argv in asked] == [
        (0, "200"),
        (0, "302"),
        (0, "404"),
        (7, ""),
    ]


def test_the_http_script_without_tools(http_port: int, tmp_path: Any) -> None:
    """It says so."""
    check = inside.effect_for(HttpCheck(), STATE, REF, http_port)

    assert shell(check.argv, path=str(tmp_path)) == (69, "")
