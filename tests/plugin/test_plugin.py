"""The pytest plugin, as a user's own suite meets it: a pytest of its own in another process."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import tomllib

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.images import Engine


ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]

SIMULATED = """
def test_it(aci_client):
    with aci_client.launch("nginx", public_ip=True, wait=False) as group:
        assert group.name
"""


@pytest.fixture
def suite(tmp_path: Path, _own_world: Path) -> Run:
    """Writes a test module and runs pytest on it with the plugin and nothing else."""

    def run(code: str, *arguments: str, env: dict[str, str] | None = None) -> Any:
        (tmp_path / "test_mine.py").write_text(textwrap.dedent(code))
        (tmp_path / "pytest.ini").touch()
        return subprocess.run(
            [
                *(sys.executable, "-W", "error", "-m", "pytest", "-q", "-rs"),
                *("-p", "aciflow.testing.plugin", "-p", "no:cacheprovider", *arguments),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "src"),
                # Installed, it is loaded by itself, and twice is an error.
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                **(env or {}),
            },
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


def test_pytest_finds_it() -> None:
    """Whoever installs aciflow has the fixture; the entry point names a module with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (name,) = project["project"]["entry-points"]["pytest11"].values()
    plugin = importlib.import_module(name)
    assert {"aci", "aci_client", "pytest_addoption"} <= set(dir(plugin))


def test_without_the_fixture_nothing_is_loaded(suite: Run) -> None:
    """Every pytest run of everybody who has aciflow installed pays for what the plugin imports."""
    ran = suite(
        """
        import sys

        def test_it():
            heavy = {"azure", "httpx", "uvicorn", "cryptography", "asyncio.streams", "docker"}
            assert heavy & set(sys.modules) == set()
            assert "aciflow.local.azure" not in sys.modules
        """
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_simulated_endpoint_for_each_test(suite: Run) -> None:
    """By the option, the setting or a marker; what one test leaves there the next does not see."""
    code = """
        import pytest

        def test_first(aci, aci_client):
            assert aci.kind == "simulated"
            assert aci_client.list() == ()
            aci_client.launch("nginx", public_ip=True, wait=False, name="web", lifetime="detached")

        @pytest.mark.aci(speed=1000.0, seed=3)
        def test_second(aci_client):
            assert aci_client.list() == ()
            with aci_client.launch("nginx", public_ip=True, name="web") as group:
                assert group.state == "Running"

        def test_time_and_trouble(aci):
            from aciflow.local.faults import Throttle
            aci.clock.freeze()
            before = aci.clock()
            aci.clock.advance(60)
            assert aci.clock() == before + 60
            aci.faults.add(Throttle(retry_after=0.01), times=1)
            with aci.client() as client:
                assert client.list() == ()
            assert [one.kind for one in aci.faults.fired] == ["throttle"]
    """
    by_option = suite(code, "--aci-runtime", "simulated")
    by_setting = suite(code, "-o", "aci_runtime=simulated")
    assert by_option.returncode == 0, by_option.stdout + by_option.stderr
    assert "3 passed" in by_setting.stdout


def test_without_an_engine_tests_are_skipped_with_the_remedy(suite: Run) -> None:
    """Unless the engine was asked for: then they fail, so that nobody takes them for passed."""
    nowhere = {"DOCKER_HOST": "tcp://127.0.0.1:9"}
    skipped = suite(SIMULATED, env=nowhere)
    failed = suite(SIMULATED, "--aci-runtime", "engine", env=nowhere)
    assert skipped.returncode == 0
    assert "1 skipped" in skipped.stdout
    assert "--aci-runtime simulated" in skipped.stdout
    assert failed.returncode == 1
    assert "no container engine" in failed.stdout


def test_a_wrong_setting_is_said(suite: Run) -> None:
    """At the start, not test by test."""
    ran = suite(SIMULATED, "-o", "aci_runtime=vmware")
    assert ran.returncode == 4
    assert "aci_runtime = vmware" in ran.stderr


def test_arguments_of_the_marker_have_names(suite: Run) -> None:
    """Else they would be dropped in silence."""
    ran = suite("import pytest\n@pytest.mark.aci('simulated')\ndef test_it(aci): pass\n")
    assert ran.returncode != 0
    assert "arguments by name" in ran.stdout + ran.stderr


@pytest.mark.engine
def test_real_containers_are_gone_afterwards(suite: Run, engine: Engine, web_image: str) -> None:
    """Whatever the test leaves running; also where it fails."""
    ran = suite(
        f"""
        import urllib.request

        def test_it_serves(aci_client):
            group = aci_client.launch("{web_image}", public_ip=True)
            assert b"hello" in urllib.request.urlopen(group.url()).read()

        def test_it_fails(aci, aci_client):
            aci_client.launch("{web_image}", public_ip=True, lifetime="detached")
            print("endpoint", aci.runtime.endpoint_id)
            assert not "on purpose"
        """,
        "-s",
    )
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout + ran.stderr
    endpoint = ran.stdout.partition("endpoint ")[2].split()[0]
    assert engine.labelled(f"aciflow.endpoint={endpoint}") == {}


@pytest.mark.engine
def test_what_is_left_fails_the_test(suite: Run, engine: Engine, web_image: str) -> None:
    """An endpoint that does not clean up is a defect, and shall not go unnoticed."""
    ran = suite(
        f"""
        def test_it(aci, aci_client):
            aci_client.launch("{web_image}", public_ip=True, lifetime="detached")
            type(aci._service).close = lambda self: self._host.close(keep=True)
            print("endpoint", aci.runtime.endpoint_id)
        """,
        "-s",
    )
    endpoint = ran.stdout.partition("endpoint ")[2].split()[0]
    for name in engine.labelled(f"aciflow.endpoint={endpoint}"):
        engine.remove(name)
    assert ran.returncode == 1
    assert "left on the engine" in ran.stdout
