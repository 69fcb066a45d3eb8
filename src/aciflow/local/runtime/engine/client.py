"""
Requests to the Docker Engine API, over a Unix socket or TCP.

One pooled client for all threads. Versions are negotiated: Debian's engine speaks 1.41, and newer ones
refuse that.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from attrs import frozen

from aciflow.local.runtime.engine.address import EngineAddress


__all__ = ["EngineClient", "EngineError", "EngineVersion", "Interrupt", "Stream", "tls_context"]

_NEWEST = (1, 45)
"""The newest version of the API whose changes were looked at."""


class EngineError(Exception):
    """
    The engine refused, or did not answer.

    Attributes:
        status: HTTP status, 0 where there was no answer.
        message: The engine's own words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@frozen(kw_only=True)
class EngineVersion:
    """What an engine is: version of its API, operating system, architecture (Go's names)."""

    api: str
    os: str
    arch: str
    name: str
    podman: bool = False


class Stream:
    """Lines of JSON, sent as things happen; ``close`` wakes a thread that waits for the next."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[dict[str, Any]]:
        try:
            for line in self._response.iter_lines():
                if line.strip():
                    yield json.loads(line)
        except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
            raise EngineError(0, f"the engine's stream broke off: {error}") from error

    def close(self) -> None:
        """End it, from any thread. Closing alone would not wake a ``recv`` in another thread."""
        network = self._response.extensions.get("network_stream")
        raw = network.get_extra_info("socket") if network is not None else None
        if isinstance(raw, socket.socket):
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)


class Interrupt:
    """Ends a request from another thread, also before the engine has answered anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Given to httpx: learns of the connection when it is made."""
        if event.endswith(
            ("connect_unix_socket.complete", "connect_tcp.complete", "start_tls.complete")
        ):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if self._closed:
                self.close()

    def close(self) -> None:
        """End the request, or let it end as soon as it begins."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class EngineClient:
    """
    Requests to one engine, at the negotiated version. Thread-safe.

    Args:
        address: Where it listens.
        timeout: Seconds without a byte after which a request fails, unless it says otherwise.
    """

    def __init__(self, address: EngineAddress, timeout: float = 60.0) -> None:
        self.address = address
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=32, keepalive_expiry=60.0
        )
        base_url = "http://engine"
        if not address.socket_path:
            base_url = address.url.replace("tcp://", "http://", 1)
        verify = tls_context(address) if base_url.startswith("https://") else False
        # No proxies from the environment, and no CA bundle where there is no TLS: loading one is slow.
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=address.socket_path, verify=verify, limits=limits),
            base_url=base_url,
            timeout=httpx.Timeout(timeout, connect=5.0),
            trust_env=False,
        )
        self._version: EngineVersion | None = None
        self._info: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # --- what it is -----------------------------------------------------------------------

    @property
    def version(self) -> EngineVersion:
        """Asked for once."""
        if self._version is None:
            with self._lock:
                if self._version is None:
                    self._version = _read_version(self._send("GET", "/version").json())
        return self._version

    def info(self) -> dict[str, Any]:
        """What ``/info`` says of the machine, asked for once."""
        found = self._info
        if found is None:
            found = self._info = dict(self.request("GET", "/info").json())
        return found

    # --- how ------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        body: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """
        One request at the negotiated version.

        Raises:
            EngineError: The engine refused, or did not answer.
        """
        return self._send(
            method,
            f"/v{self.version.api}{path}",
            params=params,
            body=body,
            content=content,
            headers=headers,
            timeout=timeout,
        )

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> Iterator[Stream]:
        """Lines of JSON as they come; ``timeout`` is how long the engine may be silent, in seconds."""
        with self._open(
            method, path, params=params, headers=headers, timeout=timeout, extensions=extensions
        ) as response:
            yield Stream(response)

    @contextlib.contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> Iterator[httpx.Response]:
        request = self._http.build_request(
            method,
            f"/v{self.version.api}{path}",
            params=params,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=5.0),
            extensions=dict(extensions or {}),
        )
        try:
            response = self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _unreachable(self.address, error) from error
        try:
            if response.is_error:
                response.read()
                raise _refusal(response)
            yield response
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        body: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        if body is not None:
            content = json.dumps(body, separators=(",", ":")).encode()
        sent = dict(headers or {})
        if content is not None:
            sent["content-type"] = "application/json" if body is not None else "application/x-tar"
        try:
            response = self._http.request(
                method,
                path,
                params=params,
                content=content,
                headers=sent,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            )
        except httpx.HTTPError as error:
            raise _unreachable(self.address, error) from error
        if response.is_error:
            raise _refusal(response)
        return response

    def _inspect(self, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.request("GET", path).json()
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        return found

    def _remove(self, path: str, params: Mapping[str, str]) -> None:
        try:
            self.request("DELETE", path, params=params)
        except EngineError as error:
            # 409: somebody else is removing it just now.
            if error.status == 404 or (error.status == 409 and "in progress" in error.message):
                return
            raise


def tls_context(address: EngineAddress) -> ssl.SSLContext:
    """What a connection to an engine over TLS trusts and shows; checks nothing without certificates."""
    if not address.certificates:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    home = Path(address.certificates)
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))
    context.load_cert_chain(str(home / "cert.pem"), str(home / "key.pem"))
    return context


def _read_version(body: Mapping[str, Any]) -> EngineVersion:
    theirs = _number(str(body.get("ApiVersion", "1.41")))
    oldest = _number(str(body.get("MinAPIVersion") or "1.12"))
    api = max(min(theirs, _NEWEST), oldest)
    components = [str(part.get("Name", "")) for part in body.get("Components") or ()]
    return EngineVersion(
        api=f"{api[0]}.{api[1]}",
        os=str(body.get("Os", "linux")),
        arch=str(body.get("Arch", "amd64")),
        name=f"{components[0] if components else 'Engine'} {body.get('Version', '')}".strip(),
        podman=any("podman" in name.lower() for name in components),
    )


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor.partition(".")[0] or 0)


def _refusal(response: httpx.Response) -> EngineError:
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = response.text.strip() or f"HTTP {response.status_code}"
    return EngineError(response.status_code, message)


def _unreachable(address: EngineAddress, error: Exception) -> EngineError:
    return EngineError(0, f"the container engine at {address.url} does not answer: {error}")
