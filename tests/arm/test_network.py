"""Endpoints that are down, slow or untrusted; proxies; and a token that nobody sees."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import ssl
import threading
import time

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attrs import evolve
from tests.arm.conftest import TOKEN, Credential, Perform
from tests.arm.proxy import ConnectProxy
from tests.arm.server import ArmServer, Asked, Said

from aciflow import errors
from aciflow.arm.aio_gateway import AsyncGateway
from aciflow.arm.gateway import Gateway
from aciflow.arm.network import ssl_context
from aciflow.arm.settings import ArmSettings
from aciflow.flow.effects import ArmCall


GET = ArmCall(operation="group.get", resource_group="rg", name="web")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no certificates but a test's own."""
    for name in (*PROXIES, *BUNDLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts and then says nothing, not even TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


# --- no reply ---------------------------------------------------------------------------------


def test_an_endpoint_that_is_down_is_known_at_once(
    perform: Perform, settings: ArmSettings, closed_port: int
) -> None:
    """No retries: a refused connection is an error within a fraction of azure-core's 4.8 s."""
    there = evolve(settings, base_url=f"https://localhost:{closed_port}")
    begun = time.monotonic()

    with pytest.raises(errors.EndpointUnreachableError) as caught:
        perform(there, GET)

    assert time.monotonic() - begun < 2.0
    assert str(caught.value).startswith(
        f"read container group 'web': localhost:{closed_port} cannot be reached: "
    )
    assert isinstance(caught.value.__cause__, OSError)


def test_an_unknown_host_is_unreachable(perform: Perform, settings: ArmSettings) -> None:
    """A name that does not resolve is the same error."""
    with pytest.raises(
        errors.EndpointUnreachableError, match=r"no-such\.invalid cannot be reached"
    ):
        perform(evolve(settings, base_url="https://no-such.invalid"), GET)


# httpcore leaves the socket of a handshake that was cut short to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_silence_ends_at_the_call_s_timeout(
    perform: Perform, settings: ArmSettings, silent_port: int
) -> None:
    """A host that accepts and never speaks costs the call's own timeout."""
    there = evolve(settings, base_url=f"https://localhost:{silent_port}")
    begun = time.monotonic()

    with pytest.raises(errors.EndpointUnreachableError, match=f"localhost:{silent_port}"):
        perform(there, evolve(GET, timeout=0.3))

    assert 0.2 < time.monotonic() - begun < 3.0
    gc.collect()


def test_a_reply_that_never_comes_is_told_apart(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """The request arrived: the error says that there was no reply, not that there is no host."""
    hold = threading.Event()
    server.answer = lambda _: Said(200) if hold.wait(5) else None
    try:
        with pytest.raises(errors.EndpointUnreachableError, match="did not reply in time"):
            perform(settings, evolve(GET, timeout=0.3))
    finally:
        hold.set()


def test_a_hang_up_is_no_reply(perform: Perform, settings: ArmSettings, server: ArmServer) -> None:
    """A connection that is closed instead of answered is an unreachable endpoint, not an empty reply."""
    server.answer = lambda _: None

    with pytest.raises(errors.EndpointUnreachableError, match="broke off or did not reply"):
        perform(settings, GET)


def test_an_untrusted_certificate_names_the_remedy(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """TLS that cannot be trusted says which variables mend it, and the token was not sent."""
    with pytest.raises(
        errors.EndpointUnreachableError, match="REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    ):
        perform(evolve(settings, verify=True), GET)

    assert [] == server.asked


# --- what the service refuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "InvalidAuthenticationToken", errors.AuthenticationError),
        (401, "InvalidAuthenticationTokenTenant", errors.AuthenticationError),
        (403, "AuthorizationFailed", errors.AuthorizationError),
        (404, "ResourceNotFound", errors.NotFoundError),
        (409, "ContainerGroupTransitioning", errors.TransitioningError),
        (429, "TooManyRequests", errors.ThrottledError),
        (500, "InternalServerError", errors.ServiceError),
        (503, "ServiceUnavailable", errors.ServiceError),
    ],
)
def test_a_refusal_is_raised_once_and_not_retried(
    status: int,
    code: str,
    kind: type[errors.ArmError],
    perform: Perform,
    settings: ArmSettings,
    server: ArmServer,
) -> None:
    """One request, one error: retries are the flow's, on its clock."""
    server.answer = lambda _: Said(
        status,
        {"error": {"code": code, "message": "No."}},
        {"Retry-After": "60", "x-ms-request-id": "r"},
    )

    with pytest.raises(kind, match=r"read container group 'web': No\. ") as caught:
        perform(settings, GET)

    assert 1 == len(server.asked)
    assert (status, code, 60.0, "r") == (
        caught.value.status,
        caught.value.code,
        caught.value.retry_after,
        caught.value.request_id,
    )


def test_the_provider_is_not_registered_in_passing(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """azure-core's ten-second automatic registration is off: the error is the flow's to act on."""
    server.answer = lambda _: Said(
        409, {"error": {"code": "MissingSubscriptionRegistration", "message": "Not registered."}}
    )

    with pytest.raises(errors.NotRegisteredError):
        perform(settings, evolve(GET, operation="group.put", body={}))

    assert ["PUT"] == [asked.method for asked in server.asked]


def test_a_redirect_is_not_followed(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """ARM sends none; following one would carry the token along."""
    server.answer = lambda _: Said(307, None, {"Location": "https://evil.example/"})

    with pytest.raises(errors.ServiceError, match="HTTP 307"):
        perform(settings, GET)

    assert 1 == len(server.asked)


def test_a_proxy_s_page_is_named_as_such(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """HTML instead of ARM's JSON is an error that says whose it is."""
    server.answer = lambda _: Said(
        502, b"<html><title>Bad Gateway</title></html>", {"Content-Type": "text/html"}
    )

    with pytest.raises(errors.ServiceError, match="not ARM's: Bad Gateway"):
        perform(settings, GET)


def test_a_token_that_was_revoked_is_replaced(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A remembered token that is refused is replaced once, within the call."""

    class Rotating(Credential):
        def get_token(self, *scopes: str, **kwargs: Any) -> Any:
            self.token = "new" if self.asked else "old"
            return super().get_token(*scopes, **kwargs)

    def answer(asked: Asked) -> Said:
        # the old one is good for the first request alone
        if asked.headers["authorization"] == "Bearer new" or len(server.asked) == 1:
            return Said(200, {})
        return Said(401, {"error": {"code": "ExpiredAuthenticationToken", "message": "Old."}})

    server.answer = answer
    reply = perform(evolve(settings, credential=Rotating()), GET, GET)

    assert 200 == reply.status
    sent = [asked.headers["authorization"] for asked in server.asked]
    assert ["Bearer old", "Bearer old", "Bearer new"] == sent


def test_a_token_that_is_refused_twice_is_the_caller_s_matter(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """A new token that is refused as well is not replaced again; nor is it used by the next call."""
    refused = Said(401, {"error": {"code": "InvalidAuthenticationToken", "message": "No."}})
    replies = [Said(200, {}), refused, refused]
    server.answer = lambda _: replies.pop(0)

    with pytest.raises(errors.AuthenticationError, match="sign in again"):
        perform(settings, GET, GET, GET)

    assert [] == replies
    assert 2 == len(settings.credential.asked)


def test_a_claims_challenge_is_met(
    perform: Perform, settings: ArmSettings, server: ArmServer
) -> None:
    """Continuous access evaluation: a 401 that names claims is answered with a token for them."""
    challenge = 'Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="'
    replies = [Said(401, {}, {"WWW-Authenticate": challenge}), Said(200, {"fine": True})]
    server.answer = lambda _: replies.pop(0)

    reply = perform(settings, GET)

    assert {"fine": True} == reply.body
    assert '{"a":1}' == settings.credential.asked[-1][1]["claims"]


# --- the token --------------------------------------------------------------------------------


def chain(error: BaseException) -> list[BaseException]:
    """An error and all that hang on it."""
    found: list[BaseException] = []
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is not None and one not in found:
            found.append(one)
            queue += [one.__cause__, one.__context__]
    return found


class Picky(Credential):
    """Refuses to give a token for claims."""

    def get_token(self, *scopes: str, **kwargs: object) -> object:  # type: ignore[override]
        if "claims" in kwargs:
            raise RuntimeError("no claims here")
        return super().get_token(*scopes, **kwargs)


@pytest.mark.parametrize("case", ["refused", "hang up", "html", "claims", "untrusted", "down"])
def test_the_token_is_in_no_error_and_no_log(
    case: str,
    perform: Perform,
    settings: ArmSettings,
    server: ArmServer,
    closed_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not in the message, not in what hangs on the error, not in any library's debug log."""
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-value"
    challenge = {"WWW-Authenticate": 'Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="'}
    answers = {
        "refused": Said(401, {"error": {"code": "InvalidAuthenticationToken", "message": "No."}}),
        "html": Said(502, b"<p>", {"Content-Type": "text/html"}),
        "claims": Said(401, {}, challenge),
    }
    server.answer = lambda _: answers.get(case)
    if case == "untrusted":
        settings = evolve(settings, verify=True)
    if case == "down":
        settings = evolve(settings, base_url=f"https://localhost:{closed_port}")
    settings = evolve(settings, credential=Picky())
    put = evolve(GET, operation="group.put", body={"secureValue": secret})

    with pytest.raises(errors.AciflowError) as caught:
        perform(settings, put)

    seen = [caplog.text, repr(settings), repr(put)]
    for one in chain(caught.value):
        seen += [str(one), repr(one), repr(one.args), repr(vars(one))]
        # nothing that holds the request hangs on the error
        assert not hasattr(one, "response") or one.response is None
        assert not type(one).__module__.startswith(("azure", "httpx", "httpcore"))
    assert not [text for text in seen if TOKEN in text or secret in text]


# --- proxies and authorities ------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_used(
    variable: str,
    perform: Perform,
    settings: ArmSettings,
    server: ArmServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ARM is reached through a CONNECT proxy, TLS end to end."""
    with ConnectProxy(("127.0.0.1", server.port)) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")

        reply = perform(evolve(settings, base_url="https://management.azure.com"), GET)

        assert ["management.azure.com:443"] == proxy.connected
    assert 200 == reply.status
    assert 1 == len(server.asked)


def test_no_proxy_names_what_needs_none(
    perform: Perform, settings: ArmSettings, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_PROXY is honoured: the proxy of the environment, which is dead, is not asked."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port}")
    with pytest.raises(errors.EndpointUnreachableError):
        perform(settings, GET)

    monkeypatch.setenv("NO_PROXY", "localhost")
    assert 200 == perform(settings, GET).status


def test_a_proxy_s_password_is_used_and_not_told(
    perform: Perform, settings: ArmSettings, server: ArmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy gets its password; a refusal says that it was the proxy, without it."""
    with ConnectProxy(("127.0.0.1", server.port), user="me:hunter2") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
        assert 200 == perform(settings, GET).status

        monkeypatch.setenv("HTTPS_PROXY", f"http://me:wrong@127.0.0.1:{proxy.port}")
        with pytest.raises(
            errors.EndpointUnreachableError, match="the proxy of HTTPS_PROXY"
        ) as caught:
            perform(settings, GET)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("ftp://me:hunter2@host:1", "is no URL of a proxy"),
        ("socks5://host:1", "pip install socksio"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_a_matter_of_configuration(
    proxy: str,
    said: str,
    perform: Perform,
    settings: ArmSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What httpx refuses to use is named, without the password in it."""
    monkeypatch.setenv("ALL_PROXY", proxy)

    with pytest.raises(errors.ConfigurationError, match=said) as caught:
        perform(settings, GET)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_of_the_environment_is_trusted(
    variable: str,
    perform: Perform,
    settings: ArmSettings,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Behind a company's own authority ARM works by the same variables as signing in does."""
    monkeypatch.setenv(variable, str(ca_file))

    assert 200 == perform(evolve(settings, verify=True), GET).status


def test_several_authorities_add_up(ca_file: Path, tmp_path: Path) -> None:
    """All variables count, a directory as well as a file."""
    (tmp_path / "empty").mkdir()
    context = ssl_context({"SSL_CERT_DIR": str(tmp_path / "empty"), "SSL_CERT_FILE": str(ca_file)})

    [only] = context.get_ca_certs()
    assert "trustme" in str(only["subject"])
    assert ssl.CERT_REQUIRED is context.verify_mode


def test_without_variables_certifi_s_are_trusted() -> None:
    """The default is httpx's: many authorities, names checked."""
    context = ssl_context({"REQUESTS_CA_BUNDLE": ""})

    assert context.check_hostname
    assert len(context.get_ca_certs()) > 50


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_is_not_there_is_named(
    content: str | None,
    perform: Perform,
    settings: ArmSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wrong path, or a file without certificates, names the variable and the path."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))

    with pytest.raises(
        errors.ConfigurationError, match=f"REQUESTS_CA_BUNDLE={path}: no certificates"
    ):
        perform(evolve(settings, verify=True), GET)


def test_a_bundle_can_be_given_in_the_settings(
    perform: Perform, settings: ArmSettings, ca_file: Path
) -> None:
    """A path in ``verify`` is that bundle and no other."""
    assert 200 == perform(evolve(settings, verify=str(ca_file)), GET).status


# --- the gateways' life -----------------------------------------------------------------------


def test_connections_are_kept(settings: ArmSettings, server: ArmServer) -> None:
    """One connection serves one call after the other, from one SDK and the other."""
    ports: set[int] = set()
    original = server._server.process_request

    def counting(request: socket.socket, address: tuple[str, int]) -> None:
        ports.add(address[1])
        original(request, address)

    server._server.process_request = counting  # type: ignore[method-assign, assignment]
    gateway = Gateway(settings)
    for _ in range(3):
        gateway.perform(GET)
        gateway.perform(ArmCall(operation="rg.get", resource_group="rg"))
    gateway.close()

    assert 1 == len(ports)


def test_a_closed_gateway_opens_again(settings: ArmSettings) -> None:
    """close() lets go of the connections; using it afterwards, or closing it twice, is no error."""
    gateway = Gateway(settings)
    gateway.close()
    gateway.perform(GET)
    gateway.close()
    assert 200 == gateway.perform(GET).status
    gateway.close()
    gc.collect()  # a socket left open would be a warning, and so a failure


def test_an_async_gateway_opens_again(settings: ArmSettings) -> None:
    """The same for the async one."""

    async def main() -> list[int]:
        gateway = AsyncGateway(settings)
        await gateway.close()
        first = await gateway.perform(GET)
        await gateway.close()
        second = await gateway.perform(GET)
        await gateway.close()
        return [first.status, second.status]

    assert [200, 200] == asyncio.run(main())


def test_threads_share_a_gateway(settings: ArmSettings, server: ArmServer) -> None:
    """Twenty threads at once: every one gets its own reply, and one token serves all."""
    server.answer = lambda asked: Said(200, {"path": asked.path})
    gateway = Gateway(settings)
    found: dict[str, str] = {}

    def work(name: str) -> None:
        found[name] = gateway.perform(evolve(GET, name=name)).body["path"].rpartition("/")[2]

    threads = [threading.Thread(target=work, args=(f"web{index}",)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gateway.close()

    assert {f"web{index}": f"web{index}" for index in range(20)} == found
    assert 1 == len(settings.credential.asked)


def test_tasks_share_an_async_gateway(settings: ArmSettings, server: ArmServer) -> None:
    """Twenty tasks at once on one loop, with one token."""
    server.answer = lambda asked: Said(200, {"path": asked.path})

    async def main() -> list[str]:
        gateway = AsyncGateway(settings)
        replies = await asyncio.gather(
            *(gateway.perform(evolve(GET, name=f"web{index}")) for index in range(20))
        )
        await gateway.close()
        return [reply.body["path"].rpartition("/")[2] for reply in replies]

    assert [f"web{index}" for index in range(20)] == asyncio.run(main())
    assert 1 == len(settings.credential.asked)


def test_a_cancelled_call_is_cancelled(settings: ArmSettings, server: ArmServer) -> None:
    """Cancelling a task is no error of the endpoint."""
    hold = threading.Event()
    server.answer = lambda _: Said(200) if hold.wait(5) else None

    async def main() -> None:
        gateway = AsyncGateway(settings)
        task = asyncio.create_task(gateway.perform(GET))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.set()
        await gateway.close()

    asyncio.run(main())
