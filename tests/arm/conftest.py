"""A certificate authority, a server behind it, and gateways to that server in both colours."""

from __future__ import annotations

import asyncio
import ssl
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from azure.core.credentials import AccessToken
from tests.arm.server import ArmServer

from aciflow.arm.aio_gateway import AsyncGateway
from aciflow.arm.gateway import Gateway
from aciflow.arm.settings import ArmSettings
from aciflow.flow.effects import ArmCall, ArmReply


SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
TOKEN = "eyJ-a-bearer-token-that-nobody-may-see"

Perform = Callable[..., ArmReply]


class Credential:
    """Gives the token, and counts how often it was asked."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        self.asked.append((scopes, kwargs))
        return AccessToken(self.token, int(time.time()) + 3600)


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    """The authority that signs the servers' certificates."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate in a file."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def trusting(ca: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def serving(ca: trustme.CA) -> ssl.SSLContext:
    """A server's context for localhost and for Azure's own names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1", "management.azure.com").configure_cert(context)
    return context


@pytest.fixture
def server(serving: ssl.SSLContext) -> Iterator[ArmServer]:
    """A server of the test's own."""
    with ArmServer(serving) as running:
        yield running


@pytest.fixture
def settings(server: ArmServer, trusting: ssl.SSLContext) -> ArmSettings:
    """The server as an ARM endpoint."""
    return ArmSettings(
        subscription_id=SUBSCRIPTION, base_url=server.url, credential=Credential(), verify=trusting
    )


def perform_sync(settings: ArmSettings, *calls: ArmCall) -> ArmReply:
    """Send calls through one sync gateway; the last one's reply."""
    gateway = Gateway(settings)
    try:
        return [gateway.perform(call) for call in calls][-1]
    finally:
        gateway.close()


def perform_async(settings: ArmSettings, *calls: ArmCall) -> ArmReply:
    """The same through one async gateway."""

    async def main() -> ArmReply:
        gateway = AsyncGateway(settings)
        try:
            return [await gateway.perform(call) for call in calls][-1]
        finally:
            await gateway.close()

    return asyncio.run(main())


@pytest.fixture(params=[perform_sync, perform_async], ids=["sync", "async"])
def perform(request: pytest.FixtureRequest) -> Perform:
    """Both gateways, one after the other: ``perform(settings, call, ...)``."""
    chosen: Perform = request.param
    return chosen
