"""What is written down of a run, and how two runs are compared."""

from __future__ import annotations

import json

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aciflow.local.runtime.starts import Start
from aciflow.verify.compare import differences
from aciflow.verify.exchange import MASKED, Exchange, Veil
from aciflow.verify.prices import in_words
from aciflow.verify.runner import chosen, estimate
from aciflow.verify.scenarios import SCENARIOS
from aciflow.verify.traces import start_of


_SUBSCRIPTION = "1b3c9a52-0c7e-4f0d-9f6b-0f6d8a3f2c11"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "state", "tags", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def _seen(response: Any = None, **more: Any) -> Exchange:
    values: dict[str, Any] = {
        "scenario": "web",
        "step": "GET",
        "method": "GET",
        "path": "/x",
        "status": 200,
        "response": response,
    }
    return Exchange(**{**values, **more})


def test_a_record_has_no_identifiers_addresses_or_secrets() -> None:
    """Subscriptions, principals, addresses, mail and every secret are replaced, wherever they are."""
    seen = _seen(
        {
            "id": f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/x",
            "ip": "20.245.161.63",
            "error": {"message": "The client 'somebody@example.com' has no right"},
            "note": "word-77 is in here",
        },
        path=f"/subscriptions/{_SUBSCRIPTION.upper()}/x",
        request={
            "environmentVariables": [{"name": "A", "secureValue": "hidden"}],
            "volumes": [{"name": "v", "secret": {"file": "aGlkZGVu"}}],
            "imageRegistryCredentials": [{"server": "s", "password": "hidden"}],
        },
        headers={"azure-asyncoperation": f"https://x/{_SUBSCRIPTION}?api-version=1&s=c2lnbmF0dXJl"},
    )

    shown = json.dumps(Veil(["word-77"]).exchange(seen))

    for secret in (_SUBSCRIPTION, _SUBSCRIPTION.upper(), "20.245", "somebody", "word-77", "hidden"):
        assert secret not in shown
    assert "aGlkZGVu" not in shown
    assert "c2lnbmF0dXJl" not in shown
    assert shown.count(MASKED) == 6
    assert "api-version=1" in shown


def test_what_belongs_together_still_does() -> None:
    """The same identifier or address becomes the same other one, and another one another."""
    veil = Veil()
    other = _SUBSCRIPTION.replace("1", "2")

    assert veil.text(f"{_SUBSCRIPTION} {_SUBSCRIPTION.upper()}").split()[0] == veil.text(
        _SUBSCRIPTION
    )
    assert veil.text(_SUBSCRIPTION) != veil.text(other)
    assert veil.text("10.1.2.3") == veil.text("10.1.2.3") != veil.text("10.1.2.4")
    assert veil.text("2023.05.01.999 127.0.0.1") == "2023.05.01.999 127.0.0.1"


@given(_JSON)
def test_a_reply_does_not_differ_from_itself(body: Any) -> None:
    """Equal replies have no differences, whatever they are."""
    assert differences([_seen(body)], [_seen(body)]) == ([], [])


@given(_JSON, _JSON)
def test_differences_are_symmetric(one: Any, other: Any) -> None:
    """What one lacks the other has: swapping the runs swaps the two sides."""
    there, _ = differences([_seen(one)], [_seen(other)])
    here, _ = differences([_seen(other)], [_seen(one)])

    assert [(each.what, each.there, each.here) for each in there] == [
        (each.what, each.here, each.there) for each in here
    ]


def test_differences_name_status_header_and_place() -> None:
    """Status, headers, missing keys, other types and other states are told by their place."""
    there = _seen(
        {"properties": {"state": "Running", "extra": {"deep": 1}, "count": 1}, "id": "a"},
        headers={"retry-after": "15", "azure-asyncoperation": "https://a/1"},
    )
    here = _seen(
        {"properties": {"state": "Failed", "count": "1"}, "id": "b"},
        status=202,
        headers={"azure-asyncoperation": "https://b/2"},
    )

    found, alone = differences([there, _seen(step="only")], [here])

    assert [(each.what, each.there, each.here) for each in found] == [
        ("status", "200", "202"),
        ("header retry-after", "15", "-"),
        ("properties.count", "number", "string"),
        ("properties.extra", "object", "-"),
        ("properties.state", "'Running'", "'Failed'"),
    ]
    assert alone == ["web: only only there"]


def test_a_start_becomes_a_trace_that_can_be_replayed() -> None:
    """Seconds after the service's own start, in the form that the simulated runtime takes."""
    begun = _seen(method="PUT", sent=1_700_000_000.0)
    ended = _seen(
        {"status": "Succeeded", "startTime": "2023-11-14T22:13:20.1234567Z"},
        sent=1_700_000_030.0,
        seconds=0.5,
    )
    event = {"count": 1, "type": "Normal", "lastTimestamp": "2023-11-14T22:13:30Z", "message": ""}
    view = {
        "restartCount": 0,
        "currentState": {"state": "Running", "startTime": "2023-11-14T22:13:37.5Z"},
        "events": [
            {**event, "name": "Pulling", "firstTimestamp": "2023-11-14T22:13:25Z"},
            {**event, "name": "Pulled", "firstTimestamp": "2023-11-14T22:13:28Z"},
        ],
    }
    container = {"name": "one", "properties": {"image": "nginx", "instanceView": view}}
    shown = _seen({"properties": {"containers": [container]}})

    found = start_of({"properties": {"osType": "Linux"}}, begun, ended, shown)

    assert found is not None
    assert (found["pulling"], found["pulled"], found["started"]) == (4.877, 7.877, 17.377)
    assert found["succeeded_seen"] == 30.5
    assert Start.from_trace(found).started == 17.377


def test_a_start_without_events_is_no_trace() -> None:
    """The service sometimes never tells when it pulled: then nothing is made up."""
    view = {"currentState": {"state": "Running", "startTime": "2023-11-14T22:13:37Z"}}
    container = {"name": "one", "properties": {"image": "nginx", "instanceView": view}}
    ended = _seen({"status": "Succeeded", "startTime": "2023-11-14T22:13:20Z"})
    shown = _seen({"properties": {"containers": [container]}})

    assert start_of({"properties": {"osType": "Linux"}}, _seen(), ended, shown) is None


def test_the_estimate_grows_with_what_is_run() -> None:
    """All scenarios cost more than one, some cost nothing, and an unknown region's price is a guess."""
    whole, known = estimate(SCENARIOS, "East US")
    one, _ = estimate(chosen(["web"]), "eastus")
    nothing, _ = estimate(chosen(["refusals"]), "eastus")
    elsewhere, guessed = estimate(SCENARIOS, "westus")

    assert known
    assert not guessed
    assert 0 == nothing < one < whole <= elsewhere < 1


def test_scenarios_have_names_of_their_own() -> None:
    """About twenty, each with a name that chooses it."""
    names = [scenario.name for scenario in SCENARIOS]

    assert len(set(names)) == len(names) >= 20
    assert [chosen([name])[0].name for name in names] == names


def test_prices_are_told_by_meter_and_region() -> None:
    """Regions with the same price are told together."""
    row = {"meterName": "Confidential vCPU", "unitOfMeasure": "1 Hour", "retailPrice": 0.05}
    rows = [
        {**row, "armRegionName": "westus"},
        {**row, "armRegionName": "eastus"},
        {**row, "armRegionName": "uksouth", "retailPrice": 0.06},
    ]

    assert in_words(rows) == [
        "Confidential vCPU, per 1 Hour: $0.05 in eastus, westus; $0.06 in uksouth"
    ]
