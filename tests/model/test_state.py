from __future__ import annotations

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.model import ContainerState, Event, GroupState, Port
from aciflow.model.state import parse_time


T0 = 1683245733.0  # 2023-05-05T00:15:33Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-05-05T00:15:33Z", T0),
        ("2023-05-05T00:15:33.437Z", T0 + 0.437),
        ("2023-05-05T00:15:33.4566364Z", T0 + 0.456636),
        ("2023-05-05T02:15:33+02:00", T0),
        ("2023-05-05T00:15:33", T0),
        ("0001-01-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
        (17, None),
    ],
)
def test_times(text: Any, expected: float | None) -> None:
    """ARM's times in all their precisions; what is none is None."""
    assert parse_time(text) == pytest.approx(expected, abs=1e-6)


def event(name: str, first: int, last: int | None = None, **more: Any) -> dict[str, Any]:
    """An event, seconds after T0."""
    return {
        "name": name,
        "count": 1,
        "message": name.lower(),
        "type": "Normal",
        "firstTimestamp": f"2023-05-05T00:15:{33 + first}Z",
        "lastTimestamp": f"2023-05-05T00:15:{33 + (first if last is None else last)}Z",
        **more,
    }


def body_with(events: Any = None, **view: Any) -> dict[str, Any]:
    """A GET body of one container."""
    if events is not None:
        view["events"] = events
    return {
        "id": "/subscriptions/s/resourcegroups/Rg/providers/Microsoft.ContainerInstance"
        "/containerGroups/g",
        "name": "g",
        "location": "westus",
        "tags": {"a": "b"},
        "properties": {
            "provisioningState": "Succeeded",
            "containers": [
                {
                    "name": "web",
                    "properties": {
                        "image": "nginx",
                        "instanceView": view,
                        "resources": {"requests": {"cpu": 0.1, "memoryInGB": 0.2}},
                    },
                },
                {
                    "name": "side",
                    "properties": {
                        "image": "log",
                        "resources": {"requests": {"cpu": 0.2, "memoryInGB": 0.1}},
                    },
                },
            ],
            "initContainers": [{"name": "init", "properties": {"image": "setup"}}],
            "restartPolicy": "Never",
            "osType": "Linux",
            "ipAddress": {
                "type": "Public",
                "ip": "1.2.3.4",
                "fqdn": "h.westus.azurecontainer.io",
                "ports": [{"port": 80}, {"port": 53, "protocol": "udp"}, {"protocol": "TCP"}],
            },
            "instanceView": {"state": "Running", "events": [event("Scheduled", 1)]},
        },
    }


def test_a_whole_reply() -> None:
    """Every field of a group's state comes from its place in the body."""
    body = body_with(
        restartCount=2,
        currentState={
            "state": "Running",
            "startTime": "2023-05-05T00:15:56.437Z",
            "detailStatus": "",
        },
        previousState={
            "state": "Terminated",
            "startTime": "2023-05-05T00:15:33Z",
            "finishTime": "2023-05-05T00:15:34Z",
            "exitCode": 3,
            "detailStatus": "Error",
        },
    )

    state = GroupState.from_arm(body)

    assert (state.id, state.name, state.resource_group) == (body["id"], "g", "Rg")
    assert (state.location, state.tags) == ("westus", {"a": "b"})
    assert (state.provisioning_state, state.state) == ("Succeeded", "Running")
    assert (state.ip, state.fqdn) == ("1.2.3.4", "h.westus.azurecontainer.io")
    assert (state.ports, state.public) == ((Port(80), Port(53, "UDP")), True)
    assert (state.restart_policy, state.os_type) == ("Never", "Linux")
    assert (state.cpu, state.memory_gb, state.priority) == (0.3, 0.3, "Regular")
    assert [item.name for item in state.events] == ["Scheduled"]
    assert [(item.name, item.image) for item in state.init_containers] == [("init", "setup")]
    assert state.raw is body
    web, side = state.containers
    assert (web.name, web.image, web.restart_count) == ("web", "nginx", 2)
    assert web.current == ContainerState(state="Running", started_at=T0 + 23.437)
    assert web.previous == ContainerState(
        state="Terminated", started_at=T0, finished_at=T0 + 1, exit_code=3, detail="Error"
    )
    assert (side.current, side.previous, side.events) == (None, None, ())


def test_a_spot_group_says_so() -> None:
    """Priority is part of the state, since the price depends on it."""
    assert GroupState.from_arm({"properties": {"priority": "Spot"}}).priority == "Spot"


def test_the_body_is_neither_compared_nor_shown() -> None:
    """Two replies that say the same are the same state, and a repr stays readable."""
    one, two = body_with(), body_with()
    two["etag"] = "other"

    assert GroupState.from_arm(one) == GroupState.from_arm(two)
    assert "etag" not in repr(GroupState.from_arm(two))


def test_events_in_order_each_once() -> None:
    """Events come out of order, twice, and in the same second; the order is that of what happens."""
    state = GroupState.from_arm(
        body_with(
            [
                event("Killing", 9),
                event("Started", 4),
                event("Pulled", 2),
                event("Pulling", 2),
                event("Started", 4),
                event("BackOff", 5, 8, count=3, type="Warning"),
                event("Unheard", 2),
            ]
        )
    )

    assert [item.name for item in state.containers[0].events] == [
        "Pulling",
        "Pulled",
        "Unheard",
        "Started",
        "BackOff",
        "Killing",
    ]
    assert state.containers[0].events[4] == Event(
        name="BackOff", message="backoff", type="Warning", count=3, first=T0 + 5, last=T0 + 8
    )


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2023-05-05T00:15:33Z", None, [(T0, T0)]),
        (None, "2023-05-05T00:15:33Z", [(T0, T0)]),
        (None, None, []),
    ],
    ids=["first", "last", "none"],
)
def test_events_that_lack_a_time(
    first: Any, last: Any, expected: list[tuple[float, float]]
) -> None:
    """One time stands for both; an event without any cannot be placed."""
    bare = {"name": "Started", "firstTimestamp": first, "lastTimestamp": last}

    events = GroupState.from_arm(body_with([bare])).containers[0].events

    assert [(item.first, item.last) for item in events] == expected


def test_a_list_has_no_instance_view() -> None:
    """An item of a list, and a group that was just accepted, parse with what they have."""
    state = GroupState.from_arm(
        {
            "id": "/subscriptions/s/resourceGroups/r/providers/x/containerGroups/g",
            "properties": {"provisioningState": "Pending", "ipAddress": {"type": "Private"}},
        }
    )

    assert (state.name, state.resource_group, state.state) == ("g", "r", "")
    assert (state.ip, state.public, state.containers) == (None, False, ())


def test_an_id_without_a_resource_group() -> None:
    """An id of another form gives an empty resource group, not a wrong one."""
    assert GroupState.from_arm({"id": "/subscriptions/resourceGroups"}).resource_group == ""


@pytest.mark.parametrize(
    "body", [{}, {"properties": None}, {"properties": {"containers": [None]}}, None]
)
def test_next_to_nothing(body: Any) -> None:
    """Whatever is missing is empty."""
    state = GroupState.from_arm(body)

    assert (state.id, state.provisioning_state, state.cpu) == ("", "", 0.0)


@pytest.mark.parametrize(("value", "expected"), [(1, 1), (1.0, 1), (1.5, None), (True, None)])
def test_exit_codes(value: Any, expected: int | None) -> None:
    """An exit code is a whole number or none."""
    view = {"currentState": {"state": "Terminated", "exitCode": value}}

    current = GroupState.from_arm(body_with(**view)).containers[0].current

    assert current is not None
    assert current.exit_code == expected


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "properties",
                    "containers",
                    "instanceView",
                    "events",
                    "currentState",
                    "startTime",
                    "firstTimestamp",
                    "ipAddress",
                    "ports",
                    "port",
                    "resources",
                    "requests",
                    "cpu",
                    "tags",
                    "exitCode",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(junk)
def test_any_json_is_a_state(body: Any) -> None:
    """Nothing that a service could answer makes the parser fail."""
    assert isinstance(GroupState.from_arm(body), GroupState)
