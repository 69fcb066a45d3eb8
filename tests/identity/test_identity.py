"""Signing in: what Entra's pages say, what they refuse, and that no secret comes out of them."""

from __future__ import annotations

import base64
import json
import logging

from typing import Any
from urllib.parse import urlencode

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.local.protocol import Reply, Request
from aciflow.local.served.identity import IDENTITY_PATH, Identity
from aciflow.local.served.metadata import ARM_HOSTS, LOGIN_HOSTS
from aciflow.local.tokens import LIFETIME, Tokens


BASE = "https://localhost:4443"
TENANT = "aaaaaaaa-2222-4333-8444-555555555555"
CLIENT = "22222222-2222-4333-8444-555555555555"
SECRET = "s3cret~with+odd/characters=&%"
MI_SECRET = "another-secret"


class World:
    """An identity on a clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.tokens = Tokens(lambda: self.now, tenant_id=TENANT)
        self.identity = Identity(
            self.tokens,
            tenant_id=TENANT,
            subscription_id="sub",
            client_id=CLIENT,
            client_secret=SECRET,
            mi_secret=MI_SECRET,
        )

    def get(self, path: str, base: str = BASE, **more: Any) -> Reply | None:
        return self.identity.answer(Request(method="GET", path=path, base_url=base, **more))

    def post(
        self, path: str, form: dict[str, str] | bytes, headers: dict[str, str] | None = None
    ) -> Reply:
        body = form if isinstance(form, bytes) else urlencode(form).encode()
        reply = self.identity.answer(
            Request(method="POST", path=path, body=body, base_url=BASE, headers=headers or {})
        )
        assert reply is not None
        return reply

    def token(self, *, v2: bool = True, tenant: str = TENANT, **form: str | None) -> Reply:
        """Ask for a token; ``None`` leaves a field out."""
        fields: dict[str, str | None] = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": SECRET,
            **({"scope": f"{BASE}/.default"} if v2 else {"resource": f"{BASE}/"}),
            **form,
        }
        path = f"/{tenant}/oauth2/{'v2.0/' if v2 else ''}token"
        return self.post(path, {name: value for name, value in fields.items() if value is not None})


@pytest.fixture
def world() -> World:
    """An endpoint's identity."""
    return World()


def body(reply: Reply | None) -> Any:
    """What a page that must be there says."""
    assert reply is not None
    assert reply.headers["Content-Type"].startswith("application/json")
    return json.loads(json.dumps(reply.body))


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==="))
    return found


# --- tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("v2", [True, False])
def test_an_application_with_its_secret_gets_a_token_that_the_endpoint_takes(
    world: World, v2: bool
) -> None:
    """For an hour, for the audience that was asked for; the old endpoint's numbers are strings."""
    reply = world.token(v2=v2)
    said = body(reply)

    assert 200 == reply.status
    assert "no-store" in reply.headers["Cache-Control"]
    assert "Bearer" == said["token_type"]
    assert LIFETIME - 1 == int(said["expires_in"])
    assert isinstance(said["expires_in"], int if v2 else str)
    assert claims(said["access_token"])["aud"] == (BASE if v2 else f"{BASE}/")
    assert CLIENT == claims(said["access_token"])["appid"]
    assert world.tokens.check(said["access_token"])
    if not v2:
        assert str(int(world.now) + LIFETIME) == said["expires_on"]
    world.now += LIFETIME
    assert not world.tokens.check(said["access_token"])


def test_scopes_of_openid_beside_the_resource_do_no_harm(world: World) -> None:
    """MSAL for Go sends them with every grant."""
    reply = world.token(scope=f"{BASE}//.default openid offline_access profile")

    assert 200 == reply.status
    assert f"{BASE}/" == claims(reply.body["access_token"])["aud"]


def test_the_secret_may_come_in_the_header(world: World) -> None:
    """As RFC 6749 has it, each half form-encoded."""
    from urllib.parse import quote_plus

    pair = base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": f"{BASE}/.default"}
    path = f"/{TENANT}/oauth2/v2.0/token"

    assert 200 == world.post(path, form, {"authorization": f"Basic {pair}"}).status
    assert 400 == world.post(path, form, {"authorization": "Basic ?"}).status


@pytest.mark.parametrize(
    ("change", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": SECRET[:-1]}, 401, "invalid_client", 7000215),
        ({"client_secret": "\N{SNOWMAN}"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000216),
        (
            {"client_secret": None, "client_assertion": "a.b.c"},
            401,
            "invalid_client",
            700027,
        ),
        ({"client_id": TENANT}, 400, "unauthorized_client", 700016),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type", 70003),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": "openid profile"}, 400, "invalid_scope", 1002012),
        ({"scope": f"{BASE}/.default https://x/.default"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://graph.microsoft.com/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "https://[/.default"}, 400, "invalid_resource", 500011),
        ({"tenant": "33333333-2222-4333-8444-555555555555"}, 400, "invalid_tenant", 90002),
    ],
)
def test_mistakes_get_entras_errors(
    world: World, change: dict[str, str | None], status: int, error: str, code: int
) -> None:
    """Status, error and AADSTS code as Entra's, in the body that MSAL and azure-identity read."""
    reply = world.token(**change)  # type: ignore[arg-type]
    said = body(reply)

    assert (status, error, [code]) == (reply.status, said["error"], said["error_codes"])
    assert said["error_description"].startswith(f"AADSTS{code}: ")
    assert "2023-11-14 22:13:20Z" == said["timestamp"]
    assert {"trace_id", "correlation_id", "error_uri"} <= said.keys()


def test_a_body_that_is_no_form_is_refused(world: World) -> None:
    """Bytes that are no text, or more fields than any form has."""
    path = f"/{TENANT}/oauth2/v2.0/token"

    assert "invalid_request" == body(world.post(path, b"\xff\xfe"))["error"]
    assert "invalid_request" == body(world.post(path, b"a=1&" * 100))["error"]
    assert "invalid_request" == body(world.post(path, b""))["error"]


def test_only_its_own_resource_manager_is_an_audience(world: World) -> None:
    """Under each name that a client may know it by, with and without a slash."""
    for host in (*ARM_HOSTS, "localhost:1", "127.0.0.1:5", "[::1]:5"):
        assert 200 == world.token(scope=f"https://{host}/.default").status
        assert 200 == world.token(scope=f"https://{host}//.default").status
        assert 200 == world.token(v2=False, resource=f"https://{host}/").status
    assert 400 == world.token(scope="https://management.azure.com.evil.example/.default").status


def test_signing_in_interactively_is_refused_with_the_way_out(world: World) -> None:
    """Device codes and browsers have no user here."""
    said = body(world.post(f"/{TENANT}/oauth2/v2.0/devicecode", {"client_id": CLIENT}))

    assert "AZURE_CLIENT_SECRET" in said["error_description"]


# --- the managed identity -----------------------------------------------------------------------


def test_the_managed_identity_is_for_who_knows_the_header(world: World) -> None:
    """As App Service's: a token for the header's secret, 401 without, 400 for another identity."""

    def ask(header: str | None, **query: str) -> Reply:
        headers = {} if header is None else {"x-identity-header": header}
        reply = world.get(IDENTITY_PATH, headers=headers, query=query)
        assert reply is not None
        return reply

    good = ask(MI_SECRET, resource="https://management.azure.com", **{"api-version": "2019-08-01"})

    assert 200 == good.status
    assert world.tokens.check(good.body["access_token"])
    assert str(int(world.now) + LIFETIME) == good.body["expires_on"]
    assert 401 == ask(None, resource=BASE).status
    assert 401 == ask("wrong", resource=BASE).status
    assert 401 == ask(SECRET, resource=BASE).status
    assert 400 == ask(MI_SECRET).status
    assert 400 == ask(MI_SECRET, resource="https://vault.azure.net").status
    assert 400 == ask(MI_SECRET, resource=BASE, client_id=TENANT).status
    assert 200 == ask(MI_SECRET, resource=BASE, client_id=CLIENT).status


# --- discovery ----------------------------------------------------------------------------------


def test_the_cloud_s_metadata_in_the_form_of_each_version(world: World) -> None:
    """One cloud for today's readers, a list for older ones, four keys for the oldest."""
    new = body(world.get("/metadata/endpoints", query={"api-version": "2022-09-01"}))
    old = body(world.get("/metadata/endpoints", query={"api-version": "2019-05-01"}))
    oldest = body(world.get("/metadata/endpoints", query={"api-version": "2015-01-01"}))

    assert [new] == old
    assert f"{BASE}/" == new["resourceManager"] == new["authentication"]["loginEndpoint"]
    assert [f"{BASE}/"] == new["authentication"]["audiences"]
    assert new["authentication"]["loginEndpoint"] == oldest["authentication"]["loginEndpoint"]
    assert 400 == (world.get("/metadata/endpoints") or Reply(status=0)).status


def test_an_intercepted_host_s_metadata_names_azures_hosts(world: World) -> None:
    """Who came by Azure's own name shall go on by Azure's own names."""
    found = body(
        world.get(
            "/metadata/endpoints",
            base="https://management.azure.com",
            query={"api-version": "2022-09-01"},
        )
    )

    assert "https://management.azure.com/" == found["resourceManager"]
    assert "https://login.microsoftonline.com/" == found["authentication"]["loginEndpoint"]
    assert "https://management.azure.com/" in found["authentication"]["audiences"]


@pytest.mark.parametrize("tenant", [TENANT, TENANT.upper(), "common", "organizations"])
@pytest.mark.parametrize("version", ["/v2.0", ""])
def test_openid_discovery_leads_to_the_token_endpoint(
    world: World, tenant: str, version: str
) -> None:
    """Where its document says, a token is to be had."""
    found = body(world.get(f"/{tenant}{version}/.well-known/openid-configuration"))
    path = found["token_endpoint"].removeprefix(BASE)

    assert f"/{tenant}/oauth2{version}/token" == path
    assert TENANT in found["issuer"]
    assert found["authorization_endpoint"].startswith(BASE)
    assert {"keys": []} == body(world.get(found["jwks_uri"].removeprefix(BASE)))


def test_another_tenant_s_discovery_is_refused(world: World) -> None:
    """As Entra refuses a tenant that it does not know."""
    found = world.get("/nobody.example/v2.0/.well-known/openid-configuration")

    assert [90002] == body(found)["error_codes"]
    assert "nobody.example" in body(found)["error_description"]


def test_instances_are_azures_login_hosts_and_the_endpoint_itself(world: World) -> None:
    """Who is asked whether an authority can be trusted says so for these, and for nobody else."""

    def ask(authority: str) -> Any:
        query = {"authorization_endpoint": f"{authority}/{TENANT}/oauth2/v2.0/authorize"}
        base = f"https://{LOGIN_HOSTS[0]}"
        return body(world.get("/common/discovery/instance", base=base, query=query))

    # the second as MSAL asks about the first
    for authority in (BASE, "https://localhost", f"https://{LOGIN_HOSTS[1]}"):
        document = f"https://{LOGIN_HOSTS[0]}/{TENANT}/v2.0/.well-known/openid-configuration"
        assert document == ask(authority)["tenant_discovery_endpoint"]
        assert authority.removeprefix("https://") in ask(authority)["metadata"][0]["aliases"]
    assert set(LOGIN_HOSTS) == set(ask(f"https://{LOGIN_HOSTS[0]}")["metadata"][0]["aliases"])
    assert "invalid_instance" == ask("https://login.evil.example")["error"]
    assert "invalid_instance" == ask("https://127.evil.example")["error"]
    assert "invalid_instance" == ask("https://[")["error"]


# --- everything else ----------------------------------------------------------------------------

_PATHS = st.text(st.sampled_from("/abv2.0%\N{SNOWMAN}"), max_size=20) | st.lists(
    st.sampled_from(
        "subscriptions metadata endpoints oauth2 token v2.0 common x discovery instance .well-known "
        f"openid-configuration msi resourceGroups {TENANT}".split()
    ),
    max_size=6,
).map(lambda parts: "/" + "/".join(parts))


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
    _PATHS,
    st.binary(max_size=40),
    st.dictionaries(
        st.sampled_from(["api-version", "resource", "authorization_endpoint"]), st.text()
    ),
)
def test_nothing_but_a_secret_gets_a_token(
    method: str, path: str, content: bytes, query: dict[str, str]
) -> None:
    """Whatever is asked, there is an answer or it is ARM's business; a token only with a secret."""
    world = World()
    request = Request(method=method, path=path, body=content, query=query, base_url=BASE)

    reply = world.identity.answer(request)

    assert reply is None or 200 <= reply.status < 500
    assert "access_token" not in json.dumps(reply.body if reply else None)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/subscriptions",
        f"/subscriptions/{TENANT}/resourceGroups/oauth2/token",
        "/tenants",
        "/providers/Microsoft.ContainerInstance/operations",
        "/execstream/sessionId/x",
        "/_aciflow/clock",
    ],
)
def test_resource_manager_s_paths_are_not_identity_s(world: World, path: str) -> None:
    """They need a token, which the endpoint checks."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert world.identity.answer(Request(method=method, path=path)) is None


def test_no_secret_comes_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not by a repr, a log line or an error body, neither ours nor the one that was tried."""
    caplog.set_level(logging.DEBUG)
    replies = [
        world.token(client_secret="tried-this"),
        world.token(tenant="nobody.example"),
        world.token(scope="x"),
        world.token(grant_type="password", password="tried-this"),
    ]
    shown = f"{world.identity!r} {replies!r} {caplog.text}"
    said = json.dumps([reply.body for reply in replies])

    for secret in (SECRET, MI_SECRET, "tried-this"):
        assert secret not in shown
        assert secret not in said
