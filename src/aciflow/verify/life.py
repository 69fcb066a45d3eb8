"""A group's life, as ARM shows it: made, changed, stopped, deleted."""

from __future__ import annotations

import re

from typing import Any

from aciflow.verify.exchange import Exchange
from aciflow.verify.reading import keys_of, properties_of, state_of, view_of
from aciflow.verify.stage import FOREVER, Stage, shell


__all__ = ["again", "delete", "logs", "stop_start", "tags", "transitioning", "web"]


def web(stage: Stage) -> None:
    """A web server on a public address, watched from the PUT to the first answer."""
    name = stage.name("web")
    begun = stage.put(name, stage.web("web"), step="PUT")
    refusal = f"{begun.status} {begun.code}: {begun.message}"
    if not stage.check("PUT of a new group is 201", begun.status == 201, refusal):
        return
    stage.check("it names an operation", "azure-asyncoperation" in begun.headers)
    stage.check("it asks for no time to wait", "retry-after" not in begun.headers)
    stage.check("it shows no address yet", "ip" not in properties_of(begun).get("ipAddress", {}))
    early = status = None
    for seen in stage.arm.follow(begun, step="operation", timeout=600):
        shown = stage.get(name, step="GET while it starts")
        if early is None and "ip" in properties_of(shown).get("ipAddress", {}):
            early = properties_of(shown)["provisioningState"]
            stage.answer("ip-early", f"first seen while the group was {early}")
        status = seen.response["status"]
    stage.check("the operation succeeds", status == "Succeeded", status)
    running = stage.until(
        "running", lambda: stage.get(name, step="GET"), lambda seen: state_of(seen) == "Running"
    )
    stage.check("a running group has an address", properties_of(running)["ipAddress"].get("ip"))
    stage.check(
        "its container has started", "startTime" in view_of(running).get("currentState", {})
    )
    listed = stage.send(
        "GET", f"{stage.home}/providers/Microsoft.ContainerInstance/containerGroups", step="list"
    )
    mine = [one for one in listed.response["value"] if one["name"] == name]
    stage.check("a list has no instance view", mine and "instanceView" not in mine[0]["properties"])
    for version in ("2024-05-01-preview", "2025-09-01", "2026-06-01-preview"):
        other = stage.get(name, step=f"GET {version}", version=version)
        more = sorted(keys_of(other.response) - keys_of(running.response))
        text = ", ".join(more) or "nothing more"
        stage.answer("versions", f"{version}: {other.status} {other.code or text}")
    if stage.place.reachable:
        _reach(stage, properties_of(running)["ipAddress"]["ip"])
    stage.delete(name)


def _reach(stage: Stage, address: str) -> None:
    import httpx

    def ask() -> int:
        try:
            return httpx.get(f"http://{address}/", timeout=5, trust_env=False).status_code
        except httpx.HTTPError:
            return 0

    status = stage.until("HTTP", ask, bool, timeout=120)
    stage.check("it answers at its address", 200 <= status < 400, status)


def again(stage: Stage) -> None:
    """PUT over a group, and what it may change."""
    body = stage.group(stage.container("one", shell(FOREVER)))
    name = stage.launch("again", body)
    same = stage.put(name, body, step="PUT of the same")
    stage.answer("put-existing", f"the same body: {same.status}")
    stage.check("the same PUT is taken", same.status in (200, 201), same.status)
    stage.arm.poll(same, step="operation of the same", timeout=600)
    changes: dict[str, dict[str, Any]] = {
        "environment": stage.group(
            stage.container(
                "one", shell(FOREVER), environmentVariables=[{"name": "A", "value": "b"}]
            )
        ),
        "command": stage.group(stage.container("one", shell("echo other; " + FOREVER))),
        "memory": stage.group(stage.container("one", shell(FOREVER), memory=1.5)),
        "restart policy": stage.group(
            stage.container("one", shell(FOREVER)), restartPolicy="OnFailure"
        ),
        "another container": stage.group(
            stage.container("one", shell(FOREVER), cpu=0.5),
            stage.container("two", shell(FOREVER), cpu=0.5),
        ),
    }
    for what, changed in changes.items():
        seen = stage.put(name, changed, step=f"PUT with another {what}")
        said = f"{seen.status} {seen.code or ''}".strip()
        stage.answer("put-changes", f"{what}: {said}")
        if seen.status in (200, 201):
            ended = stage.arm.poll(seen, step=f"operation, another {what}", timeout=600)
            stage.answer("put-changes", f"{what}: operation {ended.response.get('status')}")
    stage.delete(name)


def tags(stage: Stage) -> None:
    """PATCH of the tags."""
    name = stage.launch("tagged", stage.group(stage.container("one", shell(FOREVER))))
    tags = {"aciflow-verify": stage.place.run, "colour": "green"}
    seen = stage.send("PATCH", stage.path(name), {"tags": tags}, step="PATCH")
    stage.check("PATCH sets the tags", seen.status == 200 and seen.response["tags"] == tags)
    stage.send("PATCH", stage.path(name), {"tags": {"colour": "red"}}, step="PATCH again")
    now = stage.get(name, step="GET").response["tags"]
    stage.check("PATCH replaces all of them", now == {"colour": "red"}, now)
    stage.delete(name)


def logs(stage: Stage) -> None:
    """Early, whole, last lines, stopped."""
    script = "i=0; while [ $i -lt 1500 ]; do echo line $i; i=$((i+1)); done; " + FOREVER
    name = stage.name("logs")
    begun = stage.put(name, stage.group(stage.container("one", shell(script))), step="PUT")
    early = stage.logs(name, "one", step="logs at once")
    stage.answer("logs-early", f"{early.status} {early.code}: {early.message}")
    stage.arm.poll(begun, step="operation", timeout=600)

    def whole(seen: Exchange) -> bool:
        return seen.status == 200 and "line 1499" in str((seen.response or {}).get("content"))

    stage.until("logs", lambda: stage.logs(name, "one", step="logs"), whole)
    last = stage.logs(name, "one", step="logs, tail", tail="2").response["content"]
    stage.check("tail counts lines", last.splitlines() == ["line 1498", "line 1499"], last)
    stamped = stage.logs(
        name, "one", step="logs, timestamps", tail="1", timestamps="true"
    ).response["content"]
    found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z line 1499", stamped)
    stage.check("timestamps come before the lines", found, stamped)
    unknown = stage.logs(name, "nobody", step="logs of an unknown container")
    stage.answer("refusals", f"logs of an unknown container: {unknown.status} {unknown.code}")
    stage.send("POST", stage.path(name, "/stop"), step="stop")
    stage.until(
        "stopped",
        lambda: stage.get(name, step="GET stopped"),
        lambda seen: state_of(seen) == "Stopped",
    )
    left = (stage.logs(name, "one", step="logs when stopped").response or {}).get("content") or ""
    stage.answer("logs-stopped", f"{len(left.splitlines())} lines, {len(left)} characters of 1500")
    stage.delete(name)


def stop_start(stage: Stage) -> None:
    """Stop, start, restart."""
    name = stage.launch("halted", stage.web("web"))
    stopped = stage.send("POST", stage.path(name, "/stop"), step="stop")
    stage.check("stop is 204", stopped.status == 204, stopped.status)
    seen = stage.until(
        "stopped",
        lambda: stage.get(name, step="GET stopped"),
        lambda seen: state_of(seen) == "Stopped",
    )
    stage.check("it keeps what it is", properties_of(seen)["containers"][0]["name"] == "web")
    started = stage.send("POST", stage.path(name, "/start"), step="start")
    heads = ", ".join(sorted(started.headers.keys() - {"date"})) or "no headers"
    stage.answer("start-status", f"{started.status}, {heads}")
    stage.check("start is taken", started.status in (202, 204), started.status)
    stage.until(
        "running again",
        lambda: stage.get(name, step="GET"),
        lambda seen: state_of(seen) == "Running",
    )
    again = stage.send("POST", stage.path(name, "/restart"), step="restart")
    stage.check("restart is 204", again.status == 204, again.status)
    ended = stage.arm.poll(again, step="restart, operation", timeout=600)
    stage.check("restart names an operation", ended is not again)
    stage.delete(name)


def transitioning(stage: Stage) -> None:
    """A second request while a group starts."""
    body = stage.group(stage.container("one", shell(FOREVER)))
    name = stage.name("moving")
    begun = stage.put(name, body, step="PUT")
    for what, method, path in (
        ("PUT", "PUT", stage.path(name)),
        ("stop", "POST", stage.path(name, "/stop")),
    ):
        seen = stage.send(method, path, body if method == "PUT" else None, step=f"{what} at once")
        stage.answer(
            "refusals", f"{what} while it starts: {seen.status} {seen.code}: {seen.message}"
        )
        if what == "PUT":
            stage.check("a group that starts is not replaced", seen.status == 409, seen.status)
    stage.arm.poll(begun, step="operation", timeout=600)
    stage.delete(name)


def delete(stage: Stage) -> None:
    """What DELETE answers, twice."""
    name = stage.launch("short", stage.group(stage.container("one", shell(FOREVER))))
    first = stage.delete(name, step="DELETE")
    stage.answer("delete-status", f"a running group: {first.status}")
    stage.check("DELETE answers with what was there", first.status != 200 or first.response)
    gone = stage.get(name, step="GET when it is gone")
    stage.check("then it is not found", gone.status == 404, gone.status)
    second = stage.delete(name, step="DELETE again")
    stage.answer("delete-status", f"one that is gone: {second.status} {second.code or ''}".strip())
    stage.check("deleting it again is no error", second.status in (200, 202, 204), second.status)
