"""``aciflow doctor`` says what is there, whatever is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from pathlib import Path
from typing import Any

import pytest

from aciflow.arm.gateway import Gateway
from aciflow.cli import doctor as module
from aciflow.cli import main
from aciflow.local import LocalAzure
from aciflow.target import resolve


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without an engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


def examine(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the findings by name."""
    code = main(["doctor", "--json", *words])
    document = json.loads(capsys.readouterr().out)
    document["by_name"] = {finding["name"]: finding for finding in document["findings"]}
    return code, document


@pytest.mark.usefixtures("no_engine")
def test_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine and without Azure it ends with 1, and says what would help for each."""
    code, found = examine(capsys)

    assert (code, found["ok"], found["local"], found["azure"]) == (1, False, False, False)
    assert found["by_name"]["engine"]["status"] == "missing"
    assert "DOCKER_HOST" in found["by_name"]["engine"]["remedy"]
    assert found["by_name"]["subscription"]["status"] == "missing"
    assert "az login" in found["by_name"]["subscription"]["remedy"]


@pytest.mark.usefixtures("no_engine")
def test_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """People get a line each, remedies below, and the sum of it."""
    assert main(["doctor"]) == 1

    text = capsys.readouterr().out
    assert "containers can be launched on: nothing" in text
    assert any(line.startswith("no    engine") for line in text.splitlines())


@pytest.mark.engine
def test_engine(capsys: pytest.CaptureFixture[str]) -> None:
    """With an engine it says which, and how groups get addresses, and leaves nothing there."""
    code, found = examine(capsys)

    assert (code, found["local"]) == (0, True)
    assert "API" in found["by_name"]["engine"]["detail"]
    assert found["by_name"]["addresses"]["detail"].split(":")[0] in ("bridge", "loopback", "mapped")
    assert "no Azure is configured" in found["by_name"]["launches go to"]["detail"]


@pytest.mark.usefixtures("no_engine")
def test_proxy_password_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies are shown without their passwords."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128")
    _, found = examine(capsys)

    assert "me:***@proxy.example" in found["by_name"]["proxies"]["detail"]
    assert "hunter2" not in json.dumps(found)


@pytest.mark.usefixtures("no_engine")
def test_missing_certificates(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that is not there is named, with the variable that says so."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    _, found = examine(capsys)

    assert found["by_name"]["certificates"]["status"] == "missing"
    assert "unset REQUESTS_CA_BUNDLE" in found["by_name"]["certificates"]["remedy"]


@pytest.mark.usefixtures("no_engine")
def test_default_certificates(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any variable it says whose certificates are trusted."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    assert "certifi" in examine(capsys)[1]["by_name"]["certificates"]["detail"]


@pytest.mark.usefixtures("no_engine")
def test_state_directory_that_cannot_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A state directory below a file cannot be, and nothing is launched without one."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("ACIFLOW_STATE_DIR", str(tmp_path / "file" / "state"))

    state = examine(capsys)[1]["by_name"]["state directory"]
    assert state["status"] == "missing"
    assert "set ACIFLOW_STATE_DIR" in state["remedy"]


@pytest.mark.usefixtures("no_engine")
def test_ledger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was launched and is not known to be gone is listed."""
    from aciflow.ledger import Ledger

    monkeypatch.setenv("ACIFLOW_STATE_DIR", str(tmp_path))
    Ledger(tmp_path / "ledger").write({"launch_id": "1", "id": "/subscriptions/s/web", "began": 0})

    assert "/subscriptions/s/web" in examine(capsys)[1]["by_name"]["ledger"]["detail"]


@pytest.mark.usefixtures("no_engine")
def test_check_that_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that itself breaks is one more finding, and the others go on."""

    def broken() -> Any:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(module, "_python", broken)
    _, found = examine(capsys)

    assert "ZeroDivisionError: oops" in found["by_name"]["aciflow"]["detail"]
    assert "packages" in found["by_name"]


def test_extras(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which extras are there, and for what the others would be."""
    monkeypatch.setitem(module._EXTRAS, "local", ("no-such-package",))

    _, found = examine(capsys, "--target", "local")

    assert "websockets" in found["by_name"]["extra exec"]["detail"]
    assert "az and other programs" in found["by_name"]["extra local"]["detail"]
    assert found["by_name"]["extra local"]["remedy"] == "pip install 'aciflow[local]'"


@pytest.mark.usefixtures("no_engine")
def test_served_endpoint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ``aciflow local --`` it looks at that endpoint, and asks Azure nothing."""
    with LocalAzure("simulated") as local, local.serve() as served:
        for name, value in served.environ().items():
            monkeypatch.setenv(name, value)
        code, found = examine(capsys)

    assert (code, found["url"], found["azure"], found["local"]) == (0, True, False, False)
    assert found["by_name"]["subscription"]["detail"] == local.subscription_id
    assert served.url.removeprefix("https://") in found["by_name"]["launches go to"]["detail"]


@pytest.mark.usefixtures("no_engine")
def test_another_target(capsys: pytest.CaptureFixture[str]) -> None:
    """Azure is not asked where the target is another one."""
    _, found = examine(capsys, "--target", "local")

    assert "not looked at" in found["by_name"]["azure"]["detail"]


def test_subscription_of_a_real_endpoint() -> None:
    """Provider, location and quota are read over ARM's wire protocol."""
    with LocalAzure("simulated") as local:
        target = resolve(local)
        gateway = Gateway(target.settings)
        try:
            found = {one.name: one for one in module._subscription(gateway, target)}
        finally:
            gateway.close()

    assert found["subscription"].detail == local.subscription_id
    assert "Microsoft.ContainerInstance is" in found["provider"].detail
    assert found["location"].detail == "eastus"
    assert " of " in found["quota"].detail


def test_quota_that_is_used_up() -> None:
    """A full quota is a warning, with the ways out."""
    full = module._quota({"name": {"value": "ContainerGroups"}, "currentValue": 5, "limit": 5})
    free = module._quota({"name": {"value": "ContainerGroups"}, "currentValue": 4, "limit": 5})

    assert (full.status, free.status) == ("warning", "ok")
    assert "another region" in full.remedy


def test_token_that_never_comes() -> None:
    """A credential that hangs does not hang the doctor."""
    import threading

    problem = module._within(0.05, threading.Event().wait)

    assert problem is not None
    assert "no token within" in str(problem)


@pytest.mark.slow
def test_no_credential() -> None:
    """A subscription without a credential: the credential is what is missing, in a few lines."""
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = keep | {
        "HOME": "/nonexistent",
        "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        # Answers at once that nobody is there, as the machine's own might not.
        "IDENTITY_ENDPOINT": "http://127.0.0.1:9/",
        "IDENTITY_HEADER": "x",
        "ACIFLOW_STATE_DIR": os.environ["ACIFLOW_STATE_DIR"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "aciflow", "doctor", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "Traceback" not in done.stderr
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["credential"]["status"] == "missing"
