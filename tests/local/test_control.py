"""The endpoint's own pages: faults and the clock for other programs, in process and served."""

from __future__ import annotations

import ssl

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.local.world import TRACE

from aciflow.errors import ConfigurationError
from aciflow.local import LocalAzure
from aciflow.local.faults import Throttle


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """A simulated endpoint."""
    with LocalAzure("simulated", traces=[TRACE], seed=5) as made:
        yield made


class _Fresh(httpx.Auth):
    """A new token for each request: tests set the clock forward."""

    def __init__(self, local: LocalAzure) -> None:
        self._local = local

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        token = self._local.credential().get_token().token
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


@pytest.fixture(params=["in process", "served"])
def http(local: LocalAzure, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of it, by either way."""
    if request.param == "in process":
        with httpx.Client(
            transport=local.transport(), base_url="https://arm.test", auth=_Fresh(local)
        ) as client:
            yield client
        return
    with local.serve() as served:
        verify = ssl.create_default_context(cafile=str(served.ca_file))
        with httpx.Client(
            base_url=served.url, verify=verify, trust_env=False, auth=_Fresh(local)
        ) as client:
            yield client


def test_faults_from_outside(local: LocalAzure, http: httpx.Client) -> None:
    """Added, listed, met, taken away; what Python sees is the same."""
    groups = f"/subscriptions/{local.subscription_id}/resourcegroups?api-version=2021-04-01"
    rule = {"fault": "throttle", "retry_after": 1, "match": {"method": "GET"}, "times": 1}
    added = http.post("/_aciflow/faults", json=rule)
    met, after = http.get(groups), http.get(groups)
    listed = http.get("/_aciflow/faults").json()
    local.faults.add(Throttle(retry_after=3))
    one = http.delete("/_aciflow/faults", params={"id": 1})
    gone = http.delete("/_aciflow/faults", params={"id": 1})
    left = [rule.id for rule in local.faults.rules]
    all_of_them = http.delete("/_aciflow/faults", params={"seed": 8})

    assert added.status_code == 201
    assert added.json() == {"id": 1, **rule, "after": 0, "probability": 1.0}
    assert (met.status_code, after.status_code) == (429, 200)
    assert listed["seed"] == 5
    assert listed["rules"] == [added.json()]
    assert [(fired["rule"], fired["method"]) for fired in listed["fired"]] == [(1, "GET")]
    assert (one.status_code, gone.status_code, left) == (204, 404, [2])
    assert all_of_them.status_code == 204
    assert (local.faults.rules, local.faults.seed) == ((), 8)


def test_dropped_connections_are_dropped(local: LocalAzure, http: httpx.Client) -> None:
    """Not an answer of any kind; and the pages themselves meet no faults."""
    http.post("/_aciflow/faults", json={"fault": "drop"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        http.get(f"/subscriptions/{local.subscription_id}/resourcegroups?api-version=2021-04-01")
    assert http.delete("/_aciflow/faults").status_code == 204
    found = http.get(f"/subscriptions/{local.subscription_id}?api-version=2021-04-01")
    assert found.status_code == 200


def test_the_clock_from_outside(local: LocalAzure, http: httpx.Client) -> None:
    """Stopped, set forward, let go."""
    frozen = http.post("/_aciflow/clock", json={"action": "freeze"}).json()
    later = http.post("/_aciflow/clock", json={"action": "advance", "seconds": 90}).json()
    shown = http.get("/_aciflow/clock").json()
    gone = http.post("/_aciflow/clock", json={"action": "resume"}).json()

    assert frozen["frozen"]
    assert later["now"] == pytest.approx(frozen["now"] + 90)
    assert (shown["now"], shown["frozen"]) == (later["now"], True)
    assert not gone["frozen"]
    assert not local.clock.frozen


@pytest.mark.parametrize(
    ("page", "body", "field"),
    [
        ("faults", {}, "fault"),
        ("faults", {"fault": "gremlin"}, "fault"),
        ("faults", {"fault": "slow"}, "seconds"),
        ("faults", {"fault": "slow", "seconds": "1"}, "seconds"),
        ("faults", {"fault": "drop", "retry_after": 1}, "retry_after"),
        ("faults", {"fault": "drop", "match": []}, "match"),
        ("faults", {"fault": "drop", "match": {"verb": "GET"}}, "match.verb"),
        ("faults", {"fault": "drop", "match": {"operation": "Fly"}}, "match.operation"),
        ("faults", {"fault": "drop", "times": 0}, "times"),
        ("faults", {"fault": "drop", "times": True}, "times"),
        ("faults", {"fault": "drop", "probability": 2}, "probability"),
        ("faults", {"fault": "refuse", "code": "Odd"}, "status"),
        ("clock", {}, "action"),
        ("clock", {"action": "rewind"}, "action"),
        ("clock", {"action": "advance"}, "seconds"),
        ("clock", {"action": "advance", "seconds": -1}, "seconds"),
        ("clock", {"action": "advance", "seconds": True}, "seconds"),
        ("clock", {"action": "freeze", "seconds": 1}, "seconds"),
        ("clock", {"action": "freeze", "until": 1}, "until"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_its_field(
    local: LocalAzure, page: str, body: Any, field: str
) -> None:
    """As ARM refuses: 400, a code, a message and the target."""
    with httpx.Client(
        transport=local.transport(), base_url="https://arm.test", auth=_Fresh(local)
    ) as client:
        reply = client.post(f"/_aciflow/{page}", json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["target"]) == (400, field)
    assert error["message"].startswith(f"{field}: ")
    assert local.faults.rules == ()
    assert not local.clock.changed


def test_strange_requests_for_the_pages(local: LocalAzure, http: httpx.Client) -> None:
    """No token, no JSON, no such page, no such method."""
    none = {"Authorization": "Bearer x"}
    assert (
        httpx.Client(transport=local.transport(), base_url="https://arm.test", headers=none)
        .get("/_aciflow/clock")
        .status_code
        == 401
    )
    assert http.post("/_aciflow/faults", content=b"{").status_code == 400
    assert http.post("/_aciflow/faults", content=b"[]").status_code == 400
    assert http.get("/_aciflow/secrets").status_code == 404
    assert http.put("/_aciflow/clock", json={}).status_code == 405
    assert http.delete("/_aciflow/faults", params={"id": "one"}).status_code == 400


@pytest.mark.engine
def test_the_shared_endpoint_has_neither() -> None:
    """Other programs use it too; the error says what to use instead."""
    shared = LocalAzure.shared()
    with pytest.raises(ConfigurationError, match="LocalAzure"):
        shared.faults.add(Throttle())
    with pytest.raises(ConfigurationError, match="LocalAzure"):
        shared.clock.advance(1)
    with httpx.Client(
        transport=shared.transport(), base_url="https://arm.test", auth=_Fresh(shared)
    ) as client:
        for page in ("faults", "clock"):
            reply = client.get(f"/_aciflow/{page}")
            assert (reply.status_code, reply.json()["error"]["code"]) == (409, "SharedEndpoint")
    shared.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": 0}, "speed=0"),
        ({"speed": -1.0}, "speed=-1.0"),
        ({"speed": float("inf")}, "speed=inf"),
        ({"azure_files": {"share": "/"}}, "account/share"),
        ({"azure_files": {"a/b": "/no/such/place"}}, "no directory"),
        ({"quotas": {"ContainerGroups": -1}}, "quotas"),
        ({"quotas": {"ContainerGroups": "many"}}, "quotas"),
    ],
    ids=str,
)
def test_settings_that_cannot_be(options: Any, said: str) -> None:
    """Said at once, not at the first group."""
    with pytest.raises(ConfigurationError, match=said):
        LocalAzure("simulated", **options)
