"""
The SDK's own clients on a served endpoint, driven by scenarios that are neither sync nor async.

A scenario is a generator: it yields the name of an operation and its arguments, and is sent what the
SDK makes of the reply: a poller's result, or all pages of a list.
"""

from __future__ import annotations

import asyncio
import inspect

from collections.abc import AsyncIterable, Callable, Generator, Iterable
from typing import Any, TypeAlias

from azure.core.credentials import AccessToken
from azure.core.paging import ItemPaged
from azure.core.polling import LROPoller

from aciflow.local import LocalAzure
from aciflow.local.served.server import Served


Step: TypeAlias = tuple[str, tuple[Any, ...], dict[str, Any]]
Scenario: TypeAlias = Generator[Step, Any, None]


def call(operation: str, *args: Any, **kwargs: Any) -> Step:
    """A step: ``container_groups.get`` and its arguments."""
    return operation, args, kwargs


class AsyncCredential:
    """The endpoint's own credential for asynchronous clients."""

    def __init__(self, local: LocalAzure) -> None:
        self._credential = local.credential()

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token; see azure-core's protocol."""
        token = self._credential.get_token(*scopes)
        return AccessToken(token.token, token.expires_on)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> AsyncCredential:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def run_sync(
    module: str, name: str, local: LocalAzure, served: Served, steps: Scenario, **options: Any
) -> None:
    """
    Run a scenario with a synchronous client.

    Args:
        options: Of the client; without any, its transport, retries and pollers are the default ones.
    """
    client_class = _find(module, name)
    with client_class(local.credential(), **_options(local, served), **options) as client:
        _drive(steps, lambda step: _perform(client, step))


def run_aio(
    module: str, name: str, local: LocalAzure, served: Served, steps: Scenario, **options: Any
) -> None:
    """The same with the asynchronous client."""
    client_class = _find(f"{module}.aio", name)
    options = {**_options(local, served), **options}

    async def run() -> None:
        async with client_class(AsyncCredential(local), **options) as client:
            step = next(steps)
            while True:
                try:
                    reply = await _perform_aio(client, step)
                except Exception as error:  # the scenario's to judge
                    step = _thrown(steps, error)
                else:
                    step = _sent(steps, reply)
                if step is None:
                    return

    asyncio.run(run())


def operations(client: Any) -> set[str]:
    """The names of all operations that a client has, ``group.operation``."""
    found = set()
    for group, value in vars(client).items():
        if group.startswith("_"):
            continue
        for name, _ in inspect.getmembers(type(value), inspect.isfunction):
            if not name.startswith("_"):
                found.add(f"{group}.{name}")
    return found


def _find(module: str, name: str) -> Any:
    return getattr(__import__(module, fromlist=[name]), name)


def _options(local: LocalAzure, served: Served) -> dict[str, Any]:
    return {
        "subscription_id": local.subscription_id,
        "base_url": served.url,
        "credential_scopes": [f"{served.url}/.default"],
        "connection_verify": str(served.ca_file),
    }


def _drive(steps: Scenario, perform: Callable[[Step], Any]) -> None:
    step: Step | None = next(steps)
    while step is not None:
        try:
            reply = perform(step)
        except Exception as error:  # the scenario's to judge
            step = _thrown(steps, error)
        else:
            step = _sent(steps, reply)


def _sent(steps: Scenario, reply: Any) -> Any:
    try:
        return steps.send(reply)
    except StopIteration:
        return None


def _thrown(steps: Scenario, error: Exception) -> Any:
    try:
        return steps.throw(error)
    except StopIteration:
        return None


def _operation(client: Any, name: str) -> Any:
    """An operation by its name; older generations have some at once that are long-running since."""
    group, _, operation = name.partition(".")
    found = getattr(client, group)
    return getattr(found, operation, None) or getattr(found, operation.removeprefix("begin_"))


def _perform(client: Any, step: Step) -> Any:
    name, args, kwargs = step
    reply = _operation(client, name)(*args, **kwargs)
    if isinstance(reply, LROPoller):
        return reply.result()
    if isinstance(reply, ItemPaged) or (isinstance(reply, Iterable) and hasattr(reply, "by_page")):
        return list(reply)
    return reply


async def _perform_aio(client: Any, step: Step) -> Any:
    name, args, kwargs = step
    reply = _operation(client, name)(*args, **kwargs)
    if inspect.isawaitable(reply):
        reply = await reply
    if isinstance(reply, AsyncIterable):
        return [each async for each in reply]
    if hasattr(reply, "polling_method"):
        return await reply.result()
    return reply
