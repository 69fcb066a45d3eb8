"""An endpoint that is served, and clients that trust it."""

from __future__ import annotations

import ssl
import threading

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.world import TRACE
from tests.served.shell import ShellRuntime

from aciflow.local import LocalAzure
from aciflow.local.served.server import Served


@pytest.fixture(autouse=True)
def _nothing_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After each test there is neither a thread of the server's nor a file."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("aciflow"):
            thread.join(10)
            assert not thread.is_alive(), f"{thread.name} goes on"
    assert not list(place.iterdir())


@pytest.fixture
def local() -> Iterator[LocalAzure]:
    """A fresh endpoint, two hundred times as fast as ACI."""
    with LocalAzure("simulated", speed=200.0, traces=[TRACE]) as endpoint:
        yield endpoint


@pytest.fixture
def served(local: LocalAzure) -> Iterator[Served]:
    """It, served."""
    with local.serve() as one:
        yield one


@pytest.fixture
def http(local: LocalAzure, served: Served) -> Iterator[httpx.Client]:
    """A client with a token."""
    with connect(local, served) as client:
        yield client


@pytest.fixture
def shells() -> Iterator[ShellRuntime]:
    """A runtime with real terminals."""
    runtime = ShellRuntime()
    yield runtime
    for terminal in runtime.opened:
        terminal.release()


def connect(local: LocalAzure, served: Served, **options: Any) -> httpx.Client:
    """An httpx client that trusts the endpoint and has a token."""
    token = local.credential().get_token("any").token
    return httpx.Client(
        base_url=served.url,
        verify=ssl.create_default_context(cafile=str(served.ca_file)),
        trust_env=False,
        params={"api-version": "2022-09-01"},
        headers={"Authorization": f"Bearer {token}"},
        **options,
    )
