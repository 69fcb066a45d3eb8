"""
What every test gets: a state directory of its own, no Azure account, and nothing left behind.

Tests marked ``engine``, ``az`` or ``corpus`` are skipped on a machine that lacks it, with the remedy. Where
``CI=true`` they fail instead: there, a test that did not run would be a test that nobody noticed.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.azure_cli import NO_AZ, find_az
from tests.images import WEB, Engine, find_engine, left_by
from tests.registry import NO_REGISTRY, Registry, running
from tests.witnesses import Witnesses


# A shell that starts this in the background has SIGINT ignored, and tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
CI = os.environ.get("CI") == "true"

NO_ENGINE = (
    "no container engine answers; start Docker or Podman, or set DOCKER_HOST "
    "(Debian, as root: apt-get install docker.io; dockerd &)"
)
NO_CORPUS = "no corpus of recordings at {}; set ACIFLOW_CORPUS to where it is"

AZ = find_az()
"""Looked for now: tests see no ACIFLOW_AZ."""

_numbers = itertools.count()


def _corpus() -> Path:
    return Path(os.environ.get("ACIFLOW_CORPUS") or ROOT.parent / "shared" / "corpus")


def _missing(reason: str) -> NoReturn:
    if CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


class _Engine:
    """Looked for once a session, when the first test asks."""

    _found: Engine | None = None
    _looked = False

    @classmethod
    def get(cls) -> Engine | None:
        if not cls._looked:
            cls._looked = True
            cls._found = find_engine()
        return cls._found


def pytest_configure(config: pytest.Config) -> None:
    """Claims of the documentation are only as good as their witnesses."""
    config.pluginmanager.register(Witnesses(demanded=CI), "aciflow-witnesses")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, what this machine cannot run."""
    if item.get_closest_marker("engine") and _Engine.get() is None:
        _missing(NO_ENGINE)
    if item.get_closest_marker("az"):
        if AZ is None:
            _missing(NO_AZ)
        if _Engine.get() is None:
            _missing(NO_ENGINE)
    if item.get_closest_marker("corpus") and not _corpus().is_dir():
        _missing(NO_CORPUS.format(_corpus()))


@pytest.fixture(autouse=True)
def _own_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    No test sees the user's Azure login or local endpoint, or another test's.

    Returns:
        The state directory, which who needs it makes.
    """
    directory = tmp_path_factory.getbasetemp() / f"world-{next(_numbers)}"
    for name in list(os.environ):
        if name.startswith(("AZURE_", "ACIFLOW_")) and name != "ACIFLOW_CORPUS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("ACIFLOW_STATE_DIR", str(directory / "state"))
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(directory / "azure"))
    return directory / "state"


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest, _own_world: Path) -> Iterator[None]:
    """
    After a test that used an engine, its endpoints have nothing there any more.

    In CI, where nobody else uses the engine, nothing at all of aciflow's is there that was not before.
    """
    engine = _Engine.get() if request.node.get_closest_marker("engine") else None
    if engine is None:
        yield
        return
    before = set(engine.labelled("aciflow.endpoint")) if CI else set()
    yield
    until = time.monotonic() + 5.0
    while True:
        left = set(left_by(engine, _own_world))
        if CI:
            left |= set(engine.labelled("aciflow.endpoint")) - before
        if not left:
            return
        if time.monotonic() > until:
            _remove(engine, _own_world)
            pytest.fail("left on the engine: " + ", ".join(sorted(left)), pytrace=False)
        time.sleep(0.1)


def _remove(engine: Engine, state: Path) -> None:
    """One test's failure shall not be the next one's, nor stay on somebody's machine."""
    delete = [sys.executable, "-m", "aciflow", "delete", "--all", "--target", "local", "--quiet"]
    subprocess.run(delete, capture_output=True, timeout=60)
    for name in left_by(engine, state):
        engine.remove(name)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of recordings; for tests marked ``corpus``."""
    return _corpus()


@pytest.fixture(scope="session")
def az_program() -> Path:
    """The Azure CLI; for tests marked ``az``."""
    if AZ is None:
        _missing(NO_AZ)
    return AZ


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine itself, to look at it from outside; for tests marked ``engine``."""
    found = _Engine.get()
    if found is None:
        _missing(NO_ENGINE)
    return found


@pytest.fixture(scope="session")
def web_image(engine: Engine) -> str:
    """
    An image that serves "hello from a container" on port 80; it has a shell and busybox's commands.

    It stays on the engine, since it never changes.
    """
    return WEB.ensure(engine)


@pytest.fixture(scope="session")
def registry(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A real registry on loopback; push an image there and pull it under its name."""
    if shutil.which("docker-registry") is None:
        _missing(NO_REGISTRY)
    with running(tmp_path_factory.mktemp("registry"), engine) as started:
        yield started
