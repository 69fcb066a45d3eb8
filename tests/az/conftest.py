"""An endpoint on a real engine for the unmodified az, shared by the tests of a module."""

from __future__ import annotations

import os
import time

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azure_cli import Az
from tests.images import Engine, left_by

from aciflow.local import LocalAzure


GROUP = "test-aci"


@pytest.fixture(scope="module")
def nginx(engine: Engine, web_image: str) -> Iterator[str]:
    """``library/nginx``: the engine's own, else our web server under that name while the module lasts."""
    if engine.has("nginx:latest"):
        yield "library/nginx"
        return
    status, body = engine.request("POST", f"/images/{web_image}/tag?repo=nginx&tag=latest")
    assert status == 201, body
    yield "library/nginx"
    engine.request("DELETE", "/images/nginx:latest?noprune=1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory in which nobody has logged in, and in which nobody shall have in the end."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def plain(home: Path, az_program: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user who has az on his PATH, and nothing of Azure's or aciflow's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AZURE_", "ACIFLOW_", "ARM_"))
    }
    return {
        **kept,
        "HOME": str(home),
        "PATH": f"{az_program.parent}{os.pathsep}{os.environ['PATH']}",
        "ACIFLOW_STATE_DIR": str(tmp_path_factory.mktemp("state")),
    }


@pytest.fixture(scope="module")
def endpoint(engine: Engine, plain: dict[str, str], nginx: str) -> Iterator[LocalAzure]:
    """An endpoint of this process; all that it made is gone afterwards."""
    state = plain["ACIFLOW_STATE_DIR"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACIFLOW_STATE_DIR", state)
        with LocalAzure() as azure, azure.serve():
            yield azure
    assert set(left_by(engine, Path(state))) == set()


@pytest.fixture(scope="module")
def az(endpoint: LocalAzure, plain: dict[str, str], az_program: Path, home: Path) -> Iterator[Az]:
    """An az on it. It logs in to nothing, and leaves nothing in the user's home."""
    yield Az(az_program, {**plain, **endpoint.environ()})
    assert not (home / ".azure").exists()


@pytest.fixture(scope="module")
def group(az: Az, nginx: str) -> str:
    """A container group in ``test-aci`` that serves; tests leave it as it is."""
    az.json("group", "create", "--name", GROUP, "--location", "westus")
    create(az, "shared", nginx)
    return "shared"


def create(az: Az, name: str, image: str) -> None:
    """Have a container group, without az's wait of half a minute."""
    done = az(
        *["container", "create", "-g", GROUP, "--name", name, "--image", image],
        *["--ip-address", "public", "--os-type", "Linux", "--cpu", "1", "--memory", "1.5"],
        "--no-wait",
    )
    assert done.code == 0, done
    until(az, name, "Running")


def until(az: Az, name: str, state: str, timeout: float = 60.0) -> None:
    """Wait for a container group's state."""
    end = time.monotonic() + timeout
    query = "[provisioningState, instanceView.state]"
    while True:
        found = az.json("container", "show", "-g", GROUP, "-n", name, "--query", query)
        if found == ["Succeeded", state]:
            return
        assert time.monotonic() < end, found
