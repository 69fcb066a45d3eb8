"""Tokens: made once, kept, renewed, and their failures told in a few lines."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import traceback

from typing import Any

import pytest

from attrs import evolve
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from tests.arm.conftest import TOKEN, Credential, Perform
from tests.arm.server import ArmServer

from aciflow import errors
from aciflow.arm import credentials
from aciflow.arm.aio_gateway import AsyncGateway
from aciflow.arm.gateway import Gateway
from aciflow.arm.settings import ArmSettings
from aciflow.flow.effects import ArmCall


GET = ArmCall(operation="group.get", resource_group="rg", name="web")


class Failing:
    """A credential that gives no token."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        raise self.error


class AsyncFailing(Failing):
    """The same, awaited."""

    async def get_token(self, *_: str, **__: Any) -> AccessToken:  # type: ignore[override]
        raise self.error


class Awaited(Credential):
    """An async credential."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:  # type: ignore[override]
        await asyncio.sleep(0.01)
        return super().get_token(*scopes, **kwargs)


def authenticate(settings: ArmSettings) -> None:
    """Get a token through an async gateway."""

    async def main() -> None:
        gateway = AsyncGateway(settings)
        await asyncio.gather(*(gateway.authenticate() for _ in range(5)))
        await gateway.close()

    asyncio.run(main())


def test_authenticate_is_the_token_of_all_calls(settings: ArmSettings, server: ArmServer) -> None:
    """One token serves both SDKs and the operations, for the endpoint's own scope."""
    gateway = Gateway(evolve(settings, credential_scopes=("https://arm/.default",)))
    gateway.authenticate()
    assert [] == server.asked

    gateway.perform(GET)
    gateway.perform(ArmCall(operation="rg.get", resource_group="rg"))
    gateway.perform(ArmCall(operation="operation.get", url=f"{server.url}/operations/1"))
    gateway.close()

    [(scopes, _)] = settings.credential.asked
    assert ("https://arm/.default",) == scopes


@pytest.mark.parametrize("kind", [Credential, Awaited])
def test_async_authenticate_takes_either_credential(
    kind: type[Credential], settings: ArmSettings
) -> None:
    """Five at once ask it once, whether it is awaited or runs in a thread."""
    credential = kind()
    authenticate(evolve(settings, credential=credential))

    assert 1 == len(credential.asked)


def test_an_async_credential_works(settings: ArmSettings, server: ArmServer) -> None:
    """An async credential's token is sent, and it is asked for claims as well."""
    credential = Awaited()

    async def main() -> None:
        gateway = AsyncGateway(evolve(settings, credential=credential))
        await gateway.perform(GET)
        await gateway.close()
        source = credentials.async_source_of(credential)
        await source.get_token("scope", claims="{}")

    asyncio.run(main())

    assert f"Bearer {TOKEN}" == server.asked[0].headers["authorization"]
    assert {"claims": "{}"} == credential.asked[-1][1]


def test_an_async_credential_is_refused_by_the_sync_gateway(settings: ArmSettings) -> None:
    """Instead of an error about coroutines, the message says where it belongs."""
    gateway = Gateway(evolve(settings, credential=Awaited()))
    with pytest.raises(errors.ConfigurationError, match=r"give aciflow\.aio that"):
        gateway.authenticate()


def test_a_thing_without_get_token_is_refused(settings: ArmSettings) -> None:
    """A secret string passed as credential= is an error that does not repeat it."""
    with pytest.raises(errors.ConfigurationError, match="not str") as caught:
        Gateway(evolve(settings, credential="hunter2"))

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("lasts", "asked"), [(3600, 1), (299, 2), (-1, 2)])
def test_a_token_is_renewed_five_minutes_before_its_end(lasts: int, asked: int) -> None:
    """A token that would end during a launch is not used."""

    class Short(Credential):
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            super().get_token(*scopes, **kwargs)
            return AccessToken("t", int(time.time()) + lasts)

    credential = Short()
    source = credentials.TokenSource(lambda: credential)
    source.get_token("s")
    source.get_token("s")

    assert asked == len(credential.asked)


class Outage(Credential):
    """Gives one token, and then none."""

    def __init__(self, lasts: int) -> None:
        super().__init__()
        self.lasts = lasts

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        super().get_token(*scopes, **kwargs)
        if len(self.asked) > 1:
            raise ServiceRequestError("login.microsoftonline.com: Name or service not known")
        return AccessToken("t", int(time.time()) + self.lasts)


class AsyncOutage(Outage):
    """The same, awaited."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:  # type: ignore[override]
        return super().get_token(*scopes, **kwargs)


def _ask(credential: Credential, times: int, **options: Any) -> list[str]:
    """Tokens from a source of its own, in either colour."""
    if isinstance(credential, AsyncOutage):

        async def main() -> list[str]:
            source = credentials.async_source_of(credential)
            tokens = [await source.get_token("s") for _ in range(times - 1)]
            return [found.token for found in [*tokens, await source.get_token("s", **options)]]

        return asyncio.run(main())
    source = credentials.TokenSource(lambda: credential)
    tokens = [source.get_token("s") for _ in range(times - 1)]
    return [found.token for found in [*tokens, source.get_token("s", **options)]]


@pytest.mark.parametrize("kind", [Outage, AsyncOutage])
def test_a_token_that_cannot_be_renewed_serves_to_its_end(kind: type[Outage]) -> None:
    """A network that is away takes the sign-in host along; it is not asked for each request."""
    credential = kind(200)
    assert ["t"] * 5 == _ask(credential, 5)
    assert 2 == len(credential.asked)


@pytest.mark.parametrize("kind", [Outage, AsyncOutage])
def test_a_token_that_has_ended_serves_no_more(kind: type[Outage]) -> None:
    """Nor does one for what the service asks more."""
    with pytest.raises(errors.CredentialError, match="Name or service not known"):
        _ask(kind(-1), 2)
    with pytest.raises(errors.CredentialError):
        _ask(kind(200), 2, claims="{}")


def test_a_renewal_that_failed_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A little later."""
    monkeypatch.setattr(credentials, "PAUSE", 0.0)
    credential = Outage(200)
    assert ["t"] * 3 == _ask(credential, 3)
    assert 3 == len(credential.asked)


def test_threads_that_wait_share_the_token() -> None:
    """Ten threads that need a token at once start one `az`, not ten."""

    class Slow(Credential):
        def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
            time.sleep(0.05)
            return super().get_token(*scopes, **kwargs)

    credential = Slow()
    source = credentials.source_of(credential)
    assert source is credentials.source_of(source)
    threads = [threading.Thread(target=source.get_token, args=("s",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(credential.asked)


@pytest.mark.parametrize(
    "error",
    [
        ClientAuthenticationError("AADSTS7000215: Invalid client secret.\nTrace ID: 1\n"),
        ServiceRequestError("login.microsoftonline.com: Name or service not known"),
        RuntimeError(""),
    ],
)
def test_no_token_is_a_credential_error(
    error: Exception, perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """Whatever a credential raises is told as such, in one line and a remedy, and nothing is sent."""
    with pytest.raises(errors.CredentialError, match="the credential gave no token: ") as caught:
        perform(evolve(settings, credential=Failing(error)), GET)

    said, remedy = str(caught.value).splitlines()
    assert (str(error).splitlines() or ["RuntimeError"])[0] in said
    assert "az login" in remedy
    assert [] == server.asked


def test_no_token_from_an_async_credential_is_one_too(settings: ArmSettings) -> None:
    """The same for an awaited one."""
    with pytest.raises(errors.CredentialError, match="No"):
        authenticate(evolve(settings, credential=AsyncFailing(RuntimeError("No"))))


@pytest.mark.parametrize("text", ["", "the-token\n", "the-token x", "the-t\xf6ken"])
def test_what_no_header_can_carry_is_no_token(settings: ArmSettings, text: str) -> None:
    """As of a file with a line break at its end; nothing that is raised has it in it."""
    for kind in (Credential, Awaited):
        credential = kind()
        credential.token = text
        changed = evolve(settings, credential=credential)
        run = authenticate if kind is Awaited else lambda given: Gateway(given).authenticate()
        with pytest.raises(errors.CredentialError, match="that is no token") as caught:
            run(changed)
        assert "the-t" not in "".join(traceback.format_exception(caught.value))


def test_our_own_errors_pass(settings: ArmSettings) -> None:
    """A credential of ours (a local endpoint's) may raise ours, and it stays what it is."""
    ours = errors.EngineUnavailableError("no engine")
    with pytest.raises(errors.EngineUnavailableError):
        Gateway(evolve(settings, credential=Failing(ours))).authenticate()
    with pytest.raises(errors.EngineUnavailableError):
        authenticate(evolve(settings, credential=AsyncFailing(ours)))


def test_the_default_credential_s_list_is_short(
    settings: ArmSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real DefaultAzureCredential without any login: one short line for each that it tried."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    monkeypatch.setenv("PATH", "/nonexistent")
    credentials._defaults.clear()

    with pytest.raises(errors.CredentialError) as caught:
        Gateway(evolve(settings, credential=None)).authenticate()
    credentials._defaults.clear()

    lines = str(caught.value).splitlines()
    assert "no credential gave a token; tried:" == lines[0]
    assert any(line.startswith("  AzureCliCredential: ") for line in lines)
    assert all(len(line) < 140 for line in lines)
    assert "az login" in lines[-1]
    assert "https://aka.ms/azsdk" not in str(caught.value)
    assert "  SharedTokenCacheCredential: No accounts were found in the cache" in str(caught.value)


def test_the_default_credential_is_one_a_process_and_cloud() -> None:
    """Two clients share it, so that `az` is asked once; another cloud has another."""
    one = credentials.default_credential()

    assert one is credentials.default_credential()
    assert one is credentials.source_of(None)
    assert one is not credentials.default_credential("https://login.microsoftonline.us")


def test_a_long_reason_is_cut() -> None:
    """A credential's page of text becomes one line."""
    [line, _] = credentials.explain(RuntimeError("x" * 1000)).splitlines()

    assert len(line) < 340
    assert line.endswith("…")
    assert "no reason given" in credentials.explain(ClientAuthenticationError(" "))


def test_azure_identity_is_imported_for_the_default_alone() -> None:
    """With a credential= neither azure.identity nor msal nor requests is loaded by a gateway."""
    code = (
        "import sys\n"
        "from aciflow.arm.gateway import Gateway\n"
        "from aciflow.arm.settings import ArmSettings\n"
        "class C:\n"
        "    def get_token(self, *a, **k): ...\n"
        "Gateway(ArmSettings(subscription_id='s', credential=C()))\n"
        "Gateway(ArmSettings(subscription_id='s'))\n"
        "print([m for m in ('azure.identity', 'msal', 'azure.mgmt.containerinstance')"
        " if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("[]\n", "") == (done.stdout, done.stderr)
