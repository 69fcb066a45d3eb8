"""A recording, request by request, against the endpoint; every reply beside the recorded one."""

from __future__ import annotations

import heapq
import itertools
import json
import re
import time

from collections import Counter
from typing import Any

from attrs import define, evolve, field
from tests.conformance.compare import Comparison, Difference, Found, strings
from tests.conformance.recordings import Interaction, Recording, seconds
from tests.conformance.rerun import Rerun, facts

from aciflow.local.config import Config
from aciflow.local.endpoint import Endpoint
from aciflow.local.protocol import Observation, Reply, Request


TENANT = "00000000-0000-0000-0000-000000000000"
ARM = "https://management.azure.com"

RATES = (
    "x-ms-ratelimit-remaining-subscription-writes",
    "x-ms-ratelimit-remaining-subscription-deletes",
    "x-ms-ratelimit-remaining-subscription-resource-requests-pt5m",
    "x-ms-ratelimit-remaining-subscription-resource-requests-pt1h",
)
HEADERS = (*RATES, "azure-asyncoperation", "location", "retry-after", "content-type", "date")
"""Those that the recordings keep."""


@define
class Result:
    """What came of replaying."""

    replayed: int = 0
    prepared: int = 0
    full: int = 0
    fields: int = 0
    skipped: Counter[str] = field(factory=Counter)
    differences: list[Difference] = field(factory=list)

    def add(self, other: Result) -> None:
        """Sum up."""
        self.replayed += other.replayed
        self.prepared += other.prepared
        self.full += other.full
        self.fields += other.fields
        self.skipped += other.skipped
        self.differences += other.differences


class Replay:
    """
    One recording against an endpoint of its own, on a clock that shows the recorded times.

    The clock is within the second of the recorded ``Date``, so the endpoint's own times can be held
    against the recorded ones by their form, and its states by their values.
    """

    def __init__(self, recording: Recording) -> None:
        numbers = itertools.count(1)
        self._items = recording.interactions
        self._now = self._items[0].at - 60.0
        self._rerun = Rerun()
        self._heap: list[tuple[float, int, Observation]] = []
        self._order = itertools.count()
        self._paths: dict[str, str] = {}  # operations: the recorded URL's path to ours
        self.endpoint = Endpoint(
            subscription_id=_subscription(recording),
            tenant_id=TENANT,
            token_check=lambda token: token == "token",
            new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
            # The GPUs that one recording asks for were withdrawn since: no region has any left.
            config=Config(azure_files=_shares(recording), quotas={"StandardK80Cores": 100}),
        )
        self.result = Result()

    def run(self) -> Result:
        """Replay all of it."""
        self._make_homes()
        for place, item in enumerate(self._items):
            if item.foreign is not None:
                self.result.skipped[f"provider {item.foreign}"] += 1
                continue
            if item.status >= 500:
                # Nothing that a client does leads there; tests/conformance/test_errors.py has a fault do it.
                self.result.skipped[f"{item.status}, a failure of Azure's own"] += 1
                continue
            self._prepare(place)
            self._advance(self._time(place))
            if item.kind == "PUT group" and item.status < 300:
                self._rerun.expect(facts(item, self._items[place + 1 :]))
            if item.kind == "GET logs":
                self._rerun.logs = item.response["content"]
            self._compare(item, self._send(item))
        return self.result

    def _time(self, place: int) -> float:
        """When a request was answered, or accepted where the operation it began says so."""
        item = self._items[place]
        operation = _path(item.headers.get("azure-asyncoperation", ""))
        for other in self._items[place:]:
            if other.path == operation and other.status == 200:
                return max(seconds(other.response["startTime"]), self._now)
        return item.at + 0.9991234

    def _prepare(self, place: int) -> None:
        """Do what the recording shows was done, but not by whom."""
        item = self._items[place]
        made = any(
            other.kind == "PUT group" and other.group == item.group for other in self._items[:place]
        )
        if item.kind != "GET group" or made or self._knows(item) == (item.status == 200):
            return
        if item.status == 200:
            self._make_group(place)
        else:
            reply = self._handle("DELETE", item.path, item.query, None)
            assert reply.status == 200, reply.body
        self.result.prepared += 1

    def _knows(self, item: Interaction) -> bool:
        name = item.path.rpartition("/")[2].lower()
        return (str(item.resource_group).lower(), name) in self.endpoint.state.groups

    # --- the endpoint ----------------------------------------------------------------------

    def _make_homes(self) -> None:
        """Resource groups that were there before the recording began, as it shows them."""
        made: set[str] = set()
        for item in self._items:
            name = item.resource_group
            if name is None or name.lower() in made:
                continue
            made.add(name.lower())
            if item.kind == "PUT resource group":
                continue
            shown = next(
                (
                    other.response
                    for other in self._items
                    if other.kind == "GET resource group"
                    and str(other.resource_group).lower() == name.lower()
                ),
                {"location": "westus"},
            )
            body = {"location": shown["location"], "tags": shown.get("tags")}
            path = f"/subscriptions/{self.endpoint.state.subscription_id}/resourcegroups/{name}"
            reply = self._handle("PUT", path, {"api-version": "2022-09-01"}, body)
            assert reply.status == 201, reply.body

    def _make_group(self, place: int) -> None:
        """A group that was there before the recording began, as its first GET shows it."""
        item = self._items[place]
        body = json.loads(json.dumps(item.response))
        for key in ("provisioningState", "instanceView"):
            body["properties"].pop(key, None)
        for container in body["properties"]["containers"]:
            container["properties"].pop("instanceView", None)
        create = evolve(item, method="PUT", request=body, at=item.at - 60.0)
        self._rerun.expect(facts(create, self._items[place:]))
        reply = self._handle("PUT", item.path, item.query, body)
        assert reply.status == 201, reply.body

    def _send(self, item: Interaction) -> Reply:
        path = self._paths.get(item.path.lower(), item.path)
        return self._handle(item.method, path, item.query, item.request)

    def _handle(self, method: str, path: str, query: dict[str, str], body: Any) -> Reply:
        request = Request(
            method=method,
            path=path,
            query=query,
            headers={"authorization": "Bearer token"},
            body=b"" if body is None else json.dumps(body).encode(),
            base_url=ARM,
        )
        reply = self.endpoint.handle(request, self._now)
        if not isinstance(reply, Reply):
            reply = self.endpoint.handle(request, self._now, answer=self._rerun.answer(reply))
        assert isinstance(reply, Reply)
        self._tick([])
        return reply

    def _advance(self, until: float) -> None:
        while True:
            wake = self._tick([])
            times = [at for at, _, _ in self._heap[:1]] + ([wake] if wake is not None else [])
            if not times or min(times) > until:
                break
            self._now = max(self._now, min(times))
            seen = []
            while self._heap and self._heap[0][0] <= self._now:
                seen.append(heapq.heappop(self._heap)[2])
            self._tick(seen)
        self._now = max(self._now, until)

    def _tick(self, seen: list[Observation]) -> float | None:
        actions, wake = self.endpoint.tick(seen, self._now)
        for action in actions:
            for at, later in self._rerun.schedule(action, self._now):
                heapq.heappush(self._heap, (at, next(self._order), later))
        return wake

    # --- beside the recorded reply ---------------------------------------------------------

    def _compare(self, item: Interaction, reply: Reply) -> None:
        headers = {name.lower(): value for name, value in reply.headers.items()}
        self._remember(item, headers)
        sent = frozenset(
            text
            for other in self._items
            if other.request is not None
            for text in strings(other.request)
        )
        comparison = Comparison(sent)
        found = self._headers(item, headers)
        if item.status != reply.status:
            found.append(("http status", "value", item.status, reply.status))
        self.result.fields += 1 + len(HEADERS)
        if item.status == reply.status:
            if item.status >= 400:
                found += comparison.bodies(item.response, reply.body)
            elif item.full:
                found += comparison.bodies(item.response, reply.body)
                self.result.full += 1
        self.result.replayed += 1
        self.result.fields += comparison.fields
        self.result.differences += [
            Difference(
                where=item.where,
                kind=item.kind,
                version=item.version,
                day=time.strftime("%Y-%m-%d", time.gmtime(item.at)),
                path=path,
                what=what,
                recorded=recorded,
                ours=ours,
            )
            for path, what, recorded, ours in found
        ]

    def _remember(self, item: Interaction, headers: dict[str, str]) -> None:
        for name in ("azure-asyncoperation", "location"):
            theirs, ours = item.headers.get(name), headers.get(name)
            if theirs and ours:
                self._paths[_path(theirs).lower()] = _path(ours)

    def _headers(self, item: Interaction, ours: dict[str, str]) -> list[Found]:
        found: list[Found] = []
        for name in HEADERS:
            one, other = item.headers.get(name), ours.get(name)
            if one is None and other is None:
                continue
            at = f"header {name}"
            if one is None:
                found.append((at, "extra", None, other))
            elif other is None:
                found.append((at, "missing", one, None))
            elif _form(name, one) != _form(name, other):
                found.append((at, "value", one, other))
        return found


def _form(name: str, value: str) -> str:
    """A header's value without what the server picks."""
    if name in RATES or name == "retry-after":
        return "a number" if value.isdecimal() else value
    if name == "date":
        return "a date" if re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", value) else value
    if name == "azure-asyncoperation":
        return re.sub(r"/operations/[0-9a-f-]{36}\?", "/operations/GUID?", value)
    if name == "location":
        return re.sub(r"/operationresults/[^?]+", "/operationresults/ID", value)
    return value


def _path(url: str) -> str:
    return "/" + url.partition("?")[0].partition("://")[2].partition("/")[2]


def _subscription(recording: Recording) -> str:
    found = {item.path.lstrip("/").split("/")[1] for item in recording.interactions}
    (subscription,) = found
    return subscription


def _shares(recording: Recording) -> dict[str, str]:
    """Every share that a recording mounts is there."""
    found = {}
    for item in recording.interactions:
        if item.kind == "PUT group":
            for volume in item.request["properties"].get("volumes") or ():
                share = volume.get("azureFile")
                if share:
                    found[f"{share['storageAccountName']}/{share['shareName']}"] = "/nowhere"
    return found
