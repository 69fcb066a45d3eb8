"""
Endpoints with a directory of their own: killed at any moment, and started again.

Four kills by default; ``ACIFLOW_FULL=1`` (the session ``full`` of nox) makes sixty. The environment is read
when this module is loaded, since tests see none of aciflow's own settings.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import ssl
import stat
import subprocess
import sys
import time

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.processes import ROOT, arm, group_path
from tests.images import Engine
from tests.waiting import until

from aciflow.errors import ConfigurationError
from aciflow.local import LocalAzure


pytestmark = pytest.mark.engine

KILLS = 60 if os.environ.get("ACIFLOW_FULL") else 4

_PROGRAM = """
import json, sys, time
from aciflow.local import LocalAzure
from tests.engine.processes import arm, group_path

directory, body = sys.argv[1], json.loads(sys.argv[2])
azure = LocalAzure(state=directory)
print("ready", flush=True)
sys.stdin.readline()
arm(azure, "PUT", "", {"location": "westus"})
print("home", flush=True)
arm(azure, "PUT", group_path("web"), body)
print("put", flush=True)
while True:
    status, found = arm(azure, "GET", group_path("web"))
    state = found["properties"]["instanceView"]["state"]
    print(state, flush=True)
    if state == "Running":
        break
    time.sleep(0.02)
print("launched", flush=True)
arm(azure, "DELETE", group_path("web"))
print("deleted", flush=True)
time.sleep(60)
"""

_POINTS = ("ready", "home", "put", "Pending", "Pending", "Pending", "launched")
"""After which line the process is killed, and then a moment later; most are within the launch itself."""


def _body(image: str) -> dict[str, Any]:
    """Two containers, so that there is such a thing as half a group."""
    containers = [
        {
            "name": name,
            "properties": {
                "image": image,
                "command": ["/bin/sh", "-c", f"echo {name}; exec sleep 600"],
                "ports": [{"port": port}],
                "resources": {"requests": {"cpu": 0.5, "memoryInGB": 0.5}},
            },
        }
        for name, port in (("one", 80), ("two", 81))
    ]
    ports = [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 81}]
    return {
        "location": "westus",
        "properties": {
            "osType": "Linux",
            "containers": containers,
            "ipAddress": {"type": "Public", "ports": ports},
        },
    }


def _identity(directory: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((directory / "identity.json").read_text())
    return found


def _on_engine(engine: Engine, directory: Path) -> dict[str, Any]:
    return engine.labelled(f"aciflow.endpoint={_identity(directory)['endpoint_id']}")


def _running(engine: Engine, directory: Path) -> set[str]:
    """The containers of the group that run, by their names in it."""
    endpoint = _identity(directory)["endpoint_id"]
    return {
        one["Labels"]["aciflow.container"]
        for one in engine.json("/containers/json?all=1")
        if (one["Labels"] or {}).get("aciflow.endpoint") == endpoint
        and one["State"] == "running"
        and "aciflow.container" in one["Labels"]
    }


@pytest.fixture
def directory(tmp_path: Path, engine: Engine) -> Iterator[Path]:
    """Where an endpoint lives; whatever a failed test leaves of it is removed."""
    made = tmp_path / "endpoint"
    yield made
    if (made / "identity.json").exists():
        left = _on_engine(engine, made)
        for name in left:
            engine.remove(name)
        assert left == {}


def _killed_on_the_way(directory: Path, image: str, rng: random.Random) -> None:
    point, moment = rng.choice(_POINTS), rng.uniform(0.0, 0.3)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM, str(directory), json.dumps(_body(image))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            process.stdin.write("\n")
            process.stdin.flush()
            for line in process.stdout:
                # A launch may be too quick to be seen under way.
                if line.strip() in (point, "launched"):
                    break
            time.sleep(moment)
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
@pytest.mark.timeout(180)
def test_killed_anywhere_in_a_launch_the_group_is_whole_or_gone(
    seed: int, directory: Path, engine: Engine, web_image: str
) -> None:
    """After the restart the engine has what the endpoint says; a second delete leaves it empty."""
    _killed_on_the_way(directory, web_image, random.Random(seed))

    with LocalAzure(state=directory) as azure:

        def whole_or_gone() -> bool:
            status, body = arm(azure, "GET", group_path("web"))
            if status == 404:
                return not _on_engine(engine, directory)
            assert status == 200, body
            return (
                body["properties"]["provisioningState"] == "Succeeded"
                and body["properties"]["instanceView"]["state"] == "Running"
                and _running(engine, directory) == {"one", "two"}
            )

        until(whole_or_gone)
        first, _ = arm(azure, "DELETE", group_path("web"))
        second, _ = arm(azure, "DELETE", group_path("web"))
        left = _on_engine(engine, directory)

    assert first in (200, 204, 404)
    assert second in (204, 404)  # 404: there is not even the resource group
    assert left == {}


def test_a_restarted_endpoint_adopts_its_containers(
    directory: Path, engine: Engine, web_image: str
) -> None:
    """The same containers, the same logs, and who signed in before is known."""
    with LocalAzure(state=directory, keep=True) as azure:
        arm(azure, "PUT", "", {"location": "westus"})
        arm(azure, "PUT", group_path("web"), _body(web_image))
        until(lambda: _running(engine, directory) == {"one", "two"})
        until(
            lambda: (
                arm(azure, "GET", group_path("web"))[1]["properties"]["instanceView"]["state"]
                == "Running"
            )
        )
        token = azure.credential().get_token()
        before = _on_engine(engine, directory)
        subscription = azure.subscription_id

    with LocalAzure(state=directory) as azure:
        status, body = arm(azure, "GET", group_path("web"))
        after = _on_engine(engine, directory)
        accepted = azure._service.tokens.check(token.token)
        restarts = [
            one["properties"]["instanceView"]["restartCount"]
            for one in body["properties"]["containers"]
        ]
        again = azure.subscription_id
        _, logs = arm(azure, "GET", group_path("web") + "/containers/one/logs")

    assert (status, restarts) == (200, [0, 0])
    assert set(before) == set(after) != set()
    assert accepted
    assert again == subscription
    assert logs == {"content": "one\n"}
    assert _on_engine(engine, directory) == {}
    assert not (directory / "state.json").exists()


def test_one_process_has_a_directory_at_a_time(directory: Path) -> None:
    """A second endpoint there is refused, and says by whom."""
    with (
        LocalAzure(state=directory),
        pytest.raises(ConfigurationError, match=f"in use by process {os.getpid()}"),
    ):
        LocalAzure(state=directory)
    LocalAzure(state=directory).close()  # let go of, and free again


def test_a_directory_is_its_users_alone(directory: Path) -> None:
    """0700, and 0600 for what is in it: there are secrets."""
    with LocalAzure(state=directory, keep=True) as azure:
        arm(azure, "PUT", "", {"location": "westus"})
        azure.clock.advance(60)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert set(modes) >= {"identity.json", "state.json", "clock.json", "lock"}
    assert set(modes.values()) == {0o600}


def test_a_clock_that_was_set_stays_so(directory: Path) -> None:
    """Times in the saved state must not be in the future after a restart."""
    with LocalAzure(state=directory, keep=True) as azure:
        azure.clock.advance(3600)
    with LocalAzure(state=directory) as azure:
        ahead = azure.clock.ahead
    assert 3599 < ahead < 3601


@pytest.mark.parametrize(
    ("name", "content"),
    [("identity.json", "[]"), ("identity.json", "{"), ("state.json", "{"), ("state.json", "{}")],
)
def test_what_cannot_be_read_is_not_overwritten(directory: Path, name: str, content: str) -> None:
    """It may be another program's, or the only record of containers that run."""
    LocalAzure(state=directory, keep=True).close()
    good = (directory / "identity.json").read_text()
    (directory / name).write_text(content)
    with pytest.raises(ConfigurationError, match=name), LocalAzure(state=directory, keep=True):
        pass
    assert (directory / name).read_text() == content
    (directory / "identity.json").write_text(good)


def test_endpoints_on_one_engine_do_not_see_each_other(
    directory: Path, tmp_path: Path, engine: Engine, web_image: str
) -> None:
    """Each has groups of its own; ending one takes nothing of the other."""
    other = tmp_path / "other"
    with LocalAzure(state=directory) as one:
        arm(one, "PUT", "", {"location": "westus"})
        arm(one, "PUT", group_path("web"), _body(web_image))
        until(lambda: _running(engine, directory) == {"one", "two"})
        with LocalAzure(state=other) as two, LocalAzure() as three:
            for azure in (two, three):
                arm(azure, "PUT", "", {"location": "westus"})
                assert arm(azure, "GET", group_path("web"))[0] == 404
        assert _running(engine, directory) == {"one", "two"}
        assert arm(one, "GET", group_path("web"))[0] == 200
    assert _on_engine(engine, other) == {}


def test_closing_removes_what_an_endpoint_that_was_not_used_had(
    directory: Path, engine: Engine, web_image: str
) -> None:
    """``keep`` is asked for at each start; without it the groups of earlier ones go, too."""
    with LocalAzure(state=directory, keep=True) as azure:
        arm(azure, "PUT", "", {"location": "westus"})
        arm(azure, "PUT", group_path("web"), _body(web_image))
        until(lambda: _running(engine, directory) == {"one", "two"})
    assert _running(engine, directory) == {"one", "two"}
    LocalAzure(state=directory).close()
    assert _on_engine(engine, directory) == {}


def test_a_state_directory_needs_an_engine(tmp_path: Path) -> None:
    """Nothing of a simulation outlives its process, so it is not pretended."""
    with pytest.raises(ConfigurationError, match="needs runtime='engine'"):
        LocalAzure("simulated", state=tmp_path)
    with pytest.raises(ConfigurationError, match="keep=True needs state="):
        LocalAzure(keep=True)
    assert list(tmp_path.iterdir()) == []


def test_who_signed_in_is_known_after_a_kill(directory: Path, engine: Engine) -> None:
    """``aciflow local --state``, killed and started again: the client secret and the token are still good."""

    def serve() -> tuple[subprocess.Popen[str], dict[str, str]]:
        command = [sys.executable, "-m", "aciflow", "local", "--state", str(directory), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        said = ""
        try:
            while True:  # one JSON document, on as many lines as it likes
                said += process.stdout.readline()
                with contextlib.suppress(json.JSONDecodeError):
                    return process, dict(json.loads(said)["environ"])
                assert process.poll() is None, said
        except BaseException:
            process.kill()
            raise

    def sign_in(environment: dict[str, str], secret: str) -> httpx.Response:
        url = f"{environment['ACIFLOW_TARGET']}/{environment['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        form = {
            "grant_type": "client_credentials",
            "client_id": environment["AZURE_CLIENT_ID"],
            "client_secret": secret,
            "scope": "https://management.azure.com/.default",
        }
        return httpx.post(url, data=form, verify=_trust(environment), trust_env=False)

    first, before = serve()
    with first:
        token = sign_in(before, before["AZURE_CLIENT_SECRET"]).json()["access_token"]
        first.kill()
    second, after = serve()
    with second:
        try:
            again = sign_in(after, before["AZURE_CLIENT_SECRET"])
            found = httpx.get(
                f"{after['ACIFLOW_TARGET']}/subscriptions/{before['AZURE_SUBSCRIPTION_ID']}",
                params={"api-version": "2022-09-01"},
                headers={"Authorization": f"Bearer {token}"},
                verify=_trust(after),
                trust_env=False,
            )
        finally:
            second.send_signal(signal.SIGTERM)
            second.wait(30)
    assert (again.status_code, found.status_code) == (200, 200)


def _trust(environment: dict[str, str]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=environment["SSL_CERT_FILE"])
