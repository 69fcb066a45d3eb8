"""
A plain ARM session that remembers its traffic.

Not aciflow's gateway: what is verified is the service, so nothing may be retried, polled or read by
anything between it and the record.
"""

from __future__ import annotations

import json
import ssl
import time

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from aciflow.arm.credentials import source_of
from aciflow.arm.network import ssl_context, sync_client
from aciflow.errors import AciflowError, EndpointUnreachableError
from aciflow.verify.exchange import HEADERS, Exchange


if TYPE_CHECKING:
    from aciflow.arm.settings import ArmSettings


__all__ = ["VERSION", "Arm"]

VERSION = "2023-05-01"
"""Of Microsoft.ContainerInstance: what the stable SDK speaks."""

RESOURCES = "2021-04-01"
"""Of Microsoft.Resources."""

_PATIENCE = 3
"""How often a throttled request is sent again, after the time that the service asks for."""

_LONGEST = 120.0
"""Seconds of a ``Retry-After`` that are waited for."""


class Arm:
    """
    One principal at one endpoint.

    Args:
        settings: As of aciflow's own gateway.
    """

    def __init__(self, settings: ArmSettings) -> None:
        self._settings = settings
        self._source = source_of(settings.credential)
        self._http = sync_client(settings)
        self.exchanges: list[Exchange] = []
        self.secrets: set[str] = set()
        self.scenario = ""

    @property
    def subscription(self) -> str:
        """The path of the subscription."""
        return f"/subscriptions/{self._settings.subscription_id}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        step: str,
        version: str = VERSION,
        query: Mapping[str, str] | None = None,
    ) -> Exchange:
        """
        Send one request and remember it; again only where it was throttled.

        Args:
            method: Upper case.
            path: From ``/subscriptions/`` on, or an absolute URL that this endpoint has given.
            body: JSON.
            step: What it is for.
            version: The ``api-version``, unless the URL has one.
            query: Other parameters.

        Raises:
            EndpointUnreachableError: No reply came.
            CredentialError: There is no token.
        """
        seen = self._once(method, path, body, step, version, query or {})
        for _ in range(_PATIENCE - 1):
            wait = seen.headers.get("retry-after", "")
            if seen.status != 429 or not wait.isdigit():
                break
            time.sleep(min(float(wait), _LONGEST))
            seen = self._once(method, path, body, step, version, query or {})
        return seen

    def poll(self, begun: Exchange, *, step: str, timeout: float, every: float = 1.0) -> Exchange:
        """
        Ask for an operation until it has ended.

        Args:
            begun: What began it, with ``Azure-AsyncOperation`` or ``Location``.
            step: What it is for.
            timeout: Seconds.
            every: Seconds between two questions.

        Raises:
            AciflowError: It has not ended in time.
        """
        replies = [begun]
        replies += self.follow(begun, step=step, timeout=timeout, every=every)
        return replies[-1]

    def follow(
        self, begun: Exchange, *, step: str, timeout: float, every: float = 1.0
    ) -> Iterator[Exchange]:
        """The replies of :meth:`poll`, one by one."""
        url = begun.headers.get("azure-asyncoperation") or begun.headers.get("location")
        if url is None:
            return
        deadline = time.monotonic() + timeout
        while True:
            seen = self.send("GET", url, step=step)
            yield seen
            status = seen.response.get("status") if isinstance(seen.response, dict) else None
            over = status in ("Succeeded", "Failed", "Canceled")
            if over or (status is None and seen.status != 202):
                return
            if time.monotonic() > deadline:
                raise AciflowError(f"{step}: not done after {timeout:.0f} s")
            time.sleep(every)

    @property
    def base_url(self) -> str:
        """Scheme and authority of the endpoint."""
        return self._settings.base_url

    def ssl_context(self) -> ssl.SSLContext:
        """Whom a WebSocket trusts: the same as ARM calls do."""
        verify = self._settings.verify
        if isinstance(verify, ssl.SSLContext):
            return verify
        if isinstance(verify, str):
            return ssl.create_default_context(cafile=verify)
        return ssl_context()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- inside ----------------------------------------------------------------------------

    def _once(
        self,
        method: str,
        path: str,
        body: Any,
        step: str,
        version: str,
        query: Mapping[str, str],
    ) -> Exchange:
        import httpx

        url = self._url(path)
        parameters = dict(query)
        if "api-version=" not in urlsplit(url).query:
            parameters["api-version"] = version
        token = self._source.get_token(*self._settings.credential_scopes).token
        self.secrets.add(token)
        content = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        if content is not None:
            headers["content-type"] = "application/json"
        full = httpx.URL(url)
        full = full.copy_merge_params(parameters) if parameters else full
        sent, began = time.time(), time.monotonic()
        try:
            reply = self._http.request(method, full, content=content, headers=headers, timeout=180)
        except httpx.HTTPError as error:  # it holds the request, and so the token
            raise EndpointUnreachableError(
                f"{step}: no reply from {full.host}: {type(error).__name__}"
            ) from None
        seen = Exchange(
            scenario=self.scenario,
            step=step,
            method=method,
            path=unquote(full.path),
            query=full.query.decode(),
            request=body,
            status=reply.status_code,
            headers={name: reply.headers[name] for name in HEADERS if name in reply.headers},
            response=_json(reply.text),
            sent=sent,
            seconds=time.monotonic() - began,
        )
        self.exchanges.append(seen)
        return seen

    def _url(self, path: str) -> str:
        base = self._settings.base_url
        if path.startswith("/"):
            return base + path
        # A token goes to the endpoint alone, whatever a reply names.
        if urlsplit(path).netloc.lower() != urlsplit(base).netloc.lower():
            raise AciflowError(f"a reply names a URL on another host: {urlsplit(path).netloc}")
        return path


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
