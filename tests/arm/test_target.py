"""Where a client works: each rule of ``auto``, and what a target cannot honour."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.arm.conftest import SUBSCRIPTION, Credential

from aciflow import errors
from aciflow.arm.azconfig import default_location, default_subscription
from aciflow.arm.credentials import default_credential
from aciflow.arm.gateway import Gateway
from aciflow.flow.effects import ArmCall
from aciflow.local.azure import LocalAzure
from aciflow.target import LOCAL_URL, resolve


FROM_ENV = "22222222-0000-0000-0000-000000000000"
FROM_AZ = "33333333-0000-0000-0000-000000000000"


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Az's directory, empty."""
    directory = tmp_path / "azure"
    directory.mkdir()
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(directory))
    return directory


def log_in(directory: Path, **changes: Any) -> None:
    """As `az login` leaves azureProfile.json, with its byte order mark."""
    entry = {
        "id": FROM_AZ,
        "name": "Mine",
        "state": "Enabled",
        "user": {"name": "me@example.com", "type": "user"},
        "isDefault": True,
        "tenantId": "t",
        "environmentName": "AzureCloud",
        **changes,
    }
    other = {**entry, "id": "other", "isDefault": False}
    profile = {"installationId": "x", "subscriptions": [other, entry]}
    (directory / "azureProfile.json").write_text(json.dumps(profile), encoding="utf-8-sig")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAzure]:
    """The shared endpoint, simulated here: which one it is, is not this part's business."""
    with LocalAzure(runtime="simulated", speed=1000) as endpoint:
        monkeypatch.setattr(LocalAzure, "shared", lambda: endpoint)
        yield endpoint


# --- auto -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"subscription_id": SUBSCRIPTION},
        {"credential": Credential(), "subscription_id": SUBSCRIPTION},
        {"cloud": "usgov", "subscription_id": SUBSCRIPTION},
    ],
)
def test_an_argument_of_azure_s_means_azure(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """subscription_id=, credential= and cloud= win over everything that this machine says."""
    monkeypatch.setenv("ACIFLOW_TARGET", "local")

    found = resolve("auto", **given)

    assert ("azure", SUBSCRIPTION, "") == (found.kind, found.subscription_id, found.label)


@pytest.mark.parametrize("given", [{"credential": Credential()}, {"cloud": "china"}])
def test_an_argument_of_azure_s_still_needs_a_subscription(given: dict[str, Any]) -> None:
    """Azure without a subscription is an error that says the three ways to have one."""
    with pytest.raises(errors.ConfigurationError, match="AZURE_SUBSCRIPTION_ID, or `az login`"):
        resolve("auto", **given)


def test_then_aciflow_target_decides(
    shared: LocalAzure, az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ACIFLOW_TARGET wins over a configured Azure, and says it without a warning."""
    log_in(az)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", FROM_ENV)
    monkeypatch.setenv("ACIFLOW_TARGET", "local")

    found = resolve()

    assert "local" == found.kind
    assert shared is found.endpoint


@pytest.mark.parametrize("value", ["", " ", "auto"])
def test_then_azure_subscription_id_does(
    value: str, az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ACIFLOW_TARGET that says nothing leaves it to AZURE_SUBSCRIPTION_ID, before az's default."""
    log_in(az)
    monkeypatch.setenv("ACIFLOW_TARGET", value)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", FROM_ENV)

    found = resolve()

    assert ("azure", FROM_ENV) == (found.kind, found.subscription_id)


def test_then_az_s_default_subscription_does(az: Path) -> None:
    """Who is signed in to az works in its default subscription."""
    log_in(az)

    found = resolve()

    assert ("azure", FROM_AZ) == (found.kind, found.subscription_id)
    assert "https://management.azure.com" == found.base_url


def test_az_s_directory_is_in_the_home_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without AZURE_CONFIG_DIR it is ~/.azure."""
    monkeypatch.delenv("AZURE_CONFIG_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".azure").mkdir()
    log_in(tmp_path / ".azure")

    assert FROM_AZ == resolve().subscription_id


@pytest.mark.parametrize(
    ("name", "cloud", "base_url"),
    [
        ("AzureUSGovernment", "public", "https://management.usgovcloudapi.net"),
        ("AzureUSGovernment", "usgov", "https://management.usgovcloudapi.net"),
        ("AzureChinaCloud", None, "https://management.chinacloudapi.cn"),
        ("", "public", "https://management.azure.com"),
    ],
)
def test_az_s_default_subscription_brings_its_cloud(
    name: str, cloud: str | None, base_url: str, az: Path
) -> None:
    """A subscription of a sovereign cloud is used there."""
    log_in(az, environmentName=name)

    assert base_url == resolve("azure", cloud=cloud).base_url


def test_a_cloud_that_is_not_the_subscription_s_is_an_error(az: Path) -> None:
    """cloud= and az's default subscription that contradict each other are not guessed away."""
    log_in(az)

    with pytest.raises(errors.ConfigurationError, match="is in the cloud AzureCloud"):
        resolve(cloud="usgov")
    with pytest.raises(errors.ConfigurationError, match="is in the cloud AzureCloud"):
        resolve("https://management.usgovcloudapi.net")


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        '{"subscriptions": []}',
        '{"subscriptions": [1]}',
        '{"subscriptions": [{"isDefault": true}]}',
        '{"subscriptions": [{"isDefault": true, "id": ""}]}',
        '{"subscriptions": [{"isDefault": true, "id": "t", "tenantId": "t"}]}',
        '{"subscriptions": null}',
    ],
)
def test_a_profile_without_a_subscription_is_none(
    content: str, az: Path, shared: LocalAzure
) -> None:
    """A login without subscriptions, or a broken file, leaves the local endpoint, with the warning."""
    (az / "azureProfile.json").write_text(content)

    assert default_subscription() is None
    with pytest.warns(errors.LocalTargetWarning):
        assert shared is resolve().endpoint


def test_a_subscription_of_a_registered_cloud_is_not_guessed(az: Path, shared: LocalAzure) -> None:
    """Az may be pointed at any cloud (a local one, say); aciflow does not know its address."""
    log_in(az, environmentName="my-emulator")

    with pytest.warns(errors.LocalTargetWarning):
        assert shared is resolve().endpoint
    with pytest.raises(errors.ConfigurationError, match="is in the cloud my-emulator"):
        resolve("azure")


def test_without_any_azure_it_is_local_and_says_so(az: Path, shared: LocalAzure) -> None:
    """The warning points at the line that called, so Python shows it once a line."""
    assert not list(az.iterdir())
    with pytest.warns(errors.LocalTargetWarning, match="no Azure is configured") as caught:
        found = resolve()
    assert __file__ == caught[0].filename

    with warnings.catch_warnings(record=True) as again:
        warnings.simplefilter("default")
        for _ in range(3):
            assert found.endpoint is resolve().endpoint is shared
    assert [errors.LocalTargetWarning] == [warning.category for warning in again]
    assert ("local", "local simulated, not Azure") == (found.kind, found.label)


# --- what is named ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["local", "object"])
def test_a_local_endpoint_is_a_whole_target(how: str, shared: LocalAzure) -> None:
    """Named or handed over: its own subscription, credential and wire; it answers."""
    found = resolve("local" if how == "local" else shared)
    gateway = Gateway(found.settings)
    reply = gateway.perform(ArmCall(operation="group.list_all"))
    gateway.close()

    assert {"value": []} == reply.body
    assert shared.subscription_id == found.subscription_id == found.settings.subscription_id
    assert ("eastus", LOCAL_URL) == (found.location, found.base_url)
    assert "northeurope" == resolve(shared, location="northeurope").location
    assert "local" == resolve(shared, subscription_id=shared.subscription_id).kind


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"subscription_id": SUBSCRIPTION}, "subscription_id="),
        ({"credential": Credential()}, "credential="),
        ({"cloud": "china"}, "cloud="),
        (
            {"subscription_id": SUBSCRIPTION, "credential": Credential(), "cloud": "china"},
            "subscription_id=, credential=, cloud=",
        ),
    ],
)
def test_what_a_local_endpoint_cannot_honour_raises(
    given: dict[str, Any], named: str, shared: LocalAzure
) -> None:
    """Arguments that only Azure understands are an error beside target="local", all named."""
    with pytest.raises(errors.ConfigurationError, match=f"cannot honour {named}:"):
        resolve("local", **given)
    with pytest.raises(errors.ConfigurationError, match="cannot honour"):
        resolve(shared, **given)


@pytest.mark.parametrize("wrong", ["Azure", "", "localhost:8443", 7, None])
def test_a_target_that_is_none_says_what_is(wrong: Any) -> None:
    """A typing error is told what there is to choose from."""
    with pytest.raises(errors.ConfigurationError, match="a LocalAzure"):
        resolve(wrong)


def test_a_cloud_that_is_none_says_what_is() -> None:
    """So is a cloud."""
    with pytest.raises(errors.ConfigurationError, match="choose one of public, usgov, china"):
        resolve(cloud="germany")


def test_azure_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over the environment; the default credential is the cloud's own."""
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", FROM_ENV)
    mine = Credential()

    plain = resolve("azure")
    full = resolve(
        "azure", subscription_id=SUBSCRIPTION, credential=mine, cloud="usgov", api_version="v"
    )

    assert FROM_ENV == plain.subscription_id
    assert default_credential() is plain.settings.credential
    assert ("https://management.azure.com/.default",) == plain.settings.credential_scopes
    assert plain.settings.transport is None
    assert SUBSCRIPTION == full.settings.subscription_id
    assert mine is full.settings.credential
    assert "v" == full.settings.api_version
    assert ("https://management.core.usgovcloudapi.net/.default",) == (
        full.settings.credential_scopes
    )
    assert (
        default_credential("https://login.microsoftonline.us")
        is resolve("azure", cloud="usgov").settings.credential
    )


# --- an endpoint's URL ------------------------------------------------------------------------


def test_a_url_gets_no_token_but_a_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No DefaultAzureCredential token, nor an environment's secret, goes to whoever has a URL."""
    monkeypatch.setenv("AZURE_CLIENT_ID", "id")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "secret")
    with pytest.raises(errors.CredentialError, match="no DefaultAzureCredential token"):
        resolve("https://arm.example", subscription_id=SUBSCRIPTION)
    monkeypatch.setenv("ACIFLOW_TARGET", "https://arm.example")
    with pytest.raises(errors.CredentialError, match="pass credential="):
        resolve()


def test_a_url_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the given credential, for a token of its own audience, and needs a subscription."""
    mine = Credential()
    with pytest.raises(errors.ConfigurationError, match="pass subscription_id="):
        resolve("https://arm.example", credential=mine)

    found = resolve("HTTPS://Arm.Example:8443/", credential=mine, subscription_id=SUBSCRIPTION)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", FROM_ENV)
    other = resolve("https://[::1]:443", credential=mine)

    assert ("url", "https://arm.example:8443") == (found.kind, found.base_url)
    assert "arm.example:8443, not Azure" == found.label
    assert mine is found.settings.credential
    assert ("https://arm.example:8443/.default",) == found.settings.credential_scopes
    assert ("https://[::1]", FROM_ENV) == (other.base_url, other.subscription_id)


@pytest.mark.parametrize(
    ("url", "scope"),
    [
        ("https://management.azure.com/", "https://management.azure.com/.default"),
        ("https://westus.management.azure.com", "https://management.azure.com/.default"),
        (
            "https://management.usgovcloudapi.net:443",
            "https://management.core.usgovcloudapi.net/.default",
        ),
    ],
)
def test_azure_s_own_url_is_azure(url: str, scope: str) -> None:
    """The URL of one of Azure's clouds has the default credential, and that cloud's scope."""
    found = resolve(url, subscription_id=SUBSCRIPTION)

    assert "azure" == found.kind
    assert url.rstrip("/").removesuffix(":443") == found.base_url == found.settings.base_url
    assert (scope,) == found.settings.credential_scopes


@pytest.mark.parametrize(
    "url",
    [
        "https://management.azure.com.evil.example",
        "https://evilmanagement.azure.com",
        "https://management.azure.com:8443",
        "https://x.management.azure.com:8443",
    ],
)
def test_what_only_looks_like_azure_is_not(url: str) -> None:
    """A name or a port beside Azure's gets no default token."""
    with pytest.raises(errors.CredentialError, match="none of Azure's own"):
        resolve(url, subscription_id=SUBSCRIPTION)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://localhost:8443", "over https:// only"),
        ("ftp://x", "over https:// only"),
        ("https://", "over https:// only"),
        ("https://arm.example/path", "without a path"),
        ("https://arm.example?x=hunter2", "without a path"),
        ("https://me:hunter2@arm.example", "has a user"),
        ("https://me:hunter2@arm.example:x", "is not a URL"),
        ("https://[::1", "is not a URL"),
    ],
)
def test_a_url_that_a_token_may_not_be_sent_to(url: str, said: str) -> None:
    """Plain http, a user in the URL, a path: refused, without repeating a password."""
    with pytest.raises(errors.ConfigurationError, match=said) as caught:
        resolve(url, credential=Credential(), subscription_id=SUBSCRIPTION)

    assert "me:hunter2" not in str(caught.value)


def test_a_cloud_beside_a_url_must_be_its_own() -> None:
    """cloud= says nothing about an endpoint, and may not contradict Azure's own URL."""
    with pytest.raises(errors.ConfigurationError, match="says nothing about"):
        resolve("https://arm.example", cloud="usgov", credential=Credential())
    with pytest.raises(errors.ConfigurationError, match="is in the cloud 'china', not 'usgov'"):
        resolve("https://management.chinacloudapi.cn", cloud="usgov")


# --- the location -----------------------------------------------------------------------------


def test_the_location_is_the_argument_s_then_az_s(
    az: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument, AZURE_DEFAULTS_LOCATION, az's config; none is chosen in silence on Azure."""
    assert resolve("azure", subscription_id=SUBSCRIPTION).location is None

    (az / "config").write_text("[core]\noutput = json\n[defaults]\nlocation = northeurope\n")
    assert "northeurope" == resolve("azure", subscription_id=SUBSCRIPTION).location

    monkeypatch.setenv("AZURE_DEFAULTS_LOCATION", "westus2")
    found = resolve("https://arm.example", subscription_id=SUBSCRIPTION, credential=Credential())
    assert "westus2" == found.location

    assert "uksouth" == resolve("azure", subscription_id=SUBSCRIPTION, location="uksouth").location


@pytest.mark.parametrize(
    "content", [b"", b"[defaults]\nlocation =\n", b"no section", b"[x\xff]\n", b"[a]\nx=%(y)s\n"]
)
def test_a_config_without_a_location_has_none(content: bytes, az: Path) -> None:
    """Empty, broken or about something else."""
    (az / "config").write_bytes(content)

    assert default_location() is None


def test_a_target_tells_no_secret() -> None:
    """Neither the target's repr nor the settings' has the credential."""

    class Talkative(Credential):
        def __repr__(self) -> str:
            return "hunter2"

    found = resolve("azure", subscription_id=SUBSCRIPTION, credential=Talkative())

    assert "hunter2" not in repr(found) + repr(found.settings)


def test_resolving_imports_no_sdk() -> None:
    """To decide for Azure neither azure nor msal nor httpx is loaded."""
    code = (
        "import sys\n"
        "from aciflow.target import resolve\n"
        f"resolve('azure', subscription_id={SUBSCRIPTION!r})\n"
        "print([m for m in ('azure', 'msal', 'httpx', 'requests') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("[]\n", "") == (done.stdout, done.stderr)


def test_an_endpoint_that_is_its_own_authority_gets_the_environment_s_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in the environment of ``aciflow local -- COMMAND``; no other endpoint gets it."""
    own = "https://localhost:4443"
    secret = "a-secret-of-the-endpoint"
    monkeypatch.setenv("ACIFLOW_TARGET", own)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", SUBSCRIPTION)
    monkeypatch.setenv("AZURE_TENANT_ID", "tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "client")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", secret)

    for elsewhere in (
        "https://localhost:4444",
        "https://login.microsoftonline.com",
        "http://x",
        "",
    ):
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", elsewhere)
        with pytest.raises(errors.CredentialError, match="pass credential="):
            resolve()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{own}/msi/token")  # as where Azure is intercepted
    assert resolve().base_url == own
    monkeypatch.setenv("IDENTITY_ENDPOINT", "https://localhost:4444/msi/token")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"{own}/")
    found = resolve()

    assert ("url", own, SUBSCRIPTION) == (found.kind, found.base_url, found.subscription_id)
    assert "eastus" == found.location
    assert found.served
    assert not resolve(own, credential=object()).served
    assert secret not in repr(found) + repr(found.settings) + repr(found.settings.credential)
    with pytest.raises(errors.CredentialError, match="pass credential="):
        resolve("https://arm.example")
