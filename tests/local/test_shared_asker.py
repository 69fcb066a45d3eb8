"""The side of the shared endpoint that asks: the holder is a real listener, in this process."""

from __future__ import annotations

import json
import threading
import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aciflow.local.channel import Listener
from aciflow.local.runtime.engine import EngineAddress
from aciflow.local.shared import SharedService
from aciflow.local.state import FileLock, write_private


class Holders:
    """Holds the endpoint's lock, as another process would; whoever came last answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listeners: list[Listener] = []
        self.lock = FileLock(directory / "holder.lock")
        assert self.lock.acquire()

    def add(self, answer: Callable[[Any], Any]) -> Listener:
        """The next holder."""
        listener = Listener("secret", answer)
        self.listeners.append(listener)
        told = {"pid": 0, "port": listener.port, "secret": "secret"}
        write_private(self.directory / "holder.json", json.dumps(told).encode())
        return listener


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedService]:
    """It never becomes the holder, so there need be no engine."""
    monkeypatch.setenv("ACIFLOW_STATE_DIR", str(tmp_path))
    made = SharedService(EngineAddress("unix:///nobody/there.sock", "test"))
    yield made
    made.close()


@pytest.fixture
def holders(service: SharedService) -> Iterator[Holders]:
    """None answers yet."""
    made = Holders(service.directory)
    yield made
    service.close()
    for listener in made.listeners:
        listener.close(patience=0.0)
    made.lock.release()


def _until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 5
    while not done():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.005)


def test_starting_again_opens_no_more_connections(service: SharedService, holders: Holders) -> None:
    """One to ask and one to watch, however often it is made sure that somebody holds it."""
    listener = holders.add(lambda _: {"groups": 2})
    for _ in range(20):
        service.start()
        assert 2 == service.groups()
    assert 2 == len(listener._open)


def test_a_new_holder_is_found_and_watched(service: SharedService, holders: Holders) -> None:
    """Connections to the one that ended are dropped, and starting again is enough."""
    first = holders.add(lambda _: {"groups": 1})
    service.start()
    second = holders.add(lambda _: {"groups": 2})
    first.close()
    _until(lambda: len(second._open) == 1)  # to watch
    service.start()
    assert 2 == service.groups()
    assert 2 == len(second._open)
