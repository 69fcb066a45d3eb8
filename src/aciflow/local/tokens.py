"""
The endpoint's own bearer tokens.

JSON Web Tokens (RFC 7519) with the claims that clients read out of Entra's: whom a token is for, of which
tenant, until when. Signed with HS256, so any process with the key can issue and check them, and nobody
else can; a client is not meant to check an access token anyway.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets

from collections.abc import Callable
from typing import Any, NamedTuple


__all__ = ["ARM_AUDIENCE", "LIFETIME", "AccessToken", "LocalCredential", "Tokens"]


LIFETIME = 3600
"""Seconds, like Entra's."""

SKEW = 300
"""Seconds that a token may be from the future: system clocks are set back at times."""

ARM_AUDIENCE = "https://management.azure.com/"

NOBODY = "00000000-0000-0000-0000-000000000000"


class AccessToken(NamedTuple):
    """The shape of ``azure.core.credentials.AccessToken``, without importing it."""

    token: str
    expires_on: int

    def __repr__(self) -> str:
        return f"AccessToken(expires_on={self.expires_on})"


class Tokens:
    """
    Issues and checks tokens.

    Args:
        clock: Seconds since the epoch.
        key: The secret; a new one if ``None``.
        tenant_id: Of whom they are; another tenant's are refused, whatever their key.
    """

    def __init__(
        self, clock: Callable[[], float], key: bytes | None = None, *, tenant_id: str = NOBODY
    ) -> None:
        self.key = key if key is not None else secrets.token_bytes(32)
        self.tenant_id = tenant_id
        self._clock = clock

    def now(self) -> float:
        """The endpoint's time: seconds since the epoch."""
        return self._clock()

    def issue(self, *, audience: str = ARM_AUDIENCE, client_id: str = NOBODY) -> AccessToken:
        """
        A token that is good for an hour.

        Args:
            audience: What it is for.
            client_id: The application that it is given to.
        """
        now = int(self._clock())
        issuer = f"https://sts.windows.net/{self.tenant_id}/"
        principal = self._principal(client_id)
        claims = {
            "aud": audience,
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": client_id,
            "appidacr": "1",
            "idp": issuer,
            "idtyp": "app",
            "oid": principal,
            "sub": principal,
            "tid": self.tenant_id,
            "ver": "1.0",
        }
        signed = f"{_HEADER}.{_encoded(claims)}"
        return AccessToken(f"{signed}.{self._sign(signed)}", now + LIFETIME)

    def check(self, token: str) -> bool:
        """Whether a token is of this key and tenant, and still good."""
        signed, _, signature = token.rpartition(".")
        header, _, payload = signed.partition(".")
        # The one header there is: whoever could choose the algorithm could choose none.
        if header != _HEADER or not hmac.compare_digest(
            signature.encode("ascii", "replace"), self._sign(signed).encode()
        ):
            return False
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        now = self._clock()
        return bool(claims["tid"] == self.tenant_id and claims["nbf"] - SKEW <= now < claims["exp"])

    def _sign(self, signed: str) -> str:
        # What is no ASCII was not issued here; it need only not fail.
        return _text(hmac.digest(self.key, signed.encode("utf-8", "surrogatepass"), "sha256"))

    def _principal(self, client_id: str) -> str:
        """The object id of an application's service principal: always the same, and not its own."""
        text = hmac.digest(self.key, f"principal of {client_id}".encode(), "sha256").hex()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


class LocalCredential:
    """
    A ``TokenCredential`` for the endpoint.

    Its tokens are worth nothing anywhere else, so it gives them for any scope.

    Args:
        issue: Gives a token.
    """

    def __init__(self, issue: Callable[[], AccessToken]) -> None:
        self._issue = issue

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ARG002
        """A token that is good for a while."""
        return self._issue()

    def close(self) -> None:
        """Nothing to close."""


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encoded(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


_HEADER = _encoded({"typ": "JWT", "alg": "HS256"})
