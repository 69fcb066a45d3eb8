"""
What is done to an endpoint, written once for all of them.

Each scenario is a function of a :class:`~aciflow.verify.stage.Stage`. It checks what the documentation,
the recorded traffic or aciflow itself relies on, and answers what it can of what nobody has verified.
"""

from __future__ import annotations

import base64
import re

from collections.abc import Callable
from typing import Any

from attrs import frozen

from aciflow.verify import refusals, sessions
from aciflow.verify.arm import RESOURCES
from aciflow.verify.exchange import Exchange
from aciflow.verify.stage import Stage


__all__ = ["SCENARIOS", "Scenario"]


@frozen
class Scenario:
    """
    One scenario.

    Attributes:
        name: Short, unique.
        about: One line.
        run: Does it.
        cpu_seconds: vCPU-seconds that it is expected to use on Azure, for the estimate.
        gb_seconds: GB-seconds likewise.
    """

    name: str
    about: str
    run: Callable[[Stage], None]
    cpu_seconds: float = 0.0
    gb_seconds: float = 0.0


def _properties(seen: Exchange) -> dict[str, Any]:
    body = seen.response if isinstance(seen.response, dict) else {}
    found: dict[str, Any] = body.get("properties", {})
    return found


def _view(seen: Exchange, number: int = 0) -> dict[str, Any]:
    containers = _properties(seen).get("containers") or [{}]
    found: dict[str, Any] = containers[number].get("properties", {}).get("instanceView", {})
    return found


def _state(seen: Exchange) -> str:
    return str(_properties(seen).get("instanceView", {}).get("state", ""))


def _events(seen: Exchange, number: int = 0) -> list[str]:
    return [f"{one['name']}: {one['message']}" for one in _view(seen, number).get("events", ())]


def _sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


_FOREVER = "while :; do sleep 1; done"


# --- the region ---------------------------------------------------------------------------------


def _region(stage: Stage) -> None:
    provider = stage.send(
        "GET",
        f"{stage.arm.subscription}/providers/Microsoft.ContainerInstance",
        step="provider",
        version=RESOURCES,
    )
    stage.check(
        "the provider is registered", provider.response["registrationState"] == "Registered"
    )
    usages = stage.send("GET", stage.location_path("usages"), step="usages").response["value"]
    names = {one["name"]["value"] for one in usages}
    stage.check(
        "usages name groups and cores", {"ContainerGroups", "StandardCores"} <= names, names
    )
    capable = stage.send("GET", stage.location_path("capabilities"), step="capabilities")
    stage.check("capabilities are listed", capable.response["value"])
    most = max((one["capabilities"]["maxCpu"], one["capabilities"]["maxMemoryInGB"])
               for one in capable.response["value"])  # fmt: skip
    stage.answer("size-limit", f"capabilities: at most {most[0]:g} vCPU, {most[1]:g} GB")
    cached = stage.send("GET", stage.location_path("cachedImages"), step="cached images")
    stage.check("cached images are listed", cached.status == 200)
    listed = stage.send(
        "GET", "/providers/Microsoft.ContainerInstance/operations", step="operations"
    )
    stage.check("operations are listed", listed.status == 200 and listed.response["value"])


def _usage_counts(stage: Stage) -> None:
    def used() -> float:
        reply = stage.send("GET", stage.location_path("usages"), step="usages")
        rows = {one["name"]["value"]: one["currentValue"] for one in reply.response["value"]}
        return float(rows["ContainerGroups"])

    before = used()
    name = stage.launch("counted", stage.group(stage.container("one", _sh(_FOREVER))))
    stage.check("a group counts in the usages", used() >= before + 1, f"{before} before")
    stage.delete(name)


# --- a group's life -----------------------------------------------------------------------------


def _web(stage: Stage) -> None:
    name = stage.name("web")
    begun = stage.put(name, stage.web("web"), step="PUT")
    stage.check("PUT of a new group is 201", begun.status == 201, begun.status)
    stage.check("it names an operation", "azure-asyncoperation" in begun.headers)
    stage.check("it asks for no time to wait", "retry-after" not in begun.headers)
    stage.check("it shows no address yet", "ip" not in _properties(begun).get("ipAddress", {}))
    early = status = None
    for seen in stage.arm.follow(begun, step="operation", timeout=600):
        shown = stage.get(name, step="GET while it starts")
        if early is None and "ip" in _properties(shown).get("ipAddress", {}):
            early = _properties(shown)["provisioningState"]
            stage.answer("ip-early", f"first seen while the group was {early}")
        status = seen.response["status"]
    stage.check("the operation succeeds", status == "Succeeded", status)
    running = stage.until(
        "running", lambda: stage.get(name, step="GET"), lambda seen: _state(seen) == "Running"
    )
    stage.check("a running group has an address", _properties(running)["ipAddress"].get("ip"))
    stage.check("its container has started", "startTime" in _view(running).get("currentState", {}))
    listed = stage.send(
        "GET", f"{stage.home}/providers/Microsoft.ContainerInstance/containerGroups", step="list"
    )
    mine = [one for one in listed.response["value"] if one["name"] == name]
    stage.check("a list has no instance view", mine and "instanceView" not in mine[0]["properties"])
    for version in ("2024-05-01-preview", "2025-09-01", "2026-06-01-preview"):
        other = stage.get(name, step=f"GET {version}", version=version)
        more = sorted(_keys(other.response) - _keys(running.response))
        text = ", ".join(more) or "nothing more"
        stage.answer("versions", f"{version}: {other.status} {other.code or text}")
    if stage.place.reachable:
        _reach(stage, _properties(running)["ipAddress"]["ip"])
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


def _keys(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        below = [_keys(each, f"{path}.{key}") for key, each in value.items()]
        return {f"{path}.{key}" for key in value}.union(*below)
    if isinstance(value, list):
        return set().union(*(_keys(each, f"{path}[]") for each in value))
    return set()


def _again(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh(_FOREVER)))
    name = stage.launch("again", body)
    same = stage.put(name, body, step="PUT of the same")
    stage.answer("put-existing", f"the same body: {same.status}")
    stage.check("the same PUT is taken", same.status in (200, 201), same.status)
    stage.arm.poll(same, step="operation of the same", timeout=600)
    changes: dict[str, dict[str, Any]] = {
        "environment": stage.group(
            stage.container(
                "one", _sh(_FOREVER), environmentVariables=[{"name": "A", "value": "b"}]
            )
        ),
        "command": stage.group(stage.container("one", _sh("echo other; " + _FOREVER))),
        "memory": stage.group(stage.container("one", _sh(_FOREVER), memory=1.5)),
        "restart policy": stage.group(
            stage.container("one", _sh(_FOREVER)), restartPolicy="OnFailure"
        ),
        "another container": stage.group(
            stage.container("one", _sh(_FOREVER), cpu=0.5),
            stage.container("two", _sh(_FOREVER), cpu=0.5),
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


def _tags(stage: Stage) -> None:
    name = stage.launch("tagged", stage.group(stage.container("one", _sh(_FOREVER))))
    tags = {"aciflow-verify": stage.place.run, "colour": "green"}
    seen = stage.send("PATCH", stage.path(name), {"tags": tags}, step="PATCH")
    stage.check("PATCH sets the tags", seen.status == 200 and seen.response["tags"] == tags)
    stage.send("PATCH", stage.path(name), {"tags": {"colour": "red"}}, step="PATCH again")
    now = stage.get(name, step="GET").response["tags"]
    stage.check("PATCH replaces all of them", now == {"colour": "red"}, now)
    stage.delete(name)


def _logs(stage: Stage) -> None:
    script = "i=0; while [ $i -lt 1500 ]; do echo line $i; i=$((i+1)); done; " + _FOREVER
    name = stage.name("logs")
    begun = stage.put(name, stage.group(stage.container("one", _sh(script))), step="PUT")
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
        lambda seen: _state(seen) == "Stopped",
    )
    left = (stage.logs(name, "one", step="logs when stopped").response or {}).get("content") or ""
    stage.answer("logs-stopped", f"{len(left.splitlines())} lines, {len(left)} characters of 1500")
    stage.delete(name)


def _stop_start(stage: Stage) -> None:
    name = stage.launch("halted", stage.web("web"))
    stopped = stage.send("POST", stage.path(name, "/stop"), step="stop")
    stage.check("stop is 204", stopped.status == 204, stopped.status)
    seen = stage.until(
        "stopped",
        lambda: stage.get(name, step="GET stopped"),
        lambda seen: _state(seen) == "Stopped",
    )
    stage.check("it keeps what it is", _properties(seen)["containers"][0]["name"] == "web")
    started = stage.send("POST", stage.path(name, "/start"), step="start")
    heads = ", ".join(sorted(started.headers.keys() - {"date"})) or "no headers"
    stage.answer("start-status", f"{started.status}, {heads}")
    stage.check("start is taken", started.status in (202, 204), started.status)
    stage.until(
        "running again", lambda: stage.get(name, step="GET"), lambda seen: _state(seen) == "Running"
    )
    again = stage.send("POST", stage.path(name, "/restart"), step="restart")
    stage.check("restart is 204", again.status == 204, again.status)
    ended = stage.arm.poll(again, step="restart, operation", timeout=600)
    stage.check("restart names an operation", ended is not again)
    stage.delete(name)


def _transitioning(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh(_FOREVER)))
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


def _delete(stage: Stage) -> None:
    name = stage.launch("short", stage.group(stage.container("one", _sh(_FOREVER))))
    first = stage.delete(name, step="DELETE")
    stage.answer("delete-status", f"a running group: {first.status}")
    stage.check("DELETE answers with what was there", first.status != 200 or first.response)
    gone = stage.get(name, step="GET when it is gone")
    stage.check("then it is not found", gone.status == 404, gone.status)
    second = stage.delete(name, step="DELETE again")
    stage.answer("delete-status", f"one that is gone: {second.status} {second.code or ''}".strip())
    stage.check("deleting it again is no error", second.status in (200, 202, 204), second.status)


# --- what runs inside ---------------------------------------------------------------------------


def _ended(stage: Stage, name: str, states: tuple[str, ...]) -> Exchange:
    return stage.until(
        "the end", lambda: stage.get(name, step="GET"), lambda seen: _state(seen) in states
    )


def _job(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh("echo done")), restartPolicy="Never")
    name = stage.launch("job", body)
    seen = _ended(stage, name, ("Succeeded", "Failed"))
    state = _view(seen)["currentState"]
    stage.check("a job that ends well has succeeded", _state(seen) == "Succeeded", _state(seen))
    stage.check("its exit code is 0", state.get("exitCode") == 0, state)
    stage.check("it is Completed", state.get("detailStatus") == "Completed", state)
    log = stage.until(
        "log", lambda: stage.logs(name, "one", step="logs"), lambda seen: seen.status == 200
    )
    stage.check("its log is there", "done" in (log.response["content"] or ""), log.response)
    stage.delete(name)


def _failing(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh("exit 3")), restartPolicy="Never")
    name = stage.launch("failing", body)
    seen = _ended(stage, name, ("Succeeded", "Failed"))
    state = _view(seen)["currentState"]
    stage.check("a job that fails has failed", _state(seen) == "Failed", _state(seen))
    stage.check("its exit code is kept", state.get("exitCode") == 3, state)
    provisioned = _properties(seen)["provisioningState"]
    stage.check("it was provisioned all the same", provisioned == "Succeeded", provisioned)
    stage.delete(name)


def _crash_loop(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh("exit 1")), restartPolicy="Always")
    name = stage.launch("looping", body)
    seen = stage.until(
        "restarts",
        lambda: stage.get(name, step="GET"),
        lambda seen: _view(seen).get("restartCount", 0) >= 2 and "previousState" in _view(seen),
        timeout=300,
    )
    for event in _events(seen):
        if event.startswith(("BackOff", "Killing", "Failed")):
            stage.answer("events", event)
    stage.check("what was before is shown", _view(seen)["previousState"]["exitCode"] == 1)
    stage.delete(name)


def _inside(stage: Stage) -> None:
    secret = base64.b64encode(b"kept").decode()
    stage.arm.secrets.update({"opaque-42", secret})
    volumes = [{"name": "shared", "emptyDir": {}}, {"name": "secret", "secret": {"word": secret}}]
    mounts = [
        {"name": "shared", "mountPath": "/shared"},
        {"name": "secret", "mountPath": "/secret", "readOnly": True},
    ]
    variables = [{"name": "PLAIN", "value": "open"}, {"name": "HIDDEN", "secureValue": "opaque-42"}]
    first = {
        "name": "before",
        "properties": {
            "image": stage.place.image,
            "command": _sh("echo prepared > /shared/file"),
            "volumeMounts": mounts[:1],
        },
    }
    script = (
        'test "$HIDDEN" = "opaque-$((40 + 2))" && test "$(cat /secret/word)" = kept && echo "$PLAIN"; '
        "cat /shared/file; " + _FOREVER
    )
    body = stage.group(
        stage.container(
            "main", _sh(script), cpu=0.5, volumeMounts=mounts, environmentVariables=variables
        ),
        stage.container("beside", _sh(_FOREVER), cpu=0.5),
        initContainers=[first],
        volumes=volumes,
    )
    name = stage.launch("inside", body)
    shown = stage.get(name, step="GET")
    text = str(shown.response)
    stage.check("no secret is shown", "opaque-42" not in text and secret not in text)
    log = stage.until(
        "log",
        lambda: stage.logs(name, "main", step="logs"),
        lambda seen: "prepared" in str((seen.response or {}).get("content")),
        timeout=120,
    )
    lines = log.response["content"].split()
    stage.check("variables, secrets and volumes are there", lines == ["open", "prepared"], lines)
    stage.delete(name)


def _probes(stage: Stage) -> None:
    ports = [{"port": 80, "protocol": "TCP"}]
    failing = {
        "exec": {"command": _sh("echo not well; exit 1")},
        "periodSeconds": 2,
        "failureThreshold": 2,
        "initialDelaySeconds": 2,
    }
    answering = {"httpGet": {"path": "/", "port": 80, "scheme": "http"}, "periodSeconds": 2}
    body = stage.group(
        stage.container("sick", _sh(_FOREVER), cpu=0.5, livenessProbe=failing),
        stage.container("web", cpu=0.5, ports=ports, readinessProbe=answering),
        ipAddress={"type": "Public", "ports": ports},
    )
    name = stage.launch("probed", body)
    seen = stage.until(
        "a restart by the liveness probe",
        lambda: stage.get(name, step="GET"),
        lambda seen: _view(seen).get("restartCount", 0) >= 1,
        timeout=300,
    )
    for event in _events(seen):
        if not event.startswith(("Pull", "Started")):
            stage.answer("events", event)
    said = " ".join(_events(seen))
    stage.check("a failed probe is an Unhealthy event", "Unhealthy" in said, said)
    stage.check("what answers is left alone", _view(seen, 1).get("restartCount") == 0)
    stage.delete(name)


def _bad_volume(stage: Stage) -> None:
    volume = {"name": "source", "gitRepo": {"repository": "https://127.0.0.1:9/nothing.git"}}
    body = stage.group(
        stage.container(
            "one", _sh(_FOREVER), volumeMounts=[{"name": "source", "mountPath": "/source"}]
        ),
        volumes=[volume],
    )
    name = stage.name("unmounted")
    begun = stage.put(name, body, step="PUT")
    if begun.status in (200, 201):

        def told(seen: Exchange) -> bool:
            group = _properties(seen).get("instanceView", {})
            return bool(group.get("events") or _events(seen) or group.get("state") == "Failed")

        seen = stage.until("an event", lambda: stage.get(name, step="GET"), told, timeout=180)
        group = _properties(seen).get("instanceView", {})
        texts = [f"group {one['name']}: {one['message']}" for one in group.get("events", ())]
        for text in texts + _events(seen):
            stage.answer("events", text)
        stage.check(
            "its container has not started", "startTime" not in _view(seen).get("currentState", {})
        )
    else:
        stage.answer("events", f"a git repository that is not there: {begun.status} {begun.code}")
    stage.delete(name)


# --- names ----------------------------------------------------------------------------------------


def _dns(stage: Stage) -> None:
    label = f"aciflow-{stage.place.run}"

    def body(scope: str, name: str) -> dict[str, Any]:
        address = {
            "type": "Public",
            "ports": [{"port": 80, "protocol": "TCP"}],
            "dnsNameLabel": label,
            "autoGeneratedDomainNameLabelScope": scope,
        }
        return stage.web(name, ipAddress=address)

    seen = stage.put(stage.name("named"), body("TenantReuse", "web"), step="PUT")
    name = stage.name("named")
    fqdn = _properties(seen).get("ipAddress", {}).get("fqdn", "")
    stage.check("the name is known at once", fqdn.startswith(f"{label}."), fqdn)
    parts = fqdn.split(".")
    if len(parts) > 5:
        stage.answer("fqdn-hash", f"{len(parts[1])} characters of {''.join(sorted(set(parts[1])))}")
    stage.arm.poll(seen, step="operation", timeout=600)
    other = stage.put(stage.name("namesake"), body("TenantReuse", "web"), step="PUT of a namesake")
    stage.answer(
        "refusals", f"a DNS label that is taken: {other.status} {other.code}: {other.message}"
    )
    stage.check("the same name is not given twice", other.status >= 400, other.status)
    stage.delete(stage.name("namesake"), step="DELETE of the namesake")
    stage.delete(name)
    again = stage.put(name, body("TenantReuse", "web"), step="PUT once more")
    same = _properties(again).get("ipAddress", {}).get("fqdn")
    stage.answer("fqdn-hash", f"made again it is {'the same' if same == fqdn else 'another one'}")
    stage.arm.poll(again, step="operation once more", timeout=600)
    stage.delete(name, step="delete once more")


def _resource_group(stage: Stage) -> None:
    path = f"{stage.home}-other"
    made = stage.send(
        "PUT", path, {"location": stage.place.location}, step="PUT", version=RESOURCES
    )
    stage.check("a new resource group is 201", made.status == 201, made.status)
    there = stage.send("HEAD", path, step="HEAD", version=RESOURCES)
    stage.check("HEAD says that it is there", there.status == 204, there.status)
    begun = stage.send("DELETE", path, step="DELETE", version=RESOURCES)
    stage.check("its deletion takes a while", begun.status == 202, begun.status)
    stage.check("and says where to ask", "location" in begun.headers)
    stage.arm.poll(begun, step="DELETE, operation", timeout=900, every=5.0)
    gone = stage.send("HEAD", path, step="HEAD when it is gone", version=RESOURCES)
    stage.check("then it is not there", gone.status == 404, gone.status)


def _spot(stage: Stage) -> None:
    body = stage.group(stage.container("one", _sh(_FOREVER)), priority="Spot")
    name = stage.name("spot")
    seen = stage.put(name, body, step="PUT")
    said = f"{stage.place.location}: {seen.status} {seen.code or ''}".strip()
    if seen.status in (200, 201):
        ended = stage.arm.poll(seen, step="operation", timeout=600)
        said += f", operation {ended.response.get('status')} {ended.message}"
    stage.answer("spot", said)
    stage.check("Spot is given or refused", seen.status < 500, seen.status)
    stage.delete(name)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("region", "what the region offers and counts", _region),
    Scenario("web", "a web server on a public address, watched", _web, 90, 90),
    Scenario("usage", "a group counts in the usages", _usage_counts, 60, 60),
    Scenario("again", "PUT over a group, and what it may change", _again, 360, 400),
    Scenario("tags", "PATCH of the tags", _tags, 60, 60),
    Scenario("logs", "early, whole, last lines, stopped", _logs, 90, 90),
    Scenario("exec", "a shell, arguments, what is missing", sessions.execute, 120, 120),
    Scenario("attach", "a container's output as it comes", sessions.attach, 90, 90),
    Scenario("stop", "stop, start, restart", _stop_start, 180, 180),
    Scenario("moving", "a second request while a group starts", _transitioning, 60, 60),
    Scenario("delete", "what DELETE answers, twice", _delete, 60, 60),
    Scenario("job", "a job that ends well", _job, 60, 60),
    Scenario("failing", "a job that fails", _failing, 60, 60),
    Scenario("loop", "a container that always ends", _crash_loop, 120, 120),
    Scenario("inside", "several containers, volumes, secrets", _inside, 120, 180),
    Scenario("probes", "liveness and readiness", _probes, 120, 120),
    Scenario("volume", "a volume that cannot be had", _bad_volume, 180, 180),
    Scenario("names", "DNS labels and their scopes", _dns, 180, 180),
    Scenario("refusals", "mistakes, and what they are called", refusals.requests),
    Scenario("limits", "the smallest and the largest group", refusals.limits, 320, 2400),
    Scenario("images", "images and registries that cannot be had", refusals.images),
    Scenario("spot", "a group that may be evicted", _spot, 60, 60),
    Scenario("resource-group", "made, asked for, deleted", _resource_group),
    Scenario("aciflow", "launch and run, by aciflow itself", sessions.by_aciflow, 120, 180),
)
"""All of them, in order. Names and steps are what two runs are compared by."""
