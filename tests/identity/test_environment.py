"""The environment of other programs: what it names, who finds the endpoint by it, and what stays private."""

from __future__ import annotations

import configparser
import json
import os
import stat
import subprocess
import sys

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aciflow.local import LocalAzure
from aciflow.local.served.environment import environ
from aciflow.local.served.facts import Facts


def facts(directory: Path, **more: Any) -> Facts:
    """An endpoint that is not there."""
    bundle = directory / "bundle.pem"
    bundle.write_text("all roots\n")
    own = directory / "own.pem"
    own.write_text("own root\n")
    return Facts(
        **{
            "url": "https://localhost:4443",
            "subscription_id": "sub",
            "tenant_id": "tenant",
            "client_id": "client",
            "client_secret": "the-secret",
            "identity_secret": "the-header",
            "ca_file": bundle,
            "own_ca_file": own,
            "directory": directory,
            **more,
        }
    )


# --- what it names ------------------------------------------------------------------------------


def test_each_kind_of_client_is_told(tmp_path: Path) -> None:
    """Where the endpoint is, whom to trust and how to sign in, by the names that each of them reads."""
    found = environ(facts(tmp_path), {})
    bundle = str(tmp_path / "bundle.pem")

    assert found["ACIFLOW_TARGET"] == found["AZURE_AUTHORITY_HOST"] == "https://localhost:4443"
    assert found["ARM_METADATA_HOSTNAME"] == "localhost:4443"
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        assert found[name] == bundle
    assert found["WEBSOCKET_CLIENT_CA_BUNDLE"] == bundle
    assert found["NODE_EXTRA_CA_CERTS"] == str(tmp_path / "own.pem")
    for prefix in ("AZURE", "ARM"):
        assert found[f"{prefix}_CLIENT_SECRET"] == "the-secret"
        assert found[f"{prefix}_TENANT_ID"] == "tenant"
        assert found[f"{prefix}_SUBSCRIPTION_ID"] == "sub"
    assert found["IDENTITY_ENDPOINT"].startswith("https://localhost:4443/")
    assert found["IDENTITY_HEADER"] == "the-header"
    assert found["AZURE_CORE_INSTANCE_DISCOVERY"] == "false"
    assert "HTTPS_PROXY" not in found


def test_az_s_files_are_private_and_complete(tmp_path: Path) -> None:
    """A cloud, an account and an application, in a directory that only its user may enter."""
    config = Path(environ(facts(tmp_path), {})["AZURE_CONFIG_DIR"])
    clouds, settings = configparser.ConfigParser(), configparser.ConfigParser()
    clouds.read(config / "clouds.config")
    settings.read(config / "config")
    cloud = settings["cloud"]["name"]
    (account,) = json.loads((config / "azureProfile.json").read_text())["subscriptions"]
    (principal,) = json.loads((config / "service_principal_entries.json").read_text())

    assert clouds[cloud]["endpoint_resource_manager"] == "https://localhost:4443/"
    assert (account["id"], account["isDefault"], account["environmentName"]) == ("sub", True, cloud)
    assert principal["client_id"] == account["user"]["name"] == "client"
    assert settings["core"]["collect_telemetry"] == "no"
    assert stat.S_IMODE(config.stat().st_mode) == 0o700
    for file in config.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_az_has_changed_stays(tmp_path: Path) -> None:
    """The environment may be asked for again, while an az runs in it."""
    config = Path(environ(facts(tmp_path), {})["AZURE_CONFIG_DIR"]) / "config"
    config.write_text(config.read_text() + "[defaults]\ngroup = mine\n")

    environ(facts(tmp_path), {})

    assert "group = mine" in config.read_text()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", []),
        ("corp.example, .internal", ["corp.example", ".internal"]),
        ("*", []),
        (".azure.com,corp.example", ["corp.example"]),
        ("management.azure.com:443", []),
        ("microsoftonline.com", []),
        ("zure.com", ["zure.com"]),
    ],
)
def test_intercepted_hosts_come_by_the_proxy(tmp_path: Path, given: str, kept: list[str]) -> None:
    """NO_PROXY keeps what the user has in it, but for what would lead past the proxy."""
    proxy = "http://aciflow:password@127.0.0.1:1"
    intercepted = environ(facts(tmp_path, proxy_url=proxy), {"NO_PROXY": given})
    plain = environ(facts(tmp_path), {"NO_PROXY": given})

    own = ["localhost", "127.0.0.1", "127.0.0.0/8", "::1"]
    assert intercepted["NO_PROXY"].split(",") == [*kept, *own]
    assert intercepted["NO_PROXY"] == intercepted["no_proxy"]
    assert intercepted["HTTPS_PROXY"] == intercepted["https_proxy"] == proxy
    assert set(plain["NO_PROXY"].split(",")) >= {
        *own,
        *(part.strip() for part in given.split(",") if part),
    }


def test_the_user_s_own_authorities_for_node_stay(tmp_path: Path) -> None:
    """Node takes one file, so both are in it."""
    mine = tmp_path / "mine.pem"
    mine.write_text("my root")

    found = environ(facts(tmp_path), {"NODE_EXTRA_CA_CERTS": str(mine)})

    assert Path(found["NODE_EXTRA_CA_CERTS"]).read_text() == "my root\nown root\n"
    missing = environ(facts(tmp_path), {"NODE_EXTRA_CA_CERTS": str(tmp_path / "nothing")})
    assert missing["NODE_EXTRA_CA_CERTS"] == str(tmp_path / "own.pem")


def test_no_secret_is_in_the_repr_of_the_facts(tmp_path: Path) -> None:
    """Neither the application's, nor the header's, nor the proxy's."""
    shown = repr(facts(tmp_path, proxy_url="http://aciflow:password@127.0.0.1:1"))

    assert "the-secret" not in shown
    assert "the-header" not in shown
    assert "password" not in shown


# --- who finds the endpoint ---------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[LocalAzure]:
    """A simulated endpoint that other processes reach."""
    with LocalAzure("simulated", speed=100.0) as azure, azure.serve():
        yield azure


def run(azure: LocalAzure, program: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python program in the environment that the endpoint gives, with warnings as errors."""
    environment = {**os.environ, **azure.environ(), **more}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


SYNC = """
import aciflow
with aciflow.Client() as client:
    with client.launch("nginx", name="mine", ready=aciflow.Ready.running()) as group:
        print(group.target, group.location, [one.name for one in client.list()])
"""

ASYNC = """
import asyncio, aciflow
async def main():
    async with aciflow.AsyncClient() as client:
        async with await client.launch("nginx", name="mine", ready=aciflow.Ready.running()) as group:
            print(group.target, group.location, [one.name for one in await client.list()])
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_aciflow_in_another_process_finds_it(served: LocalAzure, program: str) -> None:
    """By ACIFLOW_TARGET, with the environment's secret and trust, whatever proxy there is."""
    done = run(served, program, HTTPS_PROXY="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["url", "eastus", "['mine']"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AZURE_CLIENT_SECRET": "not-the-secret"}, "AADSTS7000215: Invalid client secret"),
        ({"AZURE_TENANT_ID": "elsewhere"}, "AADSTS90002: Tenant 'elsewhere' not found"),
        (
            {
                "ACIFLOW_TARGET": "https://localhost:1",
                "AZURE_AUTHORITY_HOST": "https://localhost:1",
            },
            "no token from https://localhost:1: it cannot be reached",
        ),
        (
            {
                "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
                "IDENTITY_ENDPOINT": "https://localhost:1/msi/token",
            },
            "pass credential=",
        ),
    ],
)
def test_what_is_wrong_with_a_secret_is_said(
    served: LocalAzure, change: dict[str, str], said: str
) -> None:
    """In a CredentialError, without the secret, also not in the traceback."""
    done = run(served, "import aciflow; list(aciflow.Client().list())", **change)

    assert done.returncode == 1
    assert "CredentialError: " in done.stderr
    assert said in done.stderr
    for secret in (served.environ()["AZURE_CLIENT_SECRET"], "not-the-secret"):
        assert secret not in done.stderr + done.stdout


def test_a_default_azure_credential_gets_a_token(served: LocalAzure) -> None:
    """The SDKs' usual credential works as it is, and asks nobody else."""
    program = """
from azure.identity import DefaultAzureCredential
from azure.mgmt.resource.resources import ResourceManagementClient
import os
base = os.environ["AZURE_RESOURCE_MANAGER_URL"]
client = ResourceManagementClient(
    DefaultAzureCredential(), os.environ["AZURE_SUBSCRIPTION_ID"], base_url=base,
    credential_scopes=[base + "/.default"])
client.resource_groups.create_or_update("mine", {"location": "eastus"})
print([one.name for one in client.resource_groups.list()])
"""
    done = run(served, program)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "['mine']\n"
