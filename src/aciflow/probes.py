"""Probing a container from here: TCP and HTTP, from a thread or on a loop."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading

from typing import TYPE_CHECKING, Any

from aciflow.flow.effects import HttpProbe, ProbeResult, TcpProbe


if TYPE_CHECKING:
    import httpx


__all__ = ["AsyncNetworkProber", "NetworkProber", "ThreadedProber"]

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_OK = ProbeResult(ready=True, reason="ok")


class NetworkProber:
    """Probes from threads."""

    def __init__(self) -> None:
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()

    def probe(self, probe: TcpProbe | HttpProbe, /) -> ProbeResult:
        """One attempt; never raises for what a network does."""
        if isinstance(probe, HttpProbe):
            return self._get(probe)
        where = f"{probe.host}:{probe.port}"
        try:
            with socket.create_connection((probe.host, probe.port), timeout=probe.timeout) as sock:
                sock.settimeout(probe.hold)
                try:
                    return _OK if sock.recv(1) else _closed(where)
                except TimeoutError:
                    return _OK  # it stayed open
                except ConnectionError:
                    return _closed(where)
        except OSError as error:
            return _failed(where, error, probe.timeout)

    def _get(self, probe: HttpProbe) -> ProbeResult:
        import httpx  # only where a launch waits for HTTP

        with self._lock:
            if self._http is None:
                self._http = httpx.Client(**_plain())
        try:
            with self._http.stream("GET", _url(probe), timeout=probe.timeout) as reply:
                return _status(probe, reply.status_code)
        except httpx.HTTPError as error:
            return _http_failed(probe, error)

    def close(self) -> None:
        """Close idle connections."""
        if self._http is not None:
            self._http.close()
            self._http = None


class AsyncNetworkProber:
    """Probes on an asyncio loop."""

    def __init__(self) -> None:
        self._http: httpx.AsyncClient | None = None

    async def probe(self, probe: TcpProbe | HttpProbe, /) -> ProbeResult:
        """One attempt; never raises for what a network does."""
        if isinstance(probe, HttpProbe):
            return await self._get(probe)
        where = f"{probe.host}:{probe.port}"
        try:
            async with asyncio.timeout(probe.timeout):
                reader, writer = await asyncio.open_connection(probe.host, probe.port)
        except OSError as error:
            return _failed(where, error, probe.timeout)
        try:
            async with asyncio.timeout(probe.hold):
                return _OK if await reader.read(1) else _closed(where)
        except TimeoutError:
            return _OK  # it stayed open
        except ConnectionError:
            return _closed(where)
        finally:
            writer.close()

    async def _get(self, probe: HttpProbe) -> ProbeResult:
        import httpx  # only where a launch waits for HTTP

        if self._http is None:
            self._http = httpx.AsyncClient(**_plain())
        try:
            async with self._http.stream("GET", _url(probe), timeout=probe.timeout) as reply:
                return _status(probe, reply.status_code)
        except httpx.HTTPError as error:
            return _http_failed(probe, error)

    async def close(self) -> None:
        """Close idle connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None


class ThreadedProber:
    """A prober that is not a network's (a simulated endpoint's), for a loop."""

    def __init__(self, prober: Any) -> None:
        self._prober = prober

    async def probe(self, probe: TcpProbe | HttpProbe, /) -> ProbeResult:
        """One attempt."""
        result: ProbeResult = await asyncio.to_thread(self._prober.probe, probe)
        return result

    async def close(self) -> None:
        """Nothing to close."""


def _plain() -> dict[str, Any]:
    """Plain HTTP from here, each attempt on a connection of its own: another one proves nothing."""
    import httpx

    return {
        "verify": False,
        "trust_env": False,
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=0),
    }


def _url(probe: HttpProbe) -> str:
    return f"http://{probe.host}:{probe.port}{probe.path}"


def _closed(where: str) -> ProbeResult:
    return ProbeResult(
        ready=False,
        reason="closed",
        detail=f"{where} accepted and closed: nothing serves behind it",
    )


def _failed(where: str, error: OSError, timeout: float) -> ProbeResult:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return ProbeResult(
            ready=False, reason="timeout", detail=f"{where} did not answer within {timeout:g} s"
        )
    if error.errno in _NO_ROUTE:
        return ProbeResult(
            ready=False, reason="unroutable", detail=f"no route to {where} ({error.strerror})"
        )
    return ProbeResult(
        ready=False,
        reason="refused",
        detail=f"{where} refused the connection: nothing listens there",
    )


def _status(probe: HttpProbe, status: int) -> ProbeResult:
    if status in probe.status:
        return _OK
    return ProbeResult(ready=False, reason="status", detail=f"GET {_url(probe)} answered {status}")


def _http_failed(probe: HttpProbe, error: Exception) -> ProbeResult:
    import httpx

    where = f"{probe.host}:{probe.port}"
    if isinstance(error, httpx.TimeoutException):
        return _failed(where, TimeoutError(), probe.timeout)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return _failed(where, cause, probe.timeout)
        cause = cause.__cause__ or cause.__context__
    return _closed(where)
