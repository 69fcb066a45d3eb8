"""Every operation through both gateways, as the server sees it."""

from __future__ import annotations

from typing import Any, get_args

import httpx
import pytest

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from tests.arm.conftest import SUBSCRIPTION, TOKEN, Perform
from tests.arm.server import ArmServer, Asked, Said

from aciflow.arm.routes import API_VERSION, label, request_for, require, same_origin
from aciflow.arm.settings import ArmSettings
from aciflow.errors import ConfigurationError
from aciflow.flow.effects import ArmCall, Operation


OPERATIONS: tuple[Operation, ...] = get_args(Operation)
BODY = {
    "location": "westus",
    "properties": {"aFieldNewerThanAnySdk": {"deep": [1, 2.50, None, "ü"]}, "osType": "Linux"},
    "tags": {"with space": ""},
}
#: What the service answers where it is not a 200 (recorded; TypeSpec for the rest).
STATUS = {
    "group.put": 201,
    "group.start": 204,
    "group.stop": 204,
    "group.restart": 204,
    "rg.put": 201,
    "rg.delete": 202,
}
LISTS = {"group.list", "group.list_all", "rg.resources", "location.usages", "location.capabilities"}


def a_call(operation: Operation, base_url: str = "") -> ArmCall:
    """A call with all that any operation may need."""
    return ArmCall(
        operation=operation,
        resource_group="my-rg",
        name="web",
        body=BODY,
        url=f"{base_url}/subscriptions/s/providers/x/operations/1?api-version=2018-06-01&t=a%2Bb",
        container="main",
        tail=7,
        timestamps=True,
        location="westus",
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_goes_out_as_the_routes_say(
    operation: Operation, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """The installed SDKs send the very request that the pure table describes."""
    status = STATUS.get(operation, 200)
    reply_body: Any = None if status == 204 else {"value": [{"unknown": {"kept": True}}]}
    headers = {"X-Ms-Request-Id": "westus:1", "Azure-AsyncOperation": f"{server.url}/operations/1"}
    server.answer = lambda _: Said(status, reply_body, headers)
    call = a_call(operation, server.url)

    reply = perform(settings, call)

    [asked] = server.asked
    method, path, query, body = request_for(call, SUBSCRIPTION)
    assert (method, path.lower(), body) == (asked.method, asked.path.lower(), asked.json)
    if operation.startswith(("rg.", "provider.")):  # each azure-mgmt-resource has its own version
        assert set(query) == set(asked.query)
    else:
        assert query == asked.query
    assert f"Bearer {TOKEN}" == asked.headers["authorization"]
    assert (status, reply_body) == (reply.status, reply.body)
    assert "westus:1" == reply.headers["x-ms-request-id"]
    assert f"{server.url}/operations/1" == reply.headers["azure-asyncoperation"]


def test_bodies_arrive_byte_for_byte(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """No SDK model touches a body: unknown fields, numbers and order are as they were given."""
    perform(settings, a_call("group.put"))

    assert b'{"location":"westus","properties":{"aFieldNewerThanAnySdk":' in server.asked[0].body
    assert b"2.5,null" in server.asked[0].body
    assert "application/json" == server.asked[0].headers["content-type"]


def test_the_api_version_is_the_settings_own(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A given api-version is sent, and aciflow's own choice where there is none."""
    perform(settings, a_call("group.get"))
    perform(evolve(settings, api_version="2025-09-01"), a_call("group.get"))

    versions = [asked.query["api-version"] for asked in server.asked]
    assert [API_VERSION, "2025-09-01"] == versions


@pytest.mark.parametrize("operation", sorted(LISTS))
def test_lists_have_all_pages(
    operation: Operation, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A list is followed to its end, on links as they were given, and comes as one."""

    def answer(asked: Asked) -> Said:
        page = int(asked.query.get("page", "1"))
        link = f"{server.url}/next?page={page + 1}&$skiptoken=a%2Fb" if page < 3 else ""
        return Said(200, {"value": [{"page": page}], "nextLink": link})

    server.answer = answer

    reply = perform(settings, a_call(operation))

    assert {"value": [{"page": 1}, {"page": 2}, {"page": 3}]} == reply.body
    assert "a/b" == server.asked[-1].query["$skiptoken"]
    assert {f"Bearer {TOKEN}"} == {asked.headers["authorization"] for asked in server.asked}


def test_a_list_that_names_itself_ends(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A next link that was followed before ends the list instead of running for ever."""
    link = f"{server.url}/again"
    server.answer = lambda _: Said(200, {"value": [1], "nextLink": link})

    assert {"value": [1, 1]} == perform(settings, a_call("group.list")).body


def test_a_page_that_is_no_object_adds_nothing(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A last page of another shape does not lose the ones before it."""
    pages = [Said(200, {"value": [1], "nextLink": f"{server.url}/2"}), Said(200, [])]
    server.answer = lambda _: pages.pop(0)

    assert {"value": [1]} == perform(settings, a_call("group.list")).body


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/operations/1",
        "https://localhost/operations/1",
        "http://localhost:{port}/operations/1",
        "https://localhost:{port}@evil.example/operations/1",
        "https://localhost:{port}.evil.example/operations/1",
        "https://localhost:99999999/operations/1",
    ],
)
def test_an_operation_elsewhere_is_refused(
    foreign: str, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """The token goes to the endpoint's own origin and nowhere else, however alike it looks."""
    url = foreign.format(port=server.port)
    with pytest.raises(ConfigurationError, match="not sent to another") as caught:
        perform(settings, ArmCall(operation="operation.get", url=url))

    assert [] == server.asked
    assert [] == settings.credential.asked  # not even fetched for it
    assert TOKEN not in str(caught.value)


def test_a_next_page_elsewhere_is_refused(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """The same holds for the pages of a list."""
    server.answer = lambda _: Said(200, {"value": [1], "nextLink": "https://evil.example/2"})

    with pytest.raises(ConfigurationError, match=r"names a URL on evil\.example"):
        perform(settings, a_call("group.list"))


@pytest.mark.parametrize(
    ("operation", "status"), [("group.stop", 202), ("group.put", 202), ("group.patch", 202)]
)
def test_a_success_that_the_sdk_does_not_know_is_one(
    operation: Operation, status: int, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A 2xx that the generated code would raise for is a reply all the same."""
    server.answer = lambda _: Said(status, {"id": "x"})

    reply = perform(settings, a_call(operation))

    assert (status, {"id": "x"}) == (reply.status, reply.body)


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf{}", b"plain \xff text", b'"a string"', b"[1]"])
def test_odd_bodies_of_a_success_are_no_error(
    body: bytes, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """What an SDK's models could not read comes as JSON where it is some, else as text."""
    server.answer = lambda _: Said(200, body)

    expected = {b"[1]": [1], b'"a string"': "a string", b"\xef\xbb\xbf{}": {}}
    reply = perform(settings, a_call("group.get"))

    assert expected.get(body, "plain � text") == reply.body


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ("group.get", "resource_group"),
        ("group.put", "name"),
        ("group.logs", "container"),
        ("operation.get", "url"),
        ("location.usages", "location"),
    ],
)
def test_a_call_without_what_it_needs_is_a_mistake(
    operation: Operation, field: str, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A missing name is a ValueError here, not a strange URL there."""
    with pytest.raises(ValueError, match=f"{operation} needs {field}"):
        perform(settings, evolve(a_call(operation), **{field: None}))  # type: ignore[arg-type]

    assert [] == server.asked


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_a_route(operation: Operation) -> None:
    """None of the flow's operations is missing from the table."""
    call = a_call(operation, "https://management.azure.com")
    require(call)

    method, path, query, body = request_for(call, SUBSCRIPTION, "2020-01-01")

    assert path.startswith("/subscriptions/")
    assert "{" not in path
    sends = method in {"PUT", "PATCH"} or operation == "container.exec"
    assert (body is not None) == sends
    assert "api-version" in query


def test_logs_say_what_they_were_asked(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """Without a tail and timestamps, neither is sent; a tail of no lines is one."""
    plain = ArmCall(operation="group.logs", resource_group="rg", name="web", container="c")
    perform(settings, plain, evolve(plain, tail=0))

    assert {"api-version": API_VERSION} == request_for(plain, SUBSCRIPTION)[2]
    expected = [{"api-version": API_VERSION}, {"api-version": API_VERSION, "tail": "0"}]
    assert expected == [asked.query for asked in server.asked]


def test_a_body_that_is_no_json_is_the_caller_s_mistake(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """What cannot be sent is not reported as an endpoint that does not answer."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        perform(settings, evolve(a_call("group.put"), body={"x": object()}))

    assert [] == server.asked


def test_a_transport_of_the_settings_is_the_wire(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A wire of one's own is used instead of the network."""

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"host": request.url.host, "path": request.url.path})

    wire = httpx.MockTransport(handle)
    inside = evolve(
        settings, transport=wire, async_transport=wire, base_url="https://aciflow.localhost"
    )
    reply = perform(inside, a_call("rg.get"))

    assert "aciflow.localhost" == reply.body["host"]
    assert [] == server.asked


@pytest.mark.parametrize(
    ("url", "base", "same"),
    [
        ("https://arm/x", "https://arm", True),
        ("https://ARM:443/x?y", "https://arm/", True),
        ("https://arm:444/x", "https://arm", False),
        ("http://arm/x", "https://arm", False),
        ("https://arm.evil/x", "https://arm", False),
        ("https://a@arm/x", "https://arm", False),
        ("https://arm:x/", "https://arm", False),
        ("https://[::1/x", "https://arm", False),
        ("/relative", "https://arm", False),
        ("", "", False),
    ],
)
def test_same_origin(url: str, base: str, *, same: bool) -> None:
    """Scheme, host and port, in whatever spelling; never with a user."""
    assert same == same_origin(url, base)


@given(st.text(max_size=60))
def test_no_url_is_too_odd(text: str) -> None:
    """Whatever text a reply has for a URL: a yes or a no, and a label without its secrets."""
    assert same_origin(text, "https://arm.example") in (True, False)
    assert "hunter2" not in label(f"https://me:hunter2@{text}")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://arm.example/x?y", "arm.example"),
        ("https://me:hunter2@arm.example:8443/x", "arm.example:8443"),
        ("https://arm:x/", "?"),
        ("nothing", "?"),
    ],
)
def test_label(url: str, shown: str) -> None:
    """A URL in a message is its host, and its port where it has one."""
    assert shown == label(url)
