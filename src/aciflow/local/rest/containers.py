"""One container of a group: its logs, and the sessions of exec and attach."""

from __future__ import annotations

import re

from urllib.parse import urlsplit

from aciflow.local.groups.container import ContainerRecord
from aciflow.local.groups.logs import STOPPED_LINES, kept_log
from aciflow.local.protocol import OpenTerminal, Question, ReadLogs, Reply
from aciflow.local.rest import errors
from aciflow.local.rest.finding import ONE, find
from aciflow.local.rest.reading import read
from aciflow.local.rest.records import GroupRecord, SessionRecord
from aciflow.local.rest.routing import Call, Route
from aciflow.local.rest.shapes import EXEC


__all__ = ["ROUTES"]


_TAIL = re.compile(r"[0-9]{1,9}")


def _container(call: Call, record: GroupRecord) -> ContainerRecord:
    container = record.machine.find(call.params["container"].lower())
    if container is None:
        raise errors.container_not_found(call.params["container"], record.name)
    return container


def _logs(call: Call) -> Reply | Question:
    record = find(call)
    container = _container(call, record)
    if container.attempt < 0:
        raise errors.not_ready()
    ended = container.phase == "ended"
    if call.answer is None:
        query = call.request.query
        tail = query.get("tail")
        if tail is not None and _TAIL.fullmatch(tail) is None:
            raise errors.invalid_content(f"The value '{tail}' of 'tail' is not a number.")
        lines = int(tail) if tail is not None else None
        if ended:  # an engine needs no time for what is not shown
            lines = STOPPED_LINES if lines is None else min(lines, STOPPED_LINES)
        return ReadLogs(
            uid=record.machine.uid,
            container=container.run.name,
            tail=lines,
            timestamps=query.get("timestamps", "").lower() == "true",
        )
    return Reply(status=200, body={"content": kept_log(str(call.answer), ended=ended)})


def _running(call: Call, *, ended: bool = False) -> tuple[GroupRecord, ContainerRecord]:
    """The container; ``ended``: or one that has ended, which the service takes an exec for (recorded)."""
    record = find(call)
    container = _container(call, record)
    if container.phase != "running":
        if record.machine.state == "Stopped":
            raise errors.stopped(record.name, call.params["resource_group"])
        if container.attempt < 0:
            raise errors.not_ready()
        if not ended:
            raise errors.not_running(container.run.name, record.name)
    return record, container


def _exec(call: Call) -> Reply:
    wanted = read(call.request.body, EXEC)
    record, container = _running(call, ended=True)
    command, size = wanted["command"], wanted["terminalSize"]
    if not command.strip() or "\0" in command:
        raise errors.invalid_content("The 'command' to execute must not be empty.")
    if not (0 < size["rows"] < 1000 and 0 < size["cols"] < 1000):
        raise errors.invalid_content(
            "The 'terminalSize' must be between 1 and 999 rows and columns."
        )
    session = call.state.add_session(
        OpenTerminal(
            uid=record.machine.uid,
            container=container.run.name,
            kind="exec",
            command=command,
            rows=size["rows"],
            columns=size["cols"],
        ),
        call.now,
    )
    return _session(call, session, "execstream", f"&rows={size['rows']}&cols={size['cols']}")


def _attach(call: Call) -> Reply:
    record, container = _running(call)
    session = call.state.add_session(
        OpenTerminal(uid=record.machine.uid, container=container.run.name, kind="attach"), call.now
    )
    return _session(call, session, "logstream", "")


def _session(call: Call, session: SessionRecord, stream: str, more: str) -> Reply:
    # Recorded: wss://HOST:19390/execstream/sessionId/GUID?api-version=1.0&rows=24&cols=80
    base = urlsplit(call.request.base_url)
    scheme = "ws" if base.scheme == "http" else "wss"
    uri = f"{scheme}://{base.netloc}/{stream}/sessionId/{session.id}?api-version=1.0{more}"
    headers = {"x-ms-ratelimit-remaining-subscription-writes": "1199"}
    return Reply(
        status=200, body={"webSocketUri": uri, "password": session.password}, headers=headers
    )


_HERE = ONE + "/containers/{container}"

ROUTES = [
    Route("GET", _HERE + "/logs", _logs),
    Route("POST", _HERE + "/exec", _exec),
    Route("POST", _HERE + "/attach", _attach),
]
