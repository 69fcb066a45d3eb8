"""
httpx under azure-core.

azure-core has two generations of requests: ``azure.core.rest`` and the older one, which some generated
clients (containerinstance 10.1.0) still convert to and then expect the older response class back.
Both pass here. ARM's replies are small JSON documents, so each is read whole, whatever ``stream``
says, and a response is only a view of its httpx response.
"""

from __future__ import annotations

import asyncio
import json
import time

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Self

import httpx

from azure.core import rest
from azure.core.exceptions import (
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline import transport as legacy


__all__ = ["AsyncHttpxTransport", "HttpxTransport"]

#: Seconds to get a connection: that an endpoint is down shall be known long before a reply is due.
CONNECT_TIMEOUT = 10.0
#: Seconds between two reads where the caller gave none.
READ_TIMEOUT = 60.0


class _View:
    """What both generations and both colours of responses have in common."""

    internal_response: httpx.Response

    def __init__(self, request: Any, response: httpx.Response) -> None:
        self._request = request
        self.internal_response = response
        self._encoding: str | None = None

    @property
    def request(self) -> Any:
        return self._request

    @property
    def url(self) -> str:
        return str(self._request.url)

    @property
    def status_code(self) -> int:
        return self.internal_response.status_code

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self.internal_response.headers

    @property
    def reason(self) -> str:
        return self.internal_response.reason_phrase

    @property
    def content_type(self) -> str | None:
        found: str | None = self.internal_response.headers.get("content-type")
        return found

    @property
    def is_closed(self) -> bool:
        return True

    @property
    def is_stream_consumed(self) -> bool:
        return True

    @property
    def encoding(self) -> str | None:
        return self._encoding or self.internal_response.charset_encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def content(self) -> bytes:
        return self.internal_response.content

    def body(self) -> bytes:
        """The content, by its older name; azure-mgmt-resource 23 knows a response by having it."""
        return self.internal_response.content

    def text(self, encoding: str | None = None) -> str:
        chosen = encoding or self.encoding or "utf-8"
        # a byte order mark is not part of the text
        return self.content.decode("utf-8-sig" if chosen.lower() == "utf-8" else chosen)

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise HttpResponseError(response=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"


class _Response(_View, rest.HttpResponse):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        """It was read and closed before it came here."""

    def close(self) -> None:
        """It was read and closed before it came here."""

    def read(self) -> bytes:
        return self.content

    def iter_raw(self, **kwargs: Any) -> Iterator[bytes]:  # noqa: ARG002
        return iter((self.content,))

    def iter_bytes(self, **kwargs: Any) -> Iterator[bytes]:  # noqa: ARG002
        return iter((self.content,))

    def stream_download(self, pipeline: Any = None, **kwargs: Any) -> Iterator[bytes]:  # noqa: ARG002
        """What azure-mgmt-containerinstance 10.2.0b1 asks a response of either kind for."""
        return iter((self.content,))


class _AsyncResponse(_View, rest.AsyncHttpResponse):
    async def __aexit__(self, *args: object) -> None:
        """It was read and closed before it came here."""

    async def close(self) -> None:
        """It was read and closed before it came here."""

    async def read(self) -> bytes:
        return self.content

    async def iter_raw(self, **kwargs: Any) -> AsyncIterator[bytes]:  # noqa: ARG002
        yield self.content

    async def iter_bytes(self, **kwargs: Any) -> AsyncIterator[bytes]:  # noqa: ARG002
        yield self.content

    def stream_download(
        self,
        pipeline: Any = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> AsyncIterator[bytes]:
        """What azure-mgmt-containerinstance 10.2.0b1 asks a response of either kind for."""
        return self.iter_bytes(**kwargs)


class _LegacyResponse(legacy.HttpResponse):
    def __init__(self, request: Any, response: httpx.Response) -> None:
        super().__init__(request, response)
        _copy(self, response)

    def body(self) -> bytes:
        return bytes(self.internal_response.content)


class _AsyncLegacyResponse(legacy.AsyncHttpResponse):
    def __init__(self, request: Any, response: httpx.Response) -> None:
        super().__init__(request, response)
        _copy(self, response)

    def body(self) -> bytes:
        return bytes(self.internal_response.content)


def _copy(view: _LegacyResponse | _AsyncLegacyResponse, response: httpx.Response) -> None:
    view.status_code = response.status_code
    view.headers = response.headers
    view.reason = response.reason_phrase
    view.content_type = response.headers.get("content-type")


def _request(
    client: httpx.Client | httpx.AsyncClient, request: Any, options: dict[str, Any]
) -> httpx.Request:
    """The httpx request of either generation; azure-core's own timeouts are understood."""
    read = options.get("read_timeout", READ_TIMEOUT)
    connect = options.get("connection_timeout", min(read, CONNECT_TIMEOUT))
    return client.build_request(
        request.method,
        request.url,
        headers=list(request.headers.items()),
        content=request.content if isinstance(request, rest.HttpRequest) else request.data,
        timeout=httpx.Timeout(read, connect=connect),
    )


def _translate(error: httpx.HTTPError) -> Exception:
    """azure-core's error for an httpx one: not sent at all, or sent and nothing (whole) came back."""
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.LocalProtocolError):  # its text and its cause have the header
        return ServiceRequestError("the request cannot be sent as HTTP: a header is invalid")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return ServiceRequestTimeoutError(text, error=error)
    if isinstance(error, httpx.TimeoutException):
        return ServiceResponseTimeoutError(text, error=error)
    if isinstance(error, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol):
        return ServiceRequestError(text, error=error)
    return ServiceResponseError(text, error=error)


class HttpxTransport(legacy.HttpTransport[Any, Any]):
    """
    An azure-core transport over an :class:`httpx.Client`.

    Args:
        client: Sends the requests; closed with the transport.
        sleep: What azure-core's pollers and retries wait with; a simulation gives its own.

    Raises:
        ServiceRequestError: From :meth:`send`: there is no connection.
        ServiceResponseError: From :meth:`send`: there was one, and no reply.
    """

    def __init__(
        self, client: httpx.Client, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._sleep = sleep

    def open(self) -> None:
        """Nothing: httpx opens connections as it needs them."""

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def sleep(self, duration: float) -> None:
        """Wait ``duration`` seconds."""
        self._sleep(duration)

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request and read the whole reply."""
        try:
            response = self._client.send(_request(self._client, request, kwargs))
        except httpx.LocalProtocolError as error:
            raise _translate(error) from None
        except httpx.HTTPError as error:
            raise _translate(error) from error
        kind = _Response if isinstance(request, rest.HttpRequest) else _LegacyResponse
        return kind(request, response)


class AsyncHttpxTransport(legacy.AsyncHttpTransport[Any, Any]):
    """The same over an :class:`httpx.AsyncClient`, so that no aiohttp is needed."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._sleep = sleep

    async def open(self) -> None:
        """Nothing: httpx opens connections as it needs them."""

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.close()

    async def sleep(self, duration: float) -> None:
        """Wait ``duration`` seconds."""
        await self._sleep(duration)

    async def send(self, request: Any, **kwargs: Any) -> Any:
        """Send a request and read the whole reply."""
        try:
            response = await self._client.send(_request(self._client, request, kwargs))
        except httpx.LocalProtocolError as error:
            raise _translate(error) from None
        except httpx.HTTPError as error:
            raise _translate(error) from error
        kind = _AsyncResponse if isinstance(request, rest.HttpRequest) else _AsyncLegacyResponse
        return kind(request, response)
