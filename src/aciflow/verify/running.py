"""What runs in a group: ends, restarts, probes, volumes, secrets."""

from __future__ import annotations

import base64

from aciflow.verify.exchange import Exchange
from aciflow.verify.reading import events_of, properties_of, state_of, view_of
from aciflow.verify.stage import FOREVER, Stage, shell


__all__ = ["bad_volume", "crash_loop", "failing", "job", "probes", "whole"]


def _ended(stage: Stage, name: str, states: tuple[str, ...]) -> Exchange:
    return stage.until(
        "the end", lambda: stage.get(name, step="GET"), lambda seen: state_of(seen) in states
    )


def job(stage: Stage) -> None:
    """A job that ends well."""
    body = stage.group(stage.container("one", shell("echo done")), restartPolicy="Never")
    name = stage.launch("job", body)
    seen = _ended(stage, name, ("Succeeded", "Failed"))
    state = view_of(seen)["currentState"]
    stage.check("a job that ends well has succeeded", state_of(seen) == "Succeeded", state_of(seen))
    stage.check("its exit code is 0", state.get("exitCode") == 0, state)
    stage.check("it is Completed", state.get("detailStatus") == "Completed", state)
    log = stage.until(
        "log", lambda: stage.logs(name, "one", step="logs"), lambda seen: seen.status == 200
    )
    stage.check("its log is there", "done" in (log.response["content"] or ""), log.response)
    stage.delete(name)


def failing(stage: Stage) -> None:
    """A job that fails."""
    body = stage.group(stage.container("one", shell("exit 3")), restartPolicy="Never")
    name = stage.launch("failing", body)
    seen = _ended(stage, name, ("Succeeded", "Failed"))
    state = view_of(seen)["currentState"]
    stage.check("a job that fails has failed", state_of(seen) == "Failed", state_of(seen))
    stage.check("its exit code is kept", state.get("exitCode") == 3, state)
    provisioned = properties_of(seen)["provisioningState"]
    stage.check("it was provisioned all the same", provisioned == "Succeeded", provisioned)
    stage.delete(name)


def crash_loop(stage: Stage) -> None:
    """A container that always ends."""
    body = stage.group(stage.container("one", shell("exit 1")), restartPolicy="Always")
    name = stage.launch("looping", body)
    seen = stage.until(
        "restarts",
        lambda: stage.get(name, step="GET"),
        lambda seen: view_of(seen).get("restartCount", 0) >= 2 and "previousState" in view_of(seen),
        timeout=300,
    )
    for event in events_of(seen):
        if event.startswith(("BackOff", "Killing", "Failed")):
            stage.answer("events", event)
    stage.check("what was before is shown", view_of(seen)["previousState"]["exitCode"] == 1)
    stage.delete(name)


def whole(stage: Stage) -> None:
    """Several containers, volumes, variables, secrets."""
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
            "command": shell("echo prepared > /shared/file"),
            "volumeMounts": mounts[:1],
        },
    }
    script = (
        'test "$HIDDEN" = "opaque-$((40 + 2))" && test "$(cat /secret/word)" = kept && echo "$PLAIN"; '
        "cat /shared/file; " + FOREVER
    )
    body = stage.group(
        stage.container(
            "main", shell(script), cpu=0.5, volumeMounts=mounts, environmentVariables=variables
        ),
        stage.container("beside", shell(FOREVER), cpu=0.5),
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


def probes(stage: Stage) -> None:
    """Liveness and readiness."""
    ports = [{"port": 80, "protocol": "TCP"}]
    failing = {
        "exec": {"command": shell("echo not well; exit 1")},
        "periodSeconds": 2,
        "failureThreshold": 2,
        "initialDelaySeconds": 2,
    }
    answering = {"httpGet": {"path": "/", "port": 80, "scheme": "http"}, "periodSeconds": 2}
    body = stage.group(
        stage.container("sick", shell(FOREVER), cpu=0.5, livenessProbe=failing),
        stage.container("web", cpu=0.5, ports=ports, readinessProbe=answering),
        ipAddress={"type": "Public", "ports": ports},
    )
    name = stage.launch("probed", body)
    seen = stage.until(
        "a restart by the liveness probe",
        lambda: stage.get(name, step="GET"),
        lambda seen: view_of(seen).get("restartCount", 0) >= 1,
        timeout=300,
    )
    for event in events_of(seen):
        if not event.startswith(("Pull", "Started")):
            stage.answer("events", event)
    said = " ".join(events_of(seen))
    stage.check("a failed probe is an Unhealthy event", "Unhealthy" in said, said)
    stage.check("what answers is left alone", view_of(seen, 1).get("restartCount") == 0)
    stage.delete(name)


def bad_volume(stage: Stage) -> None:
    """A volume that cannot be had."""
    volume = {"name": "source", "gitRepo": {"repository": "https://127.0.0.1:9/nothing.git"}}
    body = stage.group(
        stage.container(
            "one", shell(FOREVER), volumeMounts=[{"name": "source", "mountPath": "/source"}]
        ),
        volumes=[volume],
    )
    name = stage.name("unmounted")
    begun = stage.put(name, body, step="PUT")
    if begun.status in (200, 201):

        def told(seen: Exchange) -> bool:
            group = properties_of(seen).get("instanceView", {})
            return bool(group.get("events") or events_of(seen) or group.get("state") == "Failed")

        seen = stage.until("an event", lambda: stage.get(name, step="GET"), told, timeout=180)
        group = properties_of(seen).get("instanceView", {})
        texts = [f"group {one['name']}: {one['message']}" for one in group.get("events", ())]
        for text in texts + events_of(seen):
            stage.answer("events", text)
        stage.check(
            "its container has not started",
            "startTime" not in view_of(seen).get("currentState", {}),
        )
    else:
        stage.answer("events", f"a git repository that is not there: {begun.status} {begun.code}")
    stage.delete(name)
