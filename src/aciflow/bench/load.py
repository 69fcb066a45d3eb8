"""
The local endpoint under load, and how soon it is there.

* **polling**: simulated groups, and clients that read them over TLS, each on one connection, as fast as
  they are answered. The clients share one process with nothing else in it, so on few cores the figure is
  that of both together.
* **pauses**: one client, one request after the other. On a socket with Nagle's algorithm and delayed
  acknowledgements some of them would take 40 ms or more for nothing.
* **ready**: from starting a process to its first answer over TLS, ``aciflow local`` beside an empty
  uvicorn, in turns.
* **in process**: from ``LocalAzure(...)`` to the first answer, everything imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import time

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aciflow.bench.stats import median, percentile


__all__ = ["MOST_MS", "MOST_RATIO", "measure", "report"]

MOST_RATIO = 2.5
"""``aciflow local`` may take at most so many times as long as an empty uvicorn until it answers."""

MOST_MS = 5.0
"""In process, constructing and a first GET may take at most so many milliseconds."""

STALL = 0.040
"""Seconds of a delayed acknowledgement on Linux."""

_PATIENCE = 60.0
_VERSION = "2023-05-01"

_EMPTY = """
import sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})
uvicorn.run(app, port=int(sys.argv[1]), ssl_keyfile=sys.argv[2], ssl_certfile=sys.argv[3],
            log_level="critical", lifespan="off")
"""


def measure(
    seconds: float, *, groups: int = 200, clients: int = 50, rounds: int = 10, seed: int = 0
) -> dict[str, Any]:
    """
    Measure all four.

    Args:
        seconds: How long the clients poll.
        groups: Simulated container groups.
        clients: Connections.
        rounds: Of starting the two servers, and of starting in process.
        seed: Of the order.

    Returns:
        JSON: ``polling``, ``pauses``, ``ready`` and ``in_process``.

    Raises:
        MissingExtraError: There is no server to serve with.
    """
    with _served() as (process, environ):
        target = _Target(environ)
        names = asyncio.run(_fill(target, groups))
        before = _memory(process.pid)
        latencies, took = asyncio.run(_poll(target, names, clients, seconds))
        after = _memory(process.pid)
        single = asyncio.run(_one_by_one(target, names[0], 300))
    return {
        "benchmark": "load",
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "polling": {
            "groups": groups,
            "clients": clients,
            "seconds": took,
            "requests": len(latencies),
            "per_second": len(latencies) / took,
            "p50_ms": percentile(latencies, 50) * 1000,
            "p99_ms": percentile(latencies, 99) * 1000,
            "memory_before_mb": before,
            "memory_after_mb": after,
        },
        "pauses": {
            "requests": len(single),
            "p50_ms": percentile(single, 50) * 1000,
            "p99_ms": percentile(single, 99) * 1000,
            "stalled": sum(one >= STALL for one in single),
        },
        "ready": _ready(rounds, seed),
        "in_process": _in_process(rounds),
    }


def report(measured: dict[str, Any]) -> str:
    """The figures for people."""
    polling, pauses = measured["polling"], measured["pauses"]
    ready, inside = measured["ready"], measured["in_process"]
    return f"""\
Python {measured["python"]}, {measured["processors"]} processors, server and clients on the same machine

polling     {polling["clients"]} clients, {polling["groups"]} groups, {polling["seconds"]:.0f} s:\
 {polling["per_second"]:.0f} requests/s, p50 {polling["p50_ms"]:.1f} ms, p99 {polling["p99_ms"]:.1f} ms
memory      {polling["memory_before_mb"]:.0f} MB with the groups, {polling["memory_after_mb"]:.0f} MB\
 after {polling["requests"]} requests
pauses      one client, {pauses["requests"]} requests: p50 {pauses["p50_ms"]:.2f} ms,\
 p99 {pauses["p99_ms"]:.2f} ms, {pauses["stalled"]} of 40 ms or more
ready       aciflow local {ready["aciflow_s"] * 1000:.0f} ms, empty uvicorn\
 {ready["uvicorn_s"] * 1000:.0f} ms: {ready["ratio"]:.2f} times, at most {MOST_RATIO:g}:\
 {"met" if ready["met"] else "MISSED"}
in process  {inside["median_ms"]:.2f} ms to the first answer, at most {MOST_MS:g}:\
 {"met" if inside["met"] else "MISSED"}"""


# --- the server -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _served() -> Iterator[tuple[subprocess.Popen[str], Mapping[str, str]]]:
    command = [sys.executable, "-m", "aciflow", "local", "--runtime", "simulated", "--json"]
    # Its groups shall run when the polling begins.
    process = subprocess.Popen(
        [*command, "--speed", "200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process, _environ(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_PATIENCE)
        if process.stdout is not None:
            process.stdout.close()


def _environ(process: subprocess.Popen[str]) -> Mapping[str, str]:
    """What the command prints when it is ready: one JSON document."""
    text = ""
    while process.stdout is not None and (line := process.stdout.readline()):
        text += line
        with contextlib.suppress(ValueError):
            found: dict[str, Any] = json.loads(text)
            if "environ" in found:
                environ: Mapping[str, str] = found["environ"]
                return environ
    raise RuntimeError(f"aciflow local has ended before it was ready: {text.strip()}")


def _memory(pid: int) -> float:
    """Resident set in MB; not a number where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    return next(
        int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")
    )


# --- the clients ----------------------------------------------------------------------------------


class _Target:
    """Where requests go, and what they carry."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        import httpx

        parts = urlsplit(environ["ACIFLOW_TARGET"])
        self.host, self.port = parts.hostname or "localhost", parts.port or 443
        self.subscription = environ["AZURE_SUBSCRIPTION_ID"]
        self.context = ssl.create_default_context(cafile=environ["SSL_CERT_FILE"])
        with httpx.Client(verify=self.context, trust_env=False) as http:
            reply = http.post(
                f"{environ['ACIFLOW_TARGET']}/{environ['AZURE_TENANT_ID']}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": environ["AZURE_CLIENT_ID"],
                    "client_secret": environ["AZURE_CLIENT_SECRET"],
                    "scope": f"{environ['ACIFLOW_TARGET']}/.default",
                },
            ).raise_for_status()
        self._token = reply.json()["access_token"]

    def request(self, method: str, path: str, body: Any = None, version: str = _VERSION) -> bytes:
        """The bytes of one request."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /subscriptions/{self.subscription}{path}?api-version={version} HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


class _Connection:
    """HTTP/1.1 on one connection, with as little in the way as possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, target: _Target) -> _Connection:
        return cls(*await asyncio.open_connection(target.host, target.port, ssl=target.context))

    async def ask(self, request: bytes) -> int:
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        await self._reader.readexactly(length)
        return int(head.split(b" ", 2)[1])

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _path(name: str) -> str:
    return f"/resourceGroups/load/providers/Microsoft.ContainerInstance/containerGroups/{name}"


async def _fill(target: _Target, groups: int) -> list[str]:
    """Make the groups, no more than a region's quota in each."""
    regions = ("eastus", "westus", "westeurope", "northeurope")
    connection = await _Connection.open(target)
    try:
        await _expect(
            connection,
            target.request("PUT", "/resourceGroups/load", {"location": "eastus"}, "2021-04-01"),
        )
        names = [f"group-{number}" for number in range(groups)]
        for number, name in enumerate(names):
            body = {
                "location": regions[number // 100 % len(regions)],
                "properties": {
                    "osType": "Linux",
                    "containers": [
                        {
                            "name": "web",
                            "properties": {
                                "image": "nginx",
                                "ports": [{"port": 80}],
                                "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
                            },
                        }
                    ],
                    "ipAddress": {"type": "Public", "ports": [{"port": 80}]},
                },
            }
            await _expect(connection, target.request("PUT", _path(name), body))
    finally:
        await connection.close()
    return names


async def _expect(connection: _Connection, request: bytes) -> None:
    status = await connection.ask(request)
    if status not in (200, 201):
        raise RuntimeError(f"the endpoint has answered {status}")


async def _poll(
    target: _Target, names: list[str], clients: int, seconds: float
) -> tuple[list[float], float]:
    connections = [await _Connection.open(target) for _ in range(clients)]
    requests = [target.request("GET", _path(name)) for name in names]
    latencies: list[float] = []
    began = time.perf_counter()
    until = began + seconds

    async def work(number: int) -> None:
        turn = number
        while (sent := time.perf_counter()) < until:
            await _expect(connections[number], requests[turn % len(requests)])
            latencies.append(time.perf_counter() - sent)
            turn += clients

    await asyncio.gather(*(work(number) for number in range(clients)))
    took = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return latencies, took


async def _one_by_one(target: _Target, name: str, count: int) -> list[float]:
    connection = await _Connection.open(target)
    request = target.request("GET", _path(name))
    taken = []
    for _ in range(count):
        sent = time.perf_counter()
        await _expect(connection, request)
        taken.append(time.perf_counter() - sent)
    await connection.close()
    return taken


# --- starting -------------------------------------------------------------------------------------


def _ready(rounds: int, seed: int) -> dict[str, Any]:
    generator = random.Random(seed)
    samples: dict[str, list[float]] = {"aciflow_s": [], "uvicorn_s": []}
    with tempfile.TemporaryDirectory() as directory:
        certificate = _certificate(Path(directory))
        ways = {
            "aciflow_s": lambda port: [
                *(sys.executable, "-m", "aciflow", "local", "--runtime", "simulated"),
                *("--port", str(port)),
            ],
            "uvicorn_s": lambda port: [sys.executable, "-c", _EMPTY, str(port), *certificate],
        }
        for number in range(rounds + 1):
            order = list(ways)
            generator.shuffle(order)
            for way in order:
                taken = _until_answer(ways[way](_free_port()))
                if number:  # the first writes byte code
                    samples[way].append(taken)
    medians = {name: median(found) for name, found in samples.items()}
    ratio = median([ours / theirs for ours, theirs in zip(*samples.values(), strict=True)])
    return {**medians, "ratio": ratio, "met": ratio <= MOST_RATIO, "samples": samples}


def _certificate(directory: Path) -> tuple[str, str]:
    """A key and a certificate, as simple as they can be."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = directory / "key.pem", directory / "certificate.pem"
    paths[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return str(paths[0]), str(paths[1])


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _until_answer(command: list[str]) -> float:
    """Seconds from starting a server to its first answer, whatever it says."""
    port = int(next(word for word in command if word.isdigit()))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # whoever answers
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return _first_answer(port, context, process) - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=_PATIENCE)


def _first_answer(port: int, context: ssl.SSLContext, process: subprocess.Popen[bytes]) -> float:
    import socket

    until = time.perf_counter() + _PATIENCE
    while time.perf_counter() < until and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if secure.recv(1):
                return time.perf_counter()
        time.sleep(0.002)
    raise RuntimeError("the server has not answered")


def _in_process(rounds: int) -> dict[str, Any]:
    import httpx

    from aciflow.local import LocalAzure

    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        with LocalAzure("simulated") as local:
            token = local.credential().get_token().token
            with httpx.Client(transport=local.transport(), trust_env=False) as http:
                http.get(
                    f"https://aciflow.localhost/subscriptions/{local.subscription_id}/resourceGroups",
                    params={"api-version": "2021-04-01"},
                    headers={"authorization": f"Bearer {token}"},
                ).raise_for_status()
                taken.append(time.perf_counter() - began)
    milliseconds = median(taken[1:]) * 1000  # the first imports
    return {"median_ms": milliseconds, "met": milliseconds <= MOST_MS, "samples_s": taken[1:]}
