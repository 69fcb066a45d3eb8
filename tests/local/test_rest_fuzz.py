"""Whatever is asked, the endpoint answers: with JSON, and never with a fault of its own."""

from __future__ import annotations

import copy
import json

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.local.world import SUBSCRIPTION, World, container, group

from aciflow.local.config import Config
from aciflow.local.endpoint import _ROUTER
from aciflow.local.protocol import Reply
from aciflow.local.rest.shapes import EXEC, GROUP


SUB = f"/subscriptions/{SUBSCRIPTION}"

TEXT = st.text(st.characters(codec=None), max_size=12) | st.sampled_from(
    [
        "",
        "web",
        "rg",
        "..",
        ".",
        "a" * 64,
        "\0",
        "\ud800",
        "é",
        "westus",
        "Linux",
        "80",
        "1e999",
        "-1",
    ]
)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 2**31, 2**63, 10**400, float("nan"), float("inf"), 1e308])
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)

RICH: dict[str, Any] = {
    "tags": {"a": "b"},
    "zones": ["1"],
    "identity": {
        "type": "UserAssigned",
        "userAssignedIdentities": {
            f"{SUB}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me": {}
        },
    },
    **group(
        container(
            command=["sh", "-c", "true"],
            ports=[{"port": 80, "protocol": "TCP"}],
            environmentVariables=[{"name": "A", "value": "b"}, {"name": "C", "secureValue": "d"}],
            volumeMounts=[{"name": "files", "mountPath": "/files", "readOnly": True}],
            livenessProbe={"exec": {"command": ["true"]}, "periodSeconds": 5},
            readinessProbe={
                "httpGet": {"path": "/", "port": 80, "httpHeaders": [{"name": "A", "value": "b"}]}
            },
            securityContext={"runAsUser": 1, "capabilities": {"add": ["NET_ADMIN"]}},
            resources={
                "requests": {"cpu": 1, "memoryInGB": 1},
                "limits": {"cpu": 1, "memoryInGB": 1},
            },
        ),
        initContainers=[{"name": "init", "properties": {"image": "busybox", "command": ["true"]}}],
        volumes=[
            {"name": "files", "secret": {"a": "YQ=="}},
            {"name": "share", "azureFile": {"shareName": "share", "storageAccountName": "store"}},
            {"name": "empty", "emptyDir": {}},
            {"name": "repo", "gitRepo": {"repository": "https://git.test/a", "directory": "."}},
        ],
        imageRegistryCredentials=[{"server": "r.test", "username": "u", "password": "p"}],
        dnsConfig={"nameServers": ["10.0.0.1"]},
        diagnostics={"logAnalytics": {"workspaceId": "w", "workspaceKey": "k", "metadata": {}}},
        extensions=[{"name": "e", "properties": {"settings": {}}}],
        restartPolicy="Never",
        sku="Standard",
        priority="Regular",
    ),
}
"""A body that has most of what a group can have, and is accepted."""


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path] + [
            each for key, inner in value.items() for each in _paths(inner, (*path, key))
        ]
    if isinstance(value, list):
        return [path] + [
            each for key, inner in enumerate(value) for each in _paths(inner, (*path, key))
        ]
    return [path]


def _with(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    body = copy.deepcopy(body)
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return body


def _world() -> World:
    return World(config=Config(azure_files={"store/share": "/tmp/share"}))


def _answered(reply: Reply) -> None:
    assert 200 <= reply.status < 500 or reply.status == 501, (reply.status, reply.body)
    text = json.dumps(reply.body, allow_nan=False)
    text.encode()
    if reply.status >= 400 and reply.body is not None:
        assert set(reply.body["error"]) == {"code", "message"}
    for value in reply.headers.values():
        value.encode("latin-1")
        assert "\n" not in value
        assert "\r" not in value


def test_the_rich_body_is_accepted() -> None:
    """What the others change one thing of is fine as it is."""
    reply = _world().put(RICH)

    assert reply.status == 201, reply.body


@settings(max_examples=400, deadline=None)
@given(path=st.sampled_from(_paths(RICH)), value=JSON)
def test_a_wrong_value_anywhere_in_a_body(path: tuple[Any, ...], value: Any) -> None:
    """A body with any one value replaced by anything is taken or refused; what is taken can be shown."""
    world = _world()
    world.make_home()
    world.image_problems["never"] = None
    raw = json.dumps(_with(RICH, path, value)).encode()
    reply = world.request("PUT", world.group_path(), raw=raw)

    _answered(reply)
    if reply.status < 300:
        for _ in range(3):
            _answered(world.request("GET", world.group_path()))
            world.run(20)
        saved = world.endpoint.dump()
        json.dumps(saved, allow_nan=False)
        _world().endpoint.load(json.loads(json.dumps(saved)))
        _answered(world.request("DELETE", world.group_path()))


PATHS = sorted(
    {"/" + "/".join(segments) for routes in _ROUTER._routes.values() for segments, _ in routes}
)


@settings(max_examples=600, deadline=None)
@given(
    template=st.sampled_from(PATHS),
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "", "é"]),
    names=st.lists(TEXT, min_size=8, max_size=8),
    known=st.lists(st.booleans(), min_size=8, max_size=8),
    query=st.dictionaries(
        st.sampled_from(["tail", "timestamps", "$filter", "$top", "$expand", "x"]), TEXT, max_size=3
    ),
    version=st.sampled_from(["", "2023-05-01", "2021-04-01", "2018-06-01", None]) | TEXT,
    body=st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_request_to_any_route(
    template: str,
    method: str,
    names: list[str],
    known: list[bool],
    query: dict[str, str],
    version: str | None,
    body: bytes,
) -> None:
    """Any method, name, query and body on every route gets a reply."""
    world = _world()
    world.put()
    world.run(20)
    real = {
        "subscription": SUBSCRIPTION,
        "resource_group": "rg",
        "name": "web",
        "container": "web",
        "location": "westus",
        "namespace": "Microsoft.ContainerInstance",
    }
    path = ""
    for place, segment in enumerate(template.strip("/").split("/")):
        filled = segment
        if segment[0] == "{":
            use_real = known[place % 8] or segment == "{subscription}"
            filled = real.get(segment[1:-1], "x") if use_real else names[place % 8]
        path += f"/{filled}"

    _answered(world.request(method, path, raw=body, version=version, query=query))
    _answered(world.request("GET", world.group_path("other")))


@settings(max_examples=200, deadline=None)
@given(
    path=TEXT.map(lambda text: "/" + text) | TEXT, headers=st.dictionaries(TEXT, TEXT, max_size=3)
)
def test_any_path_and_header(path: str, headers: dict[str, str]) -> None:
    """Nonsense is refused in ARM's form; what a client sends cannot become another header."""
    world = _world()
    named = {"x-ms-correlation-request-id": "".join(headers), **headers}

    _answered(world.request("GET", path, headers=named))


def test_documents_that_go_on_and_on() -> None:
    """Nesting, numbers and text beyond any bound are refused as content, not met with a fault."""
    world = _world()
    world.make_home()
    path = world.group_path()
    bodies = [
        b"[" * 100_000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b'{"properties":' * 70 + b"{}" + b"}" * 70,
        b'{"properties": ' + b"9" * 5000 + b"}",
        b'{"location": 1e999}',
        b'{"location": NaN}',
        b'{"location": "\\ud800"}',
        b'{"location": "\xff"}',
        b"\xff\xfe\x00",
        b'"text"',
        b"17",
        b"",
    ]
    replies = [world.request("PUT", path, raw=body) for body in bodies]

    for reply in replies:
        _answered(reply)
    assert {reply.body["error"]["code"] for reply in replies} == {"InvalidRequestContent"}


@settings(max_examples=200, deadline=None)
@given(body=JSON)
def test_sessions_are_asked_for_in_any_words(body: Any) -> None:
    """What exec cannot read, it refuses."""
    world = _world()
    world.put()
    world.run(20)
    path = world.group_path(more="/containers/web/exec")

    _answered(world.request("POST", path, raw=json.dumps(body).encode()))


def test_every_member_of_the_shapes_is_spelled_once() -> None:
    """Names are found without regard to case, so no two of an object may differ in that alone."""
    for shape in (GROUP, EXEC):
        assert len({name.lower() for name in shape.members}) == len(shape.members)
