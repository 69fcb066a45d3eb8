"""
Programs that others have built on Azure's SDK, unmodified, at Azure's own URLs.

``aciflow local --intercept`` answers for management.azure.com and login.microsoftonline.com.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from tests.clients.environments import NO_CLIENT, find_client

from aciflow.local import LocalAzure


Find = Callable[[str], Path]

JOB = Path(__file__).with_name("airflow_job.py")


@pytest.fixture
def client() -> Find:
    """Finds the environment of a program of others; skips, or fails in CI, where it is missing."""

    def find(name: str) -> Path:
        found = find_client(name)
        if found is None and os.environ.get("CI") == "true":
            pytest.fail(NO_CLIENT.format(name), pytrace=False)
        if found is None:
            pytest.skip(NO_CLIENT.format(name))
        return found

    return find


def _plain(tmp_path: Path, **more: str) -> dict[str, str]:
    kept = ("PATH", "LANG", "TMPDIR", "DOCKER_HOST", "ACIFLOW_STATE_DIR")
    home = {"HOME": str(tmp_path), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    return {**{name: os.environ[name] for name in kept if name in os.environ}, **home, **more}


@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.parametrize("code", [0, 7])
def test_airflows_operator_runs_a_job(
    client: Find, web_image: str, tmp_path: Path, code: int
) -> None:
    """It connects, launches, follows the log, returns or refuses by the exit code, and deletes."""
    python = client("airflow") / "bin" / "python"
    around = [sys.executable, "-m", "aciflow", "local", "--intercept", "--", str(python)]

    done = subprocess.run(
        [*around, str(JOB), web_image, str(code)],
        env=_plain(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "connection: True Successfully connected to Azure Container Instance." in lines
    assert "hello from airflow" in done.stdout
    assert "hidden-91" not in done.stdout + done.stderr
    if code:
        assert f"refused: Container had a non-zero exit code, {code}" in lines
    else:
        assert "result: 0" in lines
    assert "left: False" in lines


def _http(local: LocalAzure) -> httpx.Client:
    token = local.credential().get_token().token
    return httpx.Client(
        transport=local.transport(),
        base_url=f"https://aciflow.localhost/subscriptions/{local.subscription_id}",
        headers={"authorization": f"Bearer {token}"},
        params={"api-version": "2023-05-01"},
        trust_env=False,
    )


_GROUPS = "/providers/Microsoft.ContainerInstance/containerGroups"


def _fill(local: LocalAzure, groups: Mapping[str, Mapping[str, str]]) -> None:
    container = {
        "name": "one",
        "properties": {
            "image": "nginx",
            "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
        },
    }
    with _http(local) as http:
        http.put(
            "/resourceGroups/mixed",
            params={"api-version": "2021-04-01"},
            json={"location": "eastus"},
        ).raise_for_status()
        for name, tags in groups.items():
            http.put(
                f"/resourceGroups/mixed{_GROUPS}/{name}",
                json={
                    "location": "eastus",
                    "tags": tags,
                    "properties": {"osType": "Linux", "containers": [container]},
                },
            ).raise_for_status()


POLICY = """
policies:
  - name: blue
    resource: azure.container-group
    filters:
      - {type: value, key: tags.team, value: blue}
    actions:
      - {type: tag, tag: seen, value: "yes"}
  - name: all
    resource: azure.container-group
  - name: homes
    resource: azure.resourcegroup
"""


@pytest.mark.timeout(300)
def test_cloud_custodian_finds_and_tags_groups(client: Find, tmp_path: Path) -> None:
    """Its filters see what is there, its action tags what they have found, and nothing else."""
    custodian = client("custodian") / "bin" / "custodian"
    (tmp_path / "policy.yml").write_text(POLICY)
    out = tmp_path / "out"

    with LocalAzure("simulated") as local, local.serve(intercept=True) as served:
        _fill(local, {"one": {"team": "blue"}, "two": {"team": "red"}, "three": {}})
        done = subprocess.run(
            [custodian, "run", "-s", str(out), str(tmp_path / "policy.yml")],
            env=_plain(tmp_path, **served.environ()),
            capture_output=True,
            text=True,
            check=False,
        )
        with _http(local) as http:
            listed = http.get(_GROUPS).json()["value"]
        tags = {group["name"]: group.get("tags") for group in listed}

    assert done.returncode == 0, done.stderr

    def found(policy: str) -> list[str]:
        resources = json.loads((out / policy / "resources.json").read_text())
        return sorted(resource["name"] for resource in resources)

    assert found("blue") == ["one"]
    assert found("all") == ["one", "three", "two"]
    assert found("homes") == ["mixed"]
    assert tags == {"one": {"team": "blue", "seen": "yes"}, "two": {"team": "red"}, "three": {}}
