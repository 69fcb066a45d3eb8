"""
Whatever anybody sends: an answer, no 500, and nothing left on the engine.

Some hundreds of requests by default; ``ACIFLOW_FULL=1`` (the session ``full`` of nox) makes ten thousand. The
environment is read when this module is loaded, since tests see none of aciflow's own settings.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import socket
import ssl
import time

from collections.abc import Iterator
from typing import Any

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.images import Engine
from tests.local.world import TRACE

from aciflow.local import LocalAzure
from aciflow.local.protocol import Reply, Request
from aciflow.local.served.server import Served


FULL = bool(os.environ.get("ACIFLOW_FULL"))
REQUESTS = 10_000 if FULL else 300
GARBAGE = 1_000 if FULL else 60

LIMIT = 100.0
"""Seconds until a request must have been answered; a DELETE is held for at most 60."""

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "Linux", "Always", "Public", "TCP", "0", "-1", "é", "\x00", "a" * 300]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["web", "WEB", "db", "rg", "rg2", "c", "one", "*", "..", "a b", "é", "x" * 100]
)
VERSIONS = st.sampled_from(
    [
        *("2023-05-01", "2024-05-01-preview", "2025-09-01", "2021-07-01", "2018-06-01"),
        *("2021-04-01", "2025-04-01", "1999-01-01", "", "x"),
    ]
)
RG = "/subscriptions/{s}/resourceGroups/{rg}"
ACI = RG + "/providers/Microsoft.ContainerInstance"
PLACE = "/subscriptions/{s}/providers/Microsoft.ContainerInstance/locations/{n}"
PATHS = [
    *(RG, "/subscriptions/{s}/resourcegroups", RG + "/resources", "/subscriptions/{s}/resources"),
    *(ACI + "/containerGroups", ACI + "/containerGroups/{n}"),
    *(f"{ACI}/containerGroups/{{n}}/{verb}" for verb in ("start", "stop", "restart")),
    ACI + "/containerGroups/{n}/outboundNetworkDependenciesEndpoints",
    *(
        f"{ACI}/containerGroups/{{n}}/containers/{{c}}/{verb}"
        for verb in ("logs", "exec", "attach")
    ),
    *(f"{ACI}/containerGroupProfiles{more}" for more in ("", "/{n}", "/{n}/revisions")),
    *(f"{PLACE}/{what}" for what in ("usages", "capabilities", "cachedImages", "operations/{n}")),
    "/subscriptions/{s}/providers/Microsoft.ContainerInstance/containerGroups",
    "/providers/Microsoft.ContainerInstance/operations",
    *("/subscriptions/{s}/providers", "/subscriptions/{s}/providers/{n}", "/subscriptions"),
    *("/subscriptions/{s}/providers/{n}/register", "/subscriptions/{s}", "/tenants"),
    *("/subscriptions/{s}/operationresults/{n}", "/subscriptions/{s}/tagNames", "/", "//", "/{n}"),
    RG + "/providers/Microsoft.Network/virtualNetworks/{n}/subnets/{n}"
    "/providers/Microsoft.ContainerInstance/serviceAssociationLinks/default",
    *("/_aciflow/faults", "/_aciflow/clock", "/_aciflow/{n}", "/_aciflow/"),
]
METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", ""])


def _group(image: str) -> dict[str, Any]:
    """All that a group can have, and valid."""
    return {
        "location": "westus",
        "tags": {"a": "b"},
        "properties": {
            "osType": "Linux",
            "restartPolicy": "OnFailure",
            "containers": [
                {
                    "name": "c",
                    "properties": {
                        "image": image,
                        "command": ["/bin/sh", "-c", "sleep 60"],
                        "ports": [{"port": 80, "protocol": "TCP"}],
                        "environmentVariables": [
                            {"name": "A", "value": "b"},
                            {"name": "B", "secureValue": "c"},
                        ],
                        "resources": {"requests": {"cpu": 0.1, "memoryInGB": 0.1}},
                        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                        "livenessProbe": {
                            "exec": {"command": ["true"]},
                            "periodSeconds": 5,
                        },
                    },
                }
            ],
            "initContainers": [{"name": "i", "properties": {"image": image, "command": ["true"]}}],
            "ipAddress": {
                "type": "Public",
                "ports": [{"port": 80, "protocol": "TCP"}],
                "dnsNameLabel": "fuzz-label",
            },
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }


BODIES = [
    _group("IMAGE"),
    {"location": "westus", "tags": {"a": "b"}},
    {"command": "/bin/sh", "terminalSize": {"rows": 24, "cols": 80}},
    {"tags": {"x": "y"}},
    {"fault": "throttle", "retry_after": 1, "times": 1, "match": {"method": "GET"}},
    {"fault": "slow", "seconds": 0.01, "times": 1},
    {"action": "advance", "seconds": 5},
    {"action": "freeze"},
    {"action": "resume"},
]


ONE = ACI + "/containerGroups/{n}"
SENSIBLE: list[tuple[str, str, Any]] = [
    *[("PUT", ONE, BODIES[0])] * 8,
    *[("PUT", RG, BODIES[1])] * 4,
    *[("GET", ONE, None)] * 3,
    *[("DELETE", ONE, None)] * 2,
    *[("POST", f"{ONE}/{verb}", None) for verb in ("start", "stop", "restart")],
    ("PATCH", ONE, BODIES[3]),
    ("GET", ONE + "/containers/{c}/logs", None),
    ("POST", ONE + "/containers/{c}/exec", BODIES[2]),
    ("POST", ONE + "/containers/{c}/attach", None),
    ("DELETE", RG, None),
    *[("POST", "/_aciflow/faults", body) for body in BODIES[4:6]],
    *[("POST", "/_aciflow/clock", body) for body in BODIES[6:]],
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from _places(inner, (*path, key))


def _spoilt(draw: st.DrawFn, body: Any) -> Any:
    """With something else, or nothing, in up to three places."""
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(body))
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        inner = body
        for key in way:
            inner = inner[key]
        if draw(st.booleans()):
            inner[last] = draw(JSON)
        elif isinstance(inner, dict):
            del inner[last]
    return body


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A good one, one that is spoilt, any JSON, or bytes."""
    kind = draw(st.sampled_from(["good", "spoilt", "spoilt", "json", "bytes", "deep"]))
    if kind == "bytes":
        return draw(st.binary(max_size=40))
    if kind == "deep":
        return b'{"properties":' + b"[" * draw(st.sampled_from([50, 100_000]))
    if kind == "json":
        return json.dumps(draw(JSON)).encode()
    body = draw(st.sampled_from(BODIES))
    return json.dumps(_spoilt(draw, body) if kind == "spoilt" else body).encode()


Wire = tuple[str, str, dict[str, str], bytes]


@st.composite
def sensible(draw: st.DrawFn) -> Wire:
    """What a client would send; the body spoilt in every second."""
    method, path, body = draw(st.sampled_from(SENSIBLE))
    name = draw(st.sampled_from(["web", "web", "db"]))
    version = "2023-05-01" if "ContainerInstance" in path else "2021-04-01"
    filled = path.replace("{n}", name).replace("{c}", "c").replace("{rg}", "rg")
    if body is not None and draw(st.booleans()):
        body = _spoilt(draw, body)
    raw = b"" if body is None else json.dumps(body).encode()
    # Hypothesis gives nothing twice; a client does, and it matters what was there before.
    again = str(draw(st.integers(0, 2**30)))
    return method, filled, {"api-version": version, "again": again}, raw


@st.composite
def senseless(draw: st.DrawFn) -> Wire:
    """Any method anywhere, with anything."""
    path = draw(st.sampled_from(PATHS))
    query = {"api-version": draw(VERSIONS)}
    if draw(st.booleans()):
        key = draw(st.sampled_from(["tail", "timestamps", "$filter", "$top", "id", "seed"]))
        values = ["1", "-1", "true", "x" * 50, "", "9" * 30, "name eq 'x'", "²"]
        query[key] = draw(st.sampled_from(values))
    if draw(st.sampled_from([False] * 9 + [True])):
        del query["api-version"]
    filled = path.replace("{n}", draw(NAMES)).replace("{c}", draw(NAMES))
    filled = filled.replace("{rg}", draw(st.sampled_from(["rg", "rg"]) | NAMES))
    return draw(METHODS), filled, query, draw(bodies())


class _Target:
    """One endpoint; counts what it answered."""

    def __init__(self, azure: LocalAzure, image: str) -> None:
        self.azure = azure
        self.image = image
        self.statuses: dict[int, int] = {}

    def ask(self, method: str, path: str, query: dict[str, str], body: bytes) -> Reply:
        reply = self.azure.handle(
            Request(
                method=method,
                path=path.replace("{s}", self.azure.subscription_id),
                query=query,
                headers={"authorization": f"Bearer {self.azure.credential().get_token().token}"},
                body=body.replace(b"IMAGE", self.image.encode()),
            )
        )
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        json.dumps(reply.body)
        return reply


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(7200 if FULL else 300)
def test_any_request_is_answered_and_nothing_is_left(engine: Engine, web_image: str) -> None:
    """Every route, with bodies that are good, spoilt or none, on real containers."""
    azure = LocalAzure()
    with azure:
        endpoint = getattr(azure.runtime, "endpoint_id", "")
        target = _Target(azure, web_image)
        home = f"/subscriptions/{azure.subscription_id}/resourceGroups/rg"
        target.ask("PUT", home, {"api-version": "2021-04-01"}, b'{"location": "westus"}')

        @settings(
            max_examples=REQUESTS,
            deadline=None,
            database=None,
            derandomize=not FULL,
            suppress_health_check=list(HealthCheck),
        )
        @given(sensible() | senseless())
        def fuzz(request: Wire) -> None:
            began = time.monotonic()
            reply = target.ask(*request)
            assert 200 <= reply.status < 500 or reply.status == 501, (request, reply.body)
            if reply.status >= 400 and reply.body is not None:
                error = reply.body["error"]
                assert error["code"], request
                assert isinstance(error["message"], str), request
            assert time.monotonic() - began < LIMIT, request
            azure.faults.clear()
            azure.clock.resume()

        fuzz()
        assert target.statuses.get(201, 0) > REQUESTS // 100, target.statuses  # it did something
    assert engine.labelled(f"aciflow.endpoint={endpoint}") == {}


# --- the port itself --------------------------------------------------------------------------

LINES = st.sampled_from(
    [
        *(b"GET / HTTP/1.1", b"GET /%ff%00 HTTP/1.1", b"PUT http://x/ HTTP/1.1", b"PRI * HTTP/2.0"),
        *(b"Host: localhost", b"Host: \xff\xfe", b"Host:", b"Content-Length: -1"),
        *(
            b"Content-Length: 99999999999999999999",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
        ),
        *(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        *(
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Key: x",
            b"Authorization: Bearer",
        ),
        *(b"Authorization: Bearer " + b"x" * 5000, b"X: " + b"y" * 100_000, b"\x00\x01", b": :"),
        *(b"GET /execstream/sessionId/x?rows=24 HTTP/1.1", b"GET /logstream/sessionId/ HTTP/1.1"),
        *(b"POST /tenant/oauth2/v2.0/token HTTP/1.1", b"GET /metadata/endpoints HTTP/1.1"),
    ]
)
GARBLED = st.one_of(
    st.binary(max_size=200),
    st.lists(LINES, min_size=1, max_size=8).map(lambda lines: b"\r\n".join(lines) + b"\r\n\r\n"),
    st.lists(LINES, min_size=1, max_size=8).map(b"\r\n".join),
)


def _send(served: Served, data: bytes, *, tls: bool) -> bytes:
    """What comes back until the other side has had enough, or a little while has passed."""
    host, _, port = served.url.removeprefix("https://").rpartition(":")
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(
            socket.create_connection((host.strip("[]"), int(port)), timeout=10)
        )
        one: socket.socket = plain
        if tls:
            context = ssl.create_default_context(cafile=str(served.ca_file))
            one = stack.enter_context(context.wrap_socket(plain, server_hostname=host))
        with contextlib.suppress(OSError):
            one.sendall(data)
            one.settimeout(0.05)
            return one.recv(65536)
    return b""


def test_garbage_at_the_port_ends_nothing() -> None:
    """With TLS and without: no 500, and the next client is served."""
    with LocalAzure("simulated", traces=[TRACE]) as azure, azure.serve() as served:

        @settings(
            max_examples=GARBAGE,
            deadline=None,
            database=None,
            derandomize=not FULL,
            suppress_health_check=list(HealthCheck),
        )
        @given(GARBLED, st.sampled_from([True, True, False]))
        def fuzz(data: bytes, tls: bool) -> None:
            reply = _send(served, data, tls=tls)
            status = reply.split(b" ", 2)[1:2]
            assert status == [] or not status[0].startswith(b"500"), (data, reply)

        fuzz()
        asked = (
            b"GET /metadata/endpoints?api-version=2022-09-01 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        deadline = time.monotonic() + 20
        while not (reply := _send(served, asked, tls=True)).startswith(b"HTTP/1.1 200"):
            assert time.monotonic() < deadline, reply
