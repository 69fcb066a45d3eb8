"""A runtime on the real engine whose observations can be waited for, and what it leaves counted."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
import uuid

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from tests.images import Engine

from aciflow.local.protocol import (
    Closed,
    CloseSandbox,
    ContainerRun,
    Observation,
    OpenSandbox,
    PortSpec,
    ReadLogs,
    SandboxReady,
    StartContainer,
    Started,
)
from aciflow.local.runtime.engine import EngineRuntime
from aciflow.local.runtime.engine.containers import Restarts


Seen = TypeVar("Seen", bound=Observation)


class Rig:
    """One runtime and everything that it reported."""

    def __init__(self, endpoint_id: str, image: str, **options: Any) -> None:
        self.runtime = EngineRuntime(endpoint_id, **options)
        self.endpoint_id = endpoint_id
        self.image = image
        self.seen: list[Observation] = []
        self.changed = threading.Condition()
        self.runtime.start(self.report, time.time)

    def report(self, observation: Observation) -> None:
        """What an endpoint would be given."""
        with self.changed:
            self.seen.append(observation)
            self.changed.notify_all()

    def wait(
        self, kind: type[Seen], *, timeout: float = 20.0, count: int = 1, **fields: Any
    ) -> Seen:
        """The ``count``-th observation of a kind with these fields, which has come or will come."""

        def found() -> list[Seen]:
            return [
                one
                for one in self.seen
                if isinstance(one, kind)
                and all(getattr(one, name) == value for name, value in fields.items())
            ]

        with self.changed:
            if not self.changed.wait_for(lambda: len(found()) >= count, timeout):
                pytest.fail(f"no {kind.__name__} {fields} in {timeout} s; seen: {self.seen}")
            return found()[count - 1]

    def open(self, *ports: int, **more: Any) -> str:
        """Open a sandbox; returns its uid."""
        uid = uuid.uuid4().hex[:12]
        self.ask(uid, *ports, **more)
        self.wait(SandboxReady, uid=uid)
        return uid

    def ask(
        self,
        uid: str,
        *ports: int,
        containers: int = 1,
        name: str = "group",
        restarts: Restarts = "never",
    ) -> None:
        """Ask for a sandbox, and do not wait."""
        self.runtime.execute(
            OpenSandbox(
                uid=uid,
                resource_id=f"/subscriptions/s/resourceGroups/r/containerGroups/{name}",
                name=name,
                containers=containers,
                ports=tuple(PortSpec(port=port) for port in ports),
                restarts=restarts,
            )
        )

    def ip(self, uid: str) -> str:
        """A group's address, which is told once something has it."""
        with self.changed:

            def told() -> list[str]:
                return [
                    one.ip
                    for one in self.seen
                    if isinstance(one, SandboxReady) and one.uid == uid and one.ip
                ]

            if not self.changed.wait_for(told, 20):
                pytest.fail(f"no address of {uid}; seen: {self.seen}")
            return told()[-1]

    def begin(self, uid: str, name: str = "c", *, attempt: int = 0, **run: Any) -> None:
        """Ask for a container, and do not wait."""
        run.setdefault("image", self.image)
        self.runtime.execute(
            StartContainer(uid=uid, run=ContainerRun(name=name, **run), attempt=attempt)
        )

    def run(self, uid: str, name: str = "c", *, attempt: int = 0, **run: Any) -> Started:
        """Start a container."""
        self.begin(uid, name, attempt=attempt, **run)
        return self.wait(Started, uid=uid, container=name, attempt=attempt)

    def shell(self, uid: str, script: str, name: str = "c", **more: Any) -> Started:
        """Start a container that runs a shell script."""
        return self.run(uid, name, command=("/bin/sh", "-c", script), **more)

    def logs(self, uid: str, name: str = "c", **more: Any) -> str:
        """A container's output so far."""
        text = self.runtime.answer(ReadLogs(uid=uid, container=name, **more))
        assert isinstance(text, str)
        return text

    def log_of(self, uid: str, name: str, until: Callable[[str], bool]) -> str:
        """A container's output once it is as wanted."""
        end = time.monotonic() + 10
        while not until(text := self.logs(uid, name)):
            if time.monotonic() > end:
                pytest.fail(f"log of {name}: {text!r}")
            time.sleep(0.02)
        return text

    def close(self, uid: str) -> None:
        """Close a group."""
        self.runtime.execute(CloseSandbox(uid=uid))
        self.wait(Closed, uid=uid)


def fetch(host: str, port: int, timeout: float = 10.0) -> bytes:
    """What a web server says, as soon as there is one."""
    end = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(f"http://{host}:{port}/", timeout=2) as reply:
                content: bytes = reply.read()
                return content
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def listening(host: str, port: int) -> bool:
    """Whether a connection is accepted."""
    try:
        with socket.create_connection((host, port), timeout=0.3):
            return True
    except OSError:
        return False


@pytest.fixture
def rigs(engine: Engine, web_image: str) -> Iterator[Callable[..., Rig]]:
    """Makes runtimes; afterwards each is closed and nothing that carries its label may be left."""
    made: list[Rig] = []

    def make(endpoint_id: str | None = None, **options: Any) -> Rig:
        rig = Rig(endpoint_id or f"t{uuid.uuid4().hex[:11]}", web_image, **options)
        made.append(rig)
        return rig

    yield make
    for rig in made:
        rig.runtime.close(remove=True)
    for rig in made:
        assert engine.labelled(f"aciflow.endpoint={rig.endpoint_id}") == {}
        assert not engine.has(f"aciflow-pause:{rig.endpoint_id[:8]}")


@pytest.fixture
def rig(rigs: Callable[..., Rig]) -> Rig:
    """A runtime with groups on addresses of their own."""
    return rigs(addresses="bridge")
