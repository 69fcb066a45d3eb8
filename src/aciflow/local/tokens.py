"""
The endpoint's own bearer tokens.

An expiry and a signature, so that any process with the key can issue and check them.
"""

from __future__ import annotations

import hmac
import secrets

from collections.abc import Callable
from typing import Any, NamedTuple


__all__ = ["AccessToken", "LocalCredential", "Tokens"]


LIFETIME = 3600
"""Seconds, like Entra's."""


class AccessToken(NamedTuple):
    """The shape of ``azure.core.credentials.AccessToken``, without importing it."""

    token: str
    expires_on: int


class Tokens:
    """
    Issues and checks tokens.

    Args:
        clock: Seconds since the epoch.
        key: The secret; a new one if ``None``.
    """

    def __init__(self, clock: Callable[[], float], key: bytes | None = None) -> None:
        self.key = key if key is not None else secrets.token_bytes(32)
        self._clock = clock

    def issue(self) -> AccessToken:
        """A token that is good for an hour."""
        expires = int(self._clock()) + LIFETIME
        return AccessToken(f"aciflow.{expires}.{self._sign(expires)}", expires)

    def check(self, token: str) -> bool:
        """Whether a token is of this key and still good."""
        prefix, _, rest = token.partition(".")
        expires, _, signature = rest.partition(".")
        if prefix != "aciflow" or not expires.isascii() or not expires.isdigit():
            return False
        if len(expires) > len("9999999999") or not hmac.compare_digest(
            signature.encode(), self._sign(int(expires)).encode()
        ):
            return False
        return int(expires) > self._clock()

    def _sign(self, expires: int) -> str:
        return hmac.new(self.key, str(expires).encode(), "sha256").hexdigest()


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
