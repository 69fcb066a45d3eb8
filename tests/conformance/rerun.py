"""
A runtime that does again what a recording's containers did, when they did it.

It knows what the recorded replies tell: when the pull began and ended, which digest it was, when
each start was, how long it ran and with which code it ended, which address the group had. What a
recording does not tell lies between the replies that bound it.
"""

from __future__ import annotations

import math

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, field
from tests.conformance.recordings import Interaction, seconds

from aciflow.local.protocol import (
    Action,
    Closed,
    CloseSandbox,
    Exited,
    ImageAnswer,
    ListImages,
    Observation,
    OpenSandbox,
    Pulled,
    PullImage,
    PullStarted,
    Question,
    ReadLogs,
    RunProbe,
    SandboxReady,
    StartContainer,
    Started,
)


SETTLED = ("Succeeded", "Failed", "Canceled")
CLOSING = 3.0
STOPPING = 0.4


@define
class Run:
    """One start: when, and when and how it ended."""

    start: float
    finish: float = math.inf
    code: int = 0
    running_at: float = -math.inf  # a reply that still shows it running


@define
class ContainerFacts:
    """What a recording tells of one container."""

    pulling: float | None = None
    pulled: float | None = None
    digest: str | None = None
    ids: list[str] = field(factory=list)
    runs: dict[int, Run] = field(factory=dict)


@define
class GroupFacts:
    """What a recording tells of one incarnation of a group."""

    accepted: float
    pending_at: float  # the last reply that says Pending
    unfinished_at: float  # the last reply that says that it is not there yet
    finished_at: float = math.inf  # the first that says it is
    ip: str | None = None
    ip_at: float = -math.inf
    containers: dict[str, ContainerFacts] = field(factory=dict)

    def start(self, container: str, attempt: int, now: float) -> Run:
        """The run of that number; one that nobody saw begins soon and lasts."""
        runs = self.containers.setdefault(container, ContainerFacts()).runs
        if attempt not in runs:
            soon = max(now, self.unfinished_at) + 0.5
            runs[attempt] = Run(start=max(now, min(soon, self.finished_at)))
        run = runs[attempt]
        if run.finish == math.inf and max(runs) > attempt:  # nobody saw its end, but there was one
            run.finish = max(run.start, now, run.running_at) + 1.001
        return run


def facts(create: Interaction, later: Sequence[Interaction]) -> GroupFacts:
    """What is told of the group that ``create`` made, until it is deleted or made again."""
    found = GroupFacts(accepted=create.at, pending_at=create.at - 1, unfinished_at=create.at - 1)
    offset = 0
    lacking_ip = create.at
    for item in _about(create, later):
        if item.kind == "POST restart":
            offset = max((*_indices(found), -1)) + 1
        body = item.response if item.status == 200 else None
        state = _provisioning(item, body)
        if state is not None and not offset:
            if state == "Pending":
                found.pending_at = item.at + 1
            if state not in SETTLED:
                found.unfinished_at = item.at + 1
            else:
                found.finished_at = min(found.finished_at, item.at)
        if body is None:
            continue
        if "operation" in item.kind:
            if len(create.request["properties"]["containers"]) == 1:
                name = create.request["properties"]["containers"][0]["name"]
                _events(found, name, body["properties"].get("events", ()))
        elif item.kind.endswith(" group"):
            _group(found, item, body, offset)
            ip = (body["properties"].get("ipAddress") or {}).get("ip")
            if ip is None:
                lacking_ip = item.at + 1 if found.ip is None else lacking_ip
            elif found.ip is None:
                found.ip, found.ip_at = ip, lacking_ip
    return found


def _about(create: Interaction, later: Sequence[Interaction]) -> Iterator[Interaction]:
    operations = {_operation(create)}
    for item in later:
        if item.group == create.group:
            if item.kind == "PUT group":
                return
            operations.add(_operation(item))
            yield item
            if item.kind == "DELETE group":
                return
        elif item.kind == "GET operation" and item.path.rpartition("/")[2] in operations:
            yield item


def _operation(item: Interaction) -> str:
    url = item.headers.get("azure-asyncoperation", "")
    return url.partition("?")[0].rpartition("/")[2]


def _indices(found: GroupFacts) -> Iterator[int]:
    for container in found.containers.values():
        yield from container.runs


def _provisioning(item: Interaction, body: Any) -> str | None:
    if body is None:
        return None
    if item.kind == "GET operation":
        status: str = body["status"]
        return status
    if item.kind == "GET group":
        state: str = body["properties"]["provisioningState"]
        return state
    return None


def _group(found: GroupFacts, item: Interaction, body: Any, offset: int) -> None:
    for kind in ("containers", "initContainers"):
        for container in body["properties"].get(kind) or ():
            view = container["properties"].get("instanceView")
            if view:
                _view(found, item, container["name"], view, offset)


def _view(found: GroupFacts, item: Interaction, name: str, view: Any, offset: int) -> None:
    known = found.containers.setdefault(name, ContainerFacts())
    count = offset + view.get("restartCount", 0)
    current = view.get("currentState") or {}
    previous = view.get("previousState") or {}
    waiting = "startTime" not in current
    for state, number in ((current, count), (previous, count if waiting else count - 1)):
        if "startTime" not in state or number < 0:
            continue
        run = known.runs.setdefault(number, Run(start=seconds(state["startTime"])))
        run.start = seconds(state["startTime"])
        if "finishTime" in state:
            run.finish = seconds(state["finishTime"])
            run.code = state.get("exitCode", 0)
        elif state["state"] == "Running":
            run.running_at = max(run.running_at, item.at + 1)
    _events(found, name, view.get("events", ()))


def _events(found: GroupFacts, name: str, events: Sequence[Any]) -> None:
    known = found.containers.setdefault(name, ContainerFacts())
    for event in events:
        first, message = seconds(event["firstTimestamp"]), event["message"]
        if event["name"] == "Pulling":
            known.pulling = known.pulling or first
            digest = message.partition("@")[2].rstrip('"')
            known.digest = digest or known.digest
        elif event["name"] == "Pulled":
            known.pulled = known.pulled or first
        elif event["name"] == "Started" and 0 not in known.runs:
            known.runs[0] = Run(start=first)
        elif event["name"] in ("Created", "Killing"):
            number = message.rpartition(" ")[2].rstrip(".")
            if len(number) == 64 and number not in known.ids:
                known.ids.append(number)


class Rerun:
    """Schedules what the recording's containers did; see the module."""

    def __init__(self) -> None:
        self._coming: GroupFacts | None = None
        self._groups: dict[str, GroupFacts] = {}
        self.logs = ""
        self._open: dict[tuple[str, str], Run] = {}

    def expect(self, coming: GroupFacts) -> None:
        """The next group that is opened is this one."""
        self._coming = coming

    def schedule(self, action: Action, now: float) -> list[tuple[float, Observation]]:
        """What is observed of an action, and when."""
        if isinstance(action, CloseSandbox):
            return [(now + CLOSING, Closed(uid=action.uid, at=now + CLOSING))]
        if isinstance(action, OpenSandbox):
            if action.uid not in self._groups:
                told = self._coming or GroupFacts(accepted=now, pending_at=now, unfinished_at=now)
                self._groups[action.uid], self._coming = told, None
            return self._sandbox(action, self._groups[action.uid], now)
        group = self._groups[action.uid]
        if isinstance(action, RunProbe):
            return []
        if isinstance(action, PullImage):
            return self._pull(action, group, now)
        if isinstance(action, StartContainer):
            return self._start(action, group, now)
        run = self._open.pop((action.uid, action.container), None)
        if run is None:
            return []
        at = now + STOPPING
        run.finish = min(run.finish, at)
        number = next(n for n, r in group.containers[action.container].runs.items() if r is run)
        ended = Exited(
            uid=action.uid, container=action.container, at=at, exit_code=137, attempt=number
        )
        return [(at, ended)]

    def answer(self, question: Question) -> Any:
        """Every image can be had; logs are the recorded ones."""
        if isinstance(question, ReadLogs):
            return self.logs
        if isinstance(question, ListImages):
            return ()
        return tuple(ImageAnswer(image=image) for image in question.images)

    @staticmethod
    def _sandbox(
        action: OpenSandbox, group: GroupFacts, now: float
    ) -> list[tuple[float, Observation]]:
        ready = max(now, group.pending_at)
        seen: list[tuple[float, Observation]] = [(ready, SandboxReady(uid=action.uid, at=ready))]
        if group.ip is not None:
            at = max(ready, group.ip_at)
            seen.append((at, SandboxReady(uid=action.uid, at=at, ip=group.ip)))
        return seen

    @staticmethod
    def _pull(action: PullImage, group: GroupFacts, now: float) -> list[tuple[float, Observation]]:
        known = group.containers.setdefault(action.container, ContainerFacts())
        uid, name, digest = action.uid, action.container, known.digest
        again = now > group.finished_at  # a restart
        began = now if again or known.pulling is None else known.pulling
        ended = now if again or known.pulled is None else known.pulled
        return [
            (
                max(now, began, group.pending_at),
                PullStarted(uid=uid, container=name, at=began, digest=digest),
            ),
            (
                max(now, ended, group.pending_at),
                Pulled(uid=uid, container=name, at=ended, digest=digest),
            ),
        ]

    def _start(
        self, action: StartContainer, group: GroupFacts, now: float
    ) -> list[tuple[float, Observation]]:
        uid, name, number = action.uid, action.run.name, action.attempt
        run = group.start(name, number, now)
        self._open[uid, name] = run
        ids = group.containers[name].ids
        shown = max(now, run.start, group.unfinished_at)
        container_id = ids[min(number, len(ids) - 1)] if ids else f"{number + 1:064x}"
        seen: list[tuple[float, Observation]] = [
            (
                shown,
                Started(
                    uid=uid,
                    container=name,
                    at=run.start,
                    container_id=container_id,
                    attempt=number,
                ),
            )
        ]
        if run.finish < math.inf:
            ended = Exited(
                uid=uid, container=name, at=run.finish, exit_code=run.code, attempt=number
            )
            seen.append((max(shown, run.finish, run.running_at), ended))
        return seen
