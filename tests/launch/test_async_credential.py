"""An async client whose loop has ended, and whose credential needs one."""

from __future__ import annotations

import asyncio
import time

from typing import Any

import pytest

from azure.core.credentials import AccessToken
from tests.arm.server import ArmServer, Asked, Said
from tests.launch.test_failures import SUBSCRIPTION, server

import aciflow


__all__ = ["server"]


class AsyncCredential:
    """
    Of an endpoint at a URL.

    Args:
        lasting: Seconds that a token is good for.
    """

    def __init__(self, lasting: int) -> None:
        self._lasting = lasting
        self.asked = 0

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        self.asked += 1
        await asyncio.sleep(0)
        return AccessToken("a-token-that-nobody-may-see", int(time.time()) + self._lasting)


@pytest.mark.parametrize(("lasting", "again"), [(3600, False), (60, True)])
def test_the_interpreter_ends(lasting: int, again: bool, server: ArmServer) -> None:
    """What is left is deleted with the token that is remembered, else with a new one."""

    def answer(asked: Asked) -> Said:
        if "containergroups" not in asked.path.lower():
            return Said(200, {"id": "/x/rg", "name": "rg", "location": "westus"})
        if asked.method == "PUT":
            return Said(201, {**asked.json, "id": asked.path, "name": "web"})
        return Said(404, {"error": {"code": "ResourceNotFound", "message": "no"}})

    async def main() -> aciflow.AsyncClient:
        client = aciflow.AsyncClient(
            server.url, credential=credential, subscription_id=SUBSCRIPTION, location="westus"
        )
        await client.launch("nginx", resource_group="rg", wait=False)
        assert client._gateway is not None
        await client._gateway.close()  # its sockets belong to the loop, and would warn
        return client

    server.answer = answer
    credential = AsyncCredential(lasting)
    client = asyncio.run(main())
    asked, tokens = len(server.asked), credential.asked
    client.close_at_exit()
    assert len(server.asked) > asked
    assert again == (credential.asked > tokens)
    assert [] == client._core.books.live()
