"""httpx under azure-core: both generations of requests and responses, and the SDKs' own pollers."""

from __future__ import annotations

import asyncio
import ssl

from typing import Any

import httpx
import pytest

from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import HttpRequest as LegacyRequest
from azure.core.rest import HttpRequest
from azure.mgmt.containerinstance import ContainerInstanceManagementClient
from azure.mgmt.containerinstance.aio import (
    ContainerInstanceManagementClient as AsyncContainerInstanceManagementClient,
)
from tests.arm.conftest import SUBSCRIPTION, Credential
from tests.arm.server import ArmServer, Asked, Said

from aciflow.arm.transport import AsyncHttpxTransport, HttpxTransport


LATIN = {"Content-Type": "application/json; charset=iso-8859-1", "X-Odd": "Kept"}


def an_answer(_: Asked) -> Said:
    """JSON in Latin-1."""
    return Said(200, '{"a": "ü"}'.encode("latin-1"), LATIN)


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_what_azure_core_promises(
    stream: bool, server: ArmServer, trusting: ssl.SSLContext
) -> None:
    """All of azure.core.rest's response, read or streamed."""
    server.answer = an_answer
    transport = HttpxTransport(httpx.Client(verify=trusting))
    pipeline: PipelineClient[Any, Any] = PipelineClient(
        server.url, transport=transport, policies=[]
    )
    with pipeline as client:
        request = HttpRequest("PUT", f"{server.url}/x?y=1", json={"b": 1})
        with client.send_request(request, stream=stream) as response:
            assert {"a": "ü"} == response.json()
            assert '{"a": "ü"}' == response.text()
            assert b'{"a": "\xfc"}' == response.read() == response.content
            assert response.content == getattr(response, "body")()  # noqa: B009
            assert [b'{"a": "\xfc"}'] == list(response.iter_bytes()) == list(response.iter_raw())
            assert (200, "OK", "Kept") == (
                response.status_code,
                response.reason,
                response.headers["x-odd"],
            )
            assert LATIN["Content-Type"] == response.content_type
            assert request is response.request
            assert request.url == response.url
            assert response.is_closed
            assert response.is_stream_consumed
            assert "iso-8859-1" == response.encoding
            response.encoding = "cp1252"
            assert "cp1252" == response.encoding
            assert '{"a": "Ã¼"}' != response.text("latin-1")
            assert "200" in repr(response)
            response.raise_for_status()
            response.close()

    assert b'{"b": 1}' == server.asked[0].body
    assert "application/json" == server.asked[0].headers["content-type"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_async_response_is_what_azure_core_promises(
    stream: bool, server: ArmServer, trusting: ssl.SSLContext
) -> None:
    """The same, awaited."""
    server.answer = an_answer

    async def main() -> None:
        transport = AsyncHttpxTransport(httpx.AsyncClient(verify=trusting))
        pipeline: AsyncPipelineClient[Any, Any] = AsyncPipelineClient(
            server.url, transport=transport, policies=[]
        )
        async with pipeline as client:
            request = HttpRequest("GET", f"{server.url}/x")
            response = await client.send_request(request, stream=stream)
            async with response:
                assert {"a": "ü"} == response.json()
                assert b'{"a": "\xfc"}' == await response.read()
                assert [b'{"a": "\xfc"}'] == [part async for part in response.iter_bytes()]
                assert [b'{"a": "\xfc"}'] == [part async for part in response.iter_raw()]
            await response.close()

    asyncio.run(main())


def test_an_error_response_raises_when_asked(server: ArmServer, trusting: ssl.SSLContext) -> None:
    """raise_for_status() is azure-core's error with the response in it."""
    server.answer = lambda _: Said(404, {"error": {"code": "Gone", "message": "No."}})
    transport = HttpxTransport(httpx.Client(verify=trusting))
    pipeline: PipelineClient[Any, Any] = PipelineClient(
        server.url, transport=transport, policies=[]
    )
    with pipeline as client:
        response = client.send_request(HttpRequest("GET", server.url))
        with pytest.raises(HttpResponseError, match="Gone") as caught:
            response.raise_for_status()

    assert 404 == caught.value.status_code


def test_the_older_generation_gets_its_own_response(
    server: ArmServer, trusting: ssl.SSLContext
) -> None:
    """A legacy request is answered by a legacy response, sync and async."""
    server.answer = lambda _: Said(
        201, b'\xef\xbb\xbf{"a": 1}', {"Content-Type": "application/json"}
    )
    request = LegacyRequest("PUT", f"{server.url}/x", headers={"X-A": "1"})
    request.set_bytes_body(b"bytes")

    with HttpxTransport(httpx.Client(verify=trusting)) as transport:
        transport.open()
        response = transport.send(request)

    async def main() -> Any:
        async with AsyncHttpxTransport(httpx.AsyncClient(verify=trusting)) as transport:
            await transport.open()
            return await transport.send(request)

    for one in (response, asyncio.run(main())):
        assert b'\xef\xbb\xbf{"a": 1}' == one.body()
        assert '{"a": 1}' == one.text()
        assert (201, "application/json") == (one.status_code, one.content_type)
        assert request is one.request
    assert [b"bytes", b"bytes"] == [asked.body for asked in server.asked]
    assert "1" == server.asked[0].headers["x-a"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("refused"), ServiceRequestError),
        (httpx.ConnectTimeout("slow"), ServiceRequestError),
        (httpx.PoolTimeout("full"), ServiceRequestError),
        (httpx.ProxyError("407"), ServiceRequestError),
        (httpx.ReadTimeout("slow"), ServiceResponseError),
        (httpx.WriteTimeout("slow"), ServiceResponseError),
        (httpx.ReadError(""), ServiceResponseError),
        (httpx.RemoteProtocolError("broken"), ServiceResponseError),
        (httpx.DecodingError("gzip"), ServiceResponseError),
    ],
)
def test_a_failure_says_whether_the_request_was_sent(
    error: httpx.HTTPError, kind: type[Exception]
) -> None:
    """What surely did not arrive is a request error; what may have, a response error."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    wire = httpx.MockTransport(fail)
    request = HttpRequest("GET", "https://arm.example/")

    async def main() -> None:
        async with AsyncHttpxTransport(httpx.AsyncClient(transport=wire)) as transport:
            await transport.send(request)

    with HttpxTransport(httpx.Client(transport=wire)) as transport, pytest.raises(kind):
        transport.send(request)
    with pytest.raises(kind):
        asyncio.run(main())


# --- the SDKs' own pollers, as their users run them -------------------------------------------

GROUP = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerInstance/containerGroups/web"
)


BODY: Any = b"{}"  # the SDKs take bytes; the stubs of 10.1.0 do not say so


class Creation:
    """A container group whose operation succeeds at the third look, as recorded: no Retry-After."""

    def __init__(self, server: ArmServer) -> None:
        self.looks = 0
        self.url = f"{server.url}/subscriptions/s/providers/x/operations/1?api-version=2018-06-01"

    def __call__(self, asked: Asked) -> Said:
        if asked.method == "PUT":
            body = {"id": GROUP, "properties": {"provisioningState": "Pending"}}
            return Said(201, body, {"Azure-AsyncOperation": self.url})
        if "/operations/" in asked.path:
            self.looks += 1
            return Said(200, {"status": "Succeeded" if self.looks == 3 else "Pending"})
        return Said(
            200, {"id": GROUP, "name": "web", "properties": {"provisioningState": "Succeeded"}}
        )


def test_the_sdk_s_own_poller_runs_on_it(server: ArmServer, trusting: ssl.SSLContext) -> None:
    """An unmodified SDK client polls to the end over this transport, sleeping as it is told."""
    server.answer = Creation(server)
    slept: list[float] = []
    transport = HttpxTransport(httpx.Client(verify=trusting), sleep=slept.append)
    credential: Any = Credential()
    client = ContainerInstanceManagementClient(
        credential, SUBSCRIPTION, base_url=server.url, transport=transport
    )
    with client:
        poller = client.container_groups.begin_create_or_update(
            "rg", "web", BODY, content_type="application/json"
        )
        group: Any = poller.result(timeout=10)

    assert "web" == group.name
    assert [30, 30] == slept


def test_the_sdk_s_own_async_poller_runs_on_it(server: ArmServer, trusting: ssl.SSLContext) -> None:
    """The same, awaited."""
    server.answer = Creation(server)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    class Awaited(Credential):
        async def get_token(self, *scopes: str, **kwargs: Any) -> Any:  # type: ignore[override]
            return super().get_token(*scopes, **kwargs)

    async def main() -> Any:
        transport = AsyncHttpxTransport(httpx.AsyncClient(verify=trusting), sleep=sleep)
        credential: Any = Awaited()
        client = AsyncContainerInstanceManagementClient(
            credential, SUBSCRIPTION, base_url=server.url, transport=transport
        )
        async with client:
            poller = await client.container_groups.begin_create_or_update(
                "rg", "web", BODY, content_type="application/json"
            )
            return await poller.result()

    assert "web" == asyncio.run(main()).name
    assert [30, 30] == slept
