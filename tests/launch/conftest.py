"""Clients of both colours on the real engine; after each test no record and no endpoint is left."""

from __future__ import annotations

import asyncio
import inspect
import os

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import aciflow

from aciflow.local import azure


Run: TypeAlias = Callable[[Any], Any]


class Awaited:
    """
    Something async whose methods wait, so that one test is both colours'.

    Args:
        it: A client, a handle, or anything else.
        run: Runs a coroutine, always on the same loop.
    """

    def __init__(self, it: Any, run: Run) -> None:
        self._it = it
        self._run = run

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._it, name)
        if inspect.iscoroutinefunction(value):
            return lambda *args, **kwargs: self._wrap(self._run(value(*args, **kwargs)))
        if inspect.isasyncgenfunction(value):
            return lambda *args, **kwargs: self._each(value(*args, **kwargs))
        return value

    def _each(self, lines: Any) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(lines, None)

        while (line := self._run(following())) is not None:
            yield line

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._wrap, value))
        return Awaited(value, self._run) if hasattr(value, "__aenter__") else value

    def __iter__(self) -> Iterator[Any]:
        return self._each(aiter(self._it))

    def __enter__(self) -> Awaited:
        self._run(self._it.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._run(self._it.__aexit__(*error))

    def __repr__(self) -> str:
        return repr(self._it)


@pytest.fixture(autouse=True)
def _no_record_left(_own_world: Path) -> Iterator[None]:
    """Whatever a test launched has been deleted, and the ledger says so."""
    yield
    for endpoint in list(azure._open):
        endpoint.close()
    assert [] == records(_own_world)


def records(state: Path) -> list[str]:
    """What is in the ledger."""
    return [path.read_text() for path in (state / "ledger").glob("*")]


@pytest.fixture
def state() -> Path:
    """The state directory."""
    return Path(os.environ["ACIFLOW_STATE_DIR"])


@pytest.fixture
def loop() -> Iterator[Run]:
    """Runs coroutines, all on one loop."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def client() -> Iterator[aciflow.Client]:
    """A sync client of the shared local endpoint."""
    with aciflow.Client("local") as made:
        yield made


@pytest.fixture(params=["sync", "async"])
def any_client(request: pytest.FixtureRequest, loop: Run) -> Iterator[Any]:
    """A client of either colour; its methods, and those of what they return, wait."""
    colours: dict[str, Callable[[], Any]] = {
        "sync": lambda: aciflow.Client("local"),
        "async": lambda: Awaited(aciflow.AsyncClient("local"), loop),
    }
    with colours[request.param]() as made:
        yield made
