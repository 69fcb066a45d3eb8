"""Faults: which requests meet them, what they are like, and that a launch comes through."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st
from tests.local.world import TRACE, group

import aciflow

from aciflow.errors import CapacityError, ConfigurationError, ImageError, ProvisioningError
from aciflow.local import LocalAzure
from aciflow.local.faults import (
    Drop,
    FailOperation,
    Fault,
    Faults,
    LateStartTime,
    LostEvents,
    NoCapacity,
    Plan,
    Refuse,
    RegistryTrouble,
    ServerError,
    Slow,
    Throttle,
)
from aciflow.local.faults.catalogue import CATALOGUE
from aciflow.local.faults.effects import distorted, doom, refusal
from aciflow.local.faults.kinds import KINDS
from aciflow.local.faults.operations import OPERATIONS, operation_of
from aciflow.local.faults.wire import rule_from_json, rule_to_json
from aciflow.local.protocol import Dropped, Reply, Request


# Read when the module is loaded, since tests see none of aciflow's own settings.
SEEDS = range(20) if os.environ.get("ACIFLOW_FULL") else (3, 5)
HOME = "/subscriptions/s/resourceGroups/rg"
WEB = f"{HOME}/providers/Microsoft.ContainerInstance/containerGroups/web"
ONE_OF_EACH: list[Fault] = [
    Throttle(retry_after=0.5),
    ServerError(status=504, when="after"),
    Drop(),
    Slow(seconds=1.5),
    Refuse(code="MissingSubscriptionRegistration"),
    NoCapacity(),
    RegistryTrouble(server="index.docker.io"),
    FailOperation(seconds=3.0),
    LostEvents(names=("Started",)),
    LateStartTime(seconds=9.0),
]


def request(method: str = "GET", path: str = WEB) -> Request:
    """Without anything else: rules look at no more."""
    return Request(method=method, path=path)


def meets(faults: Faults, *requests: Request, location: str = "westus") -> list[bool]:
    """Which of these requests meet anything."""
    return [faults.plan(one, 0.0, lambda: location) is not None for one in requests]


# --- rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [True, True, True]),
        ({"method": "put"}, [False, True, False]),
        ({"operation": "ContainerGroups_Get"}, [True, False, False]),
        ({"operation": "containergroups_*"}, [True, True, False]),
        ({"path": "*/containerGroups/WEB"}, [True, True, False]),
        ({"name": "w?b"}, [True, True, False]),
        ({"name": "rg"}, [False, False, True]),
        ({"name": "other"}, [False, False, False]),
        ({"location": "West US"}, [True, True, True]),
        ({"location": "eastus"}, [False, False, False]),
        ({"method": "PUT", "name": "other"}, [False, False, False]),
    ],
)
def test_a_rule_meets_what_matches_all_of_it(match: dict[str, str], expected: list[bool]) -> None:
    """Method, operation, path, name and region; patterns, and no matter which case."""
    faults = Faults()
    faults.add(Drop(), **match)  # type: ignore[arg-type]
    assert expected == meets(
        faults, request(), request("PUT"), request("GET", "/subscriptions/s/resourcegroups/rg")
    )


def test_after_and_times_count_requests_that_match() -> None:
    """The second and third, and no other; those that do not match do not count."""
    faults = Faults()
    faults.add(Drop(), method="GET", after=1, times=2)
    some = [request(), request("PUT"), request(), request("PUT"), request(), request(), request()]
    assert [False, False, True, False, True, False, False] == meets(faults, *some)


@given(st.integers(0, 2**32), st.floats(0.0, 1.0), st.lists(st.sampled_from(["GET", "PUT"])))
def test_the_same_requests_meet_the_same_faults(
    seed: int, probability: float, methods: list[str]
) -> None:
    """From one seed; also after a reset to it, and whatever another rule draws."""
    requests = [request(method) for method in methods]
    one, other = Faults(seed), Faults(1)
    one.add(Throttle(), method="GET", probability=probability)
    other.add(Drop(), probability=0.5)
    other.clear(seed=seed)
    other.add(Throttle(), method="GET", probability=probability)
    other.add(Slow(seconds=0), method="PUT", probability=0.5)
    first = [one.plan(item, 0.0, lambda: None) for item in requests if item.method == "GET"]
    second = [
        plan
        for item, plan in [(item, other.plan(item, 0.0, lambda: None)) for item in requests]
        if item.method == "GET"
    ]
    assert [plan is not None for plan in first] == [plan is not None for plan in second]


def test_different_seeds_differ() -> None:
    """Else the seed would do nothing."""
    histories = set()
    for seed in range(8):
        faults = Faults(seed)
        faults.add(Drop(), probability=0.5)
        histories.add(tuple(meets(faults, *[request()] * 32)))
    assert len(histories) > 4


def test_a_probability_is_that_of_meeting_it() -> None:
    """Never, seldom, often, always."""
    met = []
    for probability in (0.0, 0.1, 0.9, 1.0):
        faults = Faults(7)
        faults.add(Drop(), probability=probability)
        met.append(sum(meets(faults, *[request()] * 200)))
    never, seldom, often, always = met
    assert (never, always) == (0, 200)
    assert 0 < seldom < 60
    assert 140 < often < 200


def test_what_is_distorted_adds_up() -> None:
    """Events that several rules lose are all lost, and the latest of several start times counts."""
    faults = Faults()
    for fault in (
        LostEvents(names=("Pulling",)),
        LateStartTime(seconds=9),
        LostEvents(names=("Started",)),
        LateStartTime(seconds=2),
    ):
        faults.add(fault)
    plan = faults.plan(request(), 0.0, lambda: None)
    assert plan is not None
    assert [one.names for one in plan.lost] == [("Pulling",), ("Started",)]
    assert plan.late == 9


def test_the_first_that_answers_is_the_last_that_is_met() -> None:
    """What only delays goes along; what comes after the answer does not count as fired."""
    faults = Faults()
    faults.add(Slow(seconds=2))
    faults.add(Slow(seconds=3))
    faults.add(Throttle())
    faults.add(ServerError())
    plan = faults.plan(request(), 7.0, lambda: None)
    assert plan is not None
    assert plan.delay == 5
    assert isinstance(plan.before, Reply)
    assert plan.before.status == 429
    assert [(one.rule, one.kind, one.at) for one in faults.fired] == [
        (1, "slow", 7.0),
        (2, "slow", 7.0),
        (3, "throttle", 7.0),
    ]


def test_rules_can_be_taken_away() -> None:
    """One of them, or all."""
    faults = Faults()
    first, second = faults.add(Drop()), faults.add(Throttle())
    assert faults.remove(first)
    assert not faults.remove(first)
    assert [rule.id for rule in faults.rules] == [second.id]
    meets(faults, request())
    faults.clear()
    assert [*faults.rules, *faults.fired] == []
    assert not faults.active


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Throttle(retry_after=0), "retry_after"),
        (lambda: Throttle(retry_after="2"), "retry_after"),  # type: ignore[arg-type]
        (lambda: ServerError(status=404), "status"),
        (lambda: ServerError(when="during"), "when"),  # type: ignore[arg-type]
        (lambda: Drop(when=True), "when"),  # type: ignore[arg-type]
        (lambda: Slow(seconds=-1), "seconds"),
        (lambda: Slow(seconds=float("nan")), "seconds"),
        (lambda: Refuse(code="Odd"), "status"),
        (lambda: Refuse(code="Odd", status=409), "message"),
        (lambda: Refuse(code="Odd", status=200, message=""), "status"),
        (lambda: LostEvents(names="Started"), "names"),
        (lambda: LateStartTime(seconds=-1), "seconds"),
        (lambda: Faults().add(Drop(), operation="ContainerGroups_Fly"), "operation"),
        (lambda: Faults().add(NoCapacity(), operation="ContainerGroups_Get"), "operation"),
        (lambda: Faults().add(Drop(), times=0), "times"),
        (lambda: Faults().add(Drop(), after=-1), "after"),
        (lambda: Faults().add(Drop(), probability=1.5), "probability"),
        (lambda: Faults().add(Drop(), name=""), "name"),
        (lambda: Faults().add("drop"), "fault"),  # type: ignore[arg-type]
    ],
    ids=itertools.count(1),
)
def test_what_cannot_be_is_refused_by_its_name(make: Any, field: str) -> None:
    """A rule that would never fire would make a test pass for nothing."""
    with pytest.raises(ConfigurationError, match=f"^{field}: "):
        make()


@pytest.mark.parametrize("fault", ONE_OF_EACH, ids=lambda fault: fault.kind)
def test_a_rule_comes_back_from_json(fault: Fault) -> None:
    """Every kind, as other programs write it."""
    faults = Faults()
    rule = faults.add(fault, name="web", times=2, after=1, probability=0.5)
    written = json.loads(json.dumps(rule_to_json(rule)))
    del written["id"]
    again = Faults().put(rule_from_json(written))
    assert again == rule
    assert {one.kind for one in ONE_OF_EACH} == set(KINDS)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("PUT", WEB, "ContainerGroups_CreateOrUpdate"),
        ("GET", f"/{WEB}/", "ContainerGroups_Get"),
        ("GET", f"{WEB}/containers/c/logs", "Containers_ListLogs"),
        ("HEAD", HOME, "ResourceGroups_CheckExistence"),
        ("POST", HOME, ""),
        ("GET", "/", ""),
    ],
)
def test_operations_have_azures_names(method: str, path: str, operation: str) -> None:
    """Those of the REST specification, which the SDK's documentation has too."""
    assert operation_of(request(method, path)) == operation
    assert operation in ("", *OPERATIONS)


# --- replies ----------------------------------------------------------------------------------


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """A hundred times as fast as ACI."""
    with LocalAzure("simulated", speed=100.0, traces=[TRACE]) as made:
        yield made


@pytest.fixture
def http(local: LocalAzure) -> Iterator[httpx.Client]:
    """A client of it whose URLs begin at the resource group ``rg``."""
    token = local.credential().get_token().token
    with httpx.Client(
        transport=local.transport(),
        base_url=f"https://arm.test/subscriptions/{local.subscription_id}/resourceGroups/rg",
        headers={"Authorization": f"Bearer {token}"},
        params={"api-version": "2023-05-01"},
    ) as client:
        client.put("", params={"api-version": "2021-04-01"}, json={"location": "westus"})
        yield client


CG = "/providers/Microsoft.ContainerInstance/containerGroups/web"


@pytest.mark.parametrize(
    ("seconds", "headers"),
    [
        (2, {"retry-after": "2"}),
        (0.25, {"retry-after": "1", "retry-after-ms": "250"}),
        (1.5, {"retry-after": "2", "retry-after-ms": "1500"}),
    ],
)
def test_throttling_says_when_to_come_again(
    local: LocalAzure, http: httpx.Client, seconds: float, headers: dict[str, str]
) -> None:
    """ARM's body, and headers that every generation of the SDK reads."""
    local.faults.add(Throttle(retry_after=seconds), times=1)
    reply = http.get(CG)
    assert reply.status_code == 429
    assert reply.json()["error"]["code"] == "ResourceRequestsThrottled"
    assert "'Microsoft.ContainerInstance/containerGroups/read'" in reply.json()["error"]["message"]
    assert {name: reply.headers.get(name) for name in headers} == headers
    assert "x-ms-request-id" in reply.headers
    assert http.get(CG).status_code == 404


@pytest.mark.parametrize(("when", "made"), [("before", 404), ("after", 200)])
@pytest.mark.parametrize("kind", [ServerError, Drop])
def test_before_and_after_the_effect(
    local: LocalAzure, http: httpx.Client, kind: Any, when: str, made: int
) -> None:
    """The client cannot tell which it was; the next GET can."""
    local.faults.add(kind(when=when), method="PUT", times=1)
    if kind is Drop:
        with pytest.raises(httpx.ReadError) as raised:
            http.put(CG, json=group())
        assert isinstance(raised.value.__cause__, Dropped)
        assert raised.value.__cause__.effect is (when == "after")
    else:
        assert http.put(CG, json=group()).status_code == 503
    assert http.get(CG).status_code == made


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_errors_have_arms_form(local: LocalAzure, http: httpx.Client, status: int) -> None:
    """A code and a message, whatever the status; no place is left open in the text."""
    local.faults.add(ServerError(status=status), times=1)
    reply = http.get(CG)
    error = reply.json()["error"]
    assert reply.status_code == status
    assert error["code"]
    assert "{" not in error["message"]


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_error_of_the_catalogue_can_be_had(
    local: LocalAzure, http: httpx.Client, code: str
) -> None:
    """By its code alone; what it says is about this request."""
    local.faults.add(Refuse(code=code), method="PUT", name="web")
    reply = http.put(CG, json=group())
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (CATALOGUE[code].status, code)
    assert error["message"]
    for place in ("{name}", "{resource_group}", "{location}", "{subscription}", "{scope}"):
        assert place not in error["message"]
        if place == "{name}" and place in CATALOGUE[code].message:
            assert "web" in error["message"]


def test_another_programs_slow_reply_holds_nobody(local: LocalAzure, http: httpx.Client) -> None:
    """The delay is the network's: the endpoint goes on, and ends although one is still waiting."""
    local.faults.add(Slow(seconds=3600), method="PUT", times=1)
    problems: list[BaseException] = []

    def put() -> None:
        try:
            http.put(CG, json=group())
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=put, daemon=True)
    thread.start()
    limit = time.monotonic() + 20
    while http.get(CG).status_code != 200:  # it was carried out, and others are answered
        assert time.monotonic() < limit
        time.sleep(0.01)
    local.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [type(problem) for problem in problems] == [aciflow.EndpointUnreachableError]


def test_faults_are_for_those_who_signed_in(local: LocalAzure, http: httpx.Client) -> None:
    """A request without a token gets its 401, and does not use a fault up."""
    rule = local.faults.add(Throttle(), times=1)
    assert http.get(CG, headers={"Authorization": "Bearer no"}).status_code == 401
    assert not local.faults.fired
    assert http.get(CG).status_code == 429
    assert [one.rule for one in local.faults.fired] == [rule.id]


def test_a_region_without_room(local: LocalAzure, http: httpx.Client) -> None:
    """409 with ACI's text, there and nowhere else; what is wrong anyway is said first."""
    local.faults.add(NoCapacity(), location="West Europe")
    full = http.put(CG, json={**group(), "location": "westeurope"})
    wrong = http.put(CG, json={**group(), "location": "westeurope", "properties": {}})
    other = http.put(CG, json=group())
    assert (full.status_code, full.json()["error"]["code"]) == (409, "ServiceUnavailable")
    assert "not available in the location 'westeurope'" in full.json()["error"]["message"]
    assert "'Linux' OS" in full.json()["error"]["message"]
    assert wrong.status_code == 400
    assert other.status_code == 201


def test_lost_events_and_late_start_times(local: LocalAzure, http: httpx.Client) -> None:
    """The container runs; who asks is not told since when, nor what happened."""
    http.put(CG, json=group())
    limit = time.monotonic() + 20

    def view() -> dict[str, Any]:
        properties = http.get(CG).json()["properties"]["containers"][0]["properties"]
        found: dict[str, Any] = properties.get("instanceView") or {}
        return found

    while view().get("currentState", {}).get("state") != "Running":
        assert time.monotonic() < limit
        time.sleep(0.01)
    whole = view()
    local.faults.add(LostEvents(names=("Started",)), times=1)
    some = view()
    local.faults.add(LostEvents(), times=1)
    local.faults.add(LateStartTime(seconds=1e6), times=1)
    late = http.get(CG)
    after = view()

    names = [event["name"] for event in whole["events"]]
    assert "Started" in names
    assert [event["name"] for event in some["events"]] == [
        name for name in names if name != "Started"
    ]
    shown = late.json()["properties"]["containers"][0]["properties"]["instanceView"]
    assert "events" not in shown
    assert shown["currentState"]["state"] == "Running"
    assert "startTime" not in shown["currentState"]
    assert "x-aciflow-times" not in late.headers
    assert after == whole


def create(image: str) -> Request:
    """A PUT of one container."""
    requests = {"requests": {"cpu": 1, "memoryInGB": 2}}
    container = {"name": "one", "properties": {"image": image, "resources": requests}}
    body = {"properties": {"osType": "linux", "containers": [container]}}
    return Request(method="PUT", path=WEB, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("image", "server"),
    [
        ("nginx", "index.docker.io"),
        ("library/nginx:1", "index.docker.io"),
        ("localhost/nginx", "localhost"),
        ("registry:5000/nginx", "registry:5000"),
        ("mcr.microsoft.com/hello", "mcr.microsoft.com"),
    ],
)
def test_the_registry_that_fails_is_the_image_s(image: str, server: str) -> None:
    """Unless the fault names another one."""
    said = refusal(RegistryTrouble(), create(image), "westus").message
    other = refusal(RegistryTrouble(server="r.example"), create(image), "westus").message
    assert f"docker registry '{server}'" in said
    assert "docker registry 'r.example'" in other


def test_an_operation_fails_when_its_fault_says() -> None:
    """From the request on, with the recorded event or one's own words."""
    recorded = doom(FailOperation(seconds=3), create("web"), "westus", 100.0)
    own = doom(FailOperation(reason="Odd", message="because"), create("web"), "westus", 100.0)
    assert (recorded.at, recorded.event) == (103.0, "InsufficientCapacity.")
    assert (own.at, own.event, own.message) == (100.0, "Odd", "because")


def test_events_that_are_lost_leave_an_empty_list_but_in_a_container() -> None:
    """A container's view is then without one, an operation and a group have an empty one (recorded)."""
    events = [{"name": "Pulled"}, {"name": "Started"}]
    view = {"currentState": {"state": "Running"}, "events": events}
    body = {
        "properties": {
            "instanceView": {"state": "Running", "events": events},
            "containers": [{"properties": {"instanceView": view}}],
        }
    }
    operation = {"properties": {"events": events}}
    plan = Plan(lost=(LostEvents(),))
    shown = distorted(plan, Reply(status=200, body=body), 0.0).body["properties"]
    assert shown["instanceView"]["events"] == []
    assert "events" not in shown["containers"][0]["properties"]["instanceView"]
    assert distorted(plan, Reply(status=200, body=operation), 0.0).body["properties"] == {
        "events": []
    }


def test_a_pattern_that_means_more_than_can_happen_is_taken() -> None:
    """The fault then happens to what it can happen to."""
    faults = Faults()
    faults.add(NoCapacity(), operation="ContainerGroups_*")
    assert meets(faults, request("GET"), request("PUT")) == [False, True]


# --- launches ---------------------------------------------------------------------------------


def test_a_launch_comes_through_what_passes(local: LocalAzure) -> None:
    """Throttled, dropped before and after, 5xx before and after, slow, and blind: it serves all the same."""
    faults = local.faults
    faults.add(Throttle(retry_after=0.05), method="PUT", times=1)
    faults.add(Drop(when="after"), operation="ContainerGroups_CreateOrUpdate", times=1)
    faults.add(ServerError(status=503), operation="ContainerGroups_Get", times=2)
    faults.add(Drop(), operation="ContainerGroups_Get", after=2, times=2)
    faults.add(Slow(seconds=0.1), method="GET", times=2)
    faults.add(LostEvents(), times=5)
    faults.add(LateStartTime(seconds=0.05))
    faults.add(ServerError(status=504, when="after"), method="DELETE", times=1)
    with local.client() as client:
        with client.launch("nginx", public_ip=True) as launched:
            assert launched.state == "Running"
        assert client.list() == ()
    assert {one.kind for one in faults.fired} >= {"throttle", "drop", "error", "slow"}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left_of_launches_with_faults(seed: int) -> None:
    """Whatever fails, and whether the launch comes through or not; drawn from a seed."""
    with LocalAzure("simulated", speed=500.0, traces=[TRACE], seed=seed) as local:
        for fault in (
            Drop(),
            Drop(when="after"),
            ServerError(status=503),
            ServerError(status=504, when="after"),
            Throttle(retry_after=0.01),
        ):
            local.faults.add(fault, probability=0.08)
        local.faults.add(FailOperation(), probability=0.3)
        left: list[Any] = []
        with local.client() as client:
            for number in range(4):
                try:
                    with client.launch("nginx", public_ip=True, name=f"g{number}"):
                        pass
                except aciflow.AciflowError as problem:
                    left.extend(getattr(problem, "leftovers", ()))
            local.faults.clear()
            assert client.list() == ()
    assert left == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (NoCapacity(), CapacityError),
        (RegistryTrouble(), ImageError),
        (FailOperation(), (CapacityError, ProvisioningError)),
        (Refuse(code="AuthorizationFailed"), aciflow.AuthorizationError),
        (Refuse(code="ContainerGroupQuotaReached"), aciflow.QuotaExceededError),
        (Refuse(code="RequestDisallowedByPolicy"), aciflow.PolicyDeniedError),
        (Refuse(code="ScopeLocked"), aciflow.LockedError),
    ],
)
def test_what_does_not_pass_is_the_launchs_error(
    local: LocalAzure, fault: Fault, error: Any
) -> None:
    """Its own class, and nothing is left of the group."""
    local.faults.add(fault, operation="ContainerGroups_CreateOrUpdate")
    with local.client() as client:
        with pytest.raises(error):
            client.launch("nginx", public_ip=True, timeout=2)
        assert client.list() == ()
