"""The endpoint's tokens: what they say, and which are refused."""

from __future__ import annotations

import base64
import hmac
import json
import logging

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from aciflow.local import LocalAzure
from aciflow.local.protocol import Request
from aciflow.local.tokens import LIFETIME, AccessToken, LocalCredential, Tokens


TENANT = "11111111-2222-4333-8444-555555555555"


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * 3))
    return found


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_tokens_are_good_for_an_hour_and_only_with_their_key_and_tenant() -> None:
    """Of the same key and tenant they are good in any process, until their hour is over."""
    now = [1000.5]
    tokens = Tokens(lambda: now[0], tenant_id=TENANT)
    token, expires = tokens.issue()

    assert expires == 1000 + LIFETIME
    assert tokens.check(token)
    assert Tokens(lambda: now[0], tokens.key, tenant_id=TENANT).check(token)
    assert not Tokens(lambda: now[0], tenant_id=TENANT).check(token)
    assert not Tokens(lambda: now[0], tokens.key).check(token)
    now[0] = expires - 0.1
    assert tokens.check(token)
    now[0] = expires
    assert not tokens.check(token)


def test_a_clock_that_goes_back_a_little_keeps_tokens_good_and_a_lot_does_not() -> None:
    """A system clock that is corrected by a minute shall not sign everybody out."""
    now = [10_000.0]
    tokens = Tokens(lambda: now[0])
    token = tokens.issue().token

    now[0] -= 60
    assert tokens.check(token)
    now[0] -= 600
    assert not tokens.check(token)


def test_a_token_says_what_clients_read_out_of_entras() -> None:
    """Audience, issuer, tenant, application, principal and times, readable without the key."""
    tokens = Tokens(lambda: 1000.0, tenant_id=TENANT)

    claims = _claims(tokens.issue(audience="https://localhost:4443", client_id="app").token)

    assert claims["aud"] == "https://localhost:4443"
    assert claims["iss"] == f"https://sts.windows.net/{TENANT}/"
    assert (claims["tid"], claims["appid"]) == (TENANT, "app")
    assert (claims["iat"], claims["nbf"], claims["exp"]) == (1000, 1000, 1000 + LIFETIME)
    assert claims["oid"] == claims["sub"] != "app"
    assert claims["oid"] == _claims(tokens.issue(client_id="app").token)["oid"]
    assert claims["oid"] != _claims(tokens.issue(client_id="other").token)["oid"]


def test_forged_tokens_are_refused() -> None:
    """No algorithm but ours counts, and no claim can be changed, even by who knows the format."""
    tokens = Tokens(lambda: 1000.0, tenant_id=TENANT)
    token = tokens.issue().token
    header, payload, signature = token.split(".")
    later = _part({**_claims(token), "exp": 9_999_999_999})
    none = _part({"typ": "JWT", "alg": "none"})
    signed_none = f"{none}.{payload}"
    own = base64.urlsafe_b64encode(hmac.digest(tokens.key, signed_none.encode(), "sha256"))
    bad = [
        "",
        ".",
        "..",
        f"{header}.{payload}.",
        f"{header}.{later}.{signature}",
        f"{none}.{payload}.",
        f"{signed_none}.{own.rstrip(b'=').decode()}",
        token + "A",
        token + "=",
        f"x.{token}",
        f"{header}.{payload}.\N{SNOWMAN}",
        f"{header}.\ud800.{signature}",
    ]

    assert [each for each in bad if tokens.check(each)] == []


@given(st.text(), st.integers(0, 400))
def test_no_text_is_taken_for_a_token(text: str, at: int) -> None:
    """Neither any text nor a token with something put into it is one; nor does any raise."""
    tokens = Tokens(lambda: 1000.0)
    token = tokens.issue().token

    assert not tokens.check(text)
    assert tokens.check(token[:at] + text + token[at:]) == (not text)


def test_no_token_or_key_is_in_a_repr_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """What ends up in tracebacks and logs holds neither a token nor what signs one."""
    caplog.set_level(logging.DEBUG)
    tokens = Tokens(lambda: 1000.0)
    issued = tokens.issue()
    credential = LocalCredential(tokens.issue)

    tokens.check(issued.token)
    tokens.check(issued.token + "x")

    assert isinstance(issued, AccessToken)
    shown = (
        f"{tokens!r} {issued!r} {issued} {credential!r} {credential.get_token('s')} {caplog.text}"
    )
    assert issued.token not in shown
    assert issued.token.rpartition(".")[2] not in shown
    assert tokens.key.hex() not in shown
    assert repr(tokens.key) not in shown


def test_an_expired_token_gets_arm_s_401_and_aciflow_signs_in_again() -> None:
    """An hour later on the endpoint's clock, which need not be an hour."""
    with LocalAzure("simulated") as azure, azure.client() as client:
        list(client.list())
        request = Request(
            method="GET",
            path="/subscriptions",
            query={"api-version": "2022-12-01"},
            headers={"authorization": f"Bearer {azure.credential().get_token().token}"},
        )
        before = azure.handle(request)
        azure.clock.advance(LIFETIME + 1)
        after = azure.handle(request)

        assert 200 == before.status
        assert 401 == after.status
        assert "InvalidAuthenticationToken" == after.body["error"]["code"]
        assert after.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")
        assert [] == list(client.list())
