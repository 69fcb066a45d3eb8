"""Inside a container: exec and attach over their WebSockets, and aciflow's own calls on top."""

from __future__ import annotations

from typing import Any

from aciflow.verify.exchange import Exchange
from aciflow.verify.stage import FOREVER, Stage, shell
from aciflow.verify.terminal import Heard, converse


__all__ = ["attach", "by_aciflow", "execute"]


def _open(stage: Stage, name: str, command: str, *, step: str) -> Exchange:
    seen = stage.send(
        "POST",
        stage.path(name, "/containers/one/exec"),
        {"command": command, "terminalSize": {"rows": 24, "cols": 80}},
        step=step,
    )
    if isinstance(seen.response, dict) and "password" in seen.response:
        stage.arm.secrets.add(seen.response["password"])
    return seen


def _talk(stage: Stage, seen: Exchange, said: bytes = b"", **how: Any) -> Heard:
    return converse(seen.response, said, stage.arm.ssl_context(), **how)


def execute(stage: Stage) -> None:
    """A shell; a command with arguments; one that is not there; twice the same session."""
    name = stage.launch("exec", stage.group(stage.container("one", shell(FOREVER))))
    seen = _open(stage, name, "/bin/sh", step="exec")
    stage.check("exec names a WebSocket", str(seen.response["webSocketUri"]).startswith("wss://"))
    stage.check("and a password", seen.response["password"])
    heard = _talk(stage, seen, b"echo sum $((40 + 2))\nexit\n")
    stage.check("a shell answers", "sum 42" in heard.output, heard)
    stage.check("the socket closes with the shell", heard.closed == "1000", heard.closed)
    again = _talk(stage, seen, b"echo twice\n", timeout=10)
    stage.check("a session is good for one connection", "twice" not in again.output, again)
    seen = _open(stage, name, "echo hello", step="exec with arguments")
    heard = _talk(stage, seen, timeout=20)
    kept = heard.output.strip() == "hello"
    stage.answer("exec-arguments", f"{'yes' if kept else 'no'}: {heard.output.strip()!r}")
    seen = _open(stage, name, "/bin/not-there", step="exec of nothing")
    if seen.status == 200:
        heard = _talk(stage, seen, timeout=20)
        stage.answer("exec-missing", f"{heard.output.strip()!r}, closed {heard.closed}")
    else:
        stage.answer("exec-missing", f"{seen.status} {seen.code}")
    wrong = _open(stage, name, "/bin/sh", step="exec, wrong password")
    password = {**wrong.response, "password": "wrong"}
    heard = converse(password, b"echo inside\n", stage.arm.ssl_context(), timeout=10)
    stage.check("a wrong password opens nothing", "inside" not in heard.output, heard)
    stage.delete(name)


def attach(stage: Stage) -> None:
    """A container's output while it comes."""
    script = "i=0; while :; do echo tick $i; i=$((i+1)); sleep 1; done"
    name = stage.launch("attach", stage.group(stage.container("one", shell(script))))
    for first in (True, False):
        how = "as the first message" if first else "as a header"
        seen = stage.send("POST", stage.path(name, "/containers/one/attach"), step=f"attach, {how}")
        stage.arm.secrets.add(seen.response["password"])
        heard = _talk(stage, seen, password_first=first, enough=lambda text: text.count("tick") > 1)
        shown = heard.output.count("tick") > 1
        stage.answer("attach-password", f"{how}: {'shows output' if shown else heard.closed}")
        if first:
            stage.check("attach shows the output", shown, heard)
    stage.delete(name)


def by_aciflow(stage: Stage) -> None:
    """What aciflow promises: it serves when launch returns, run gives the exit code, nothing stays."""
    from aciflow.ready import Ready

    place = stage.place
    with stage.client() as client:
        group = client.launch(
            place.image,
            public_ip=True,
            name=stage.name("launched"),
            location=place.location,
            resource_group=place.resource_group,
            ready=None if place.reachable else Ready.running(),
            timeout=600,
        )
        try:
            stage.check("launch returns a group that runs", group.state == "Running", group.state)
            stage.answer("start-times", f"aciflow.launch: {group.timeline.total:.1f} s")
            done = group.exec(["cat", "/etc/hostname"])
            stage.check("exec has an exit code", done.exit_code == 0, done)
        finally:
            group.delete()
        result = client.run(
            place.image,
            shell("echo out; exit 4"),
            location=place.location,
            resource_group=place.resource_group,
        )
        stage.check("run gives the exit code", result.exit_code == 4, result.exit_code)
        stage.check("and the log", "out" in result.logs, result.logs)
        left = [one.name for one in client.list(resource_group=place.resource_group)]
        stage.check("nothing is left", not left, left)
